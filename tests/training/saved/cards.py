"""A card for a test, and what makes checkpoints wrong or shows that they are refused."""

import hashlib
import json

import pytest

from cnnviz.errors import CnnvizError
from cnnviz.training.saved.card import Card

DIGITS = tuple("0123456789")


def card(name="net", variant="lenet5_cifar", **changes):
    fields = {
        "name": name,
        "variant": variant,
        "dataset": "cifar10",
        "classes": DIGITS,
        "input_size": (3, 32, 32),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
    }
    return Card(**{**fields, **changes})


def rewrite_weights(checkpoint, data):
    """Put other bytes in the weights file, and their hash on the card."""
    checkpoint.path.write_bytes(data)
    rewrite_card(checkpoint, sha256=hashlib.sha256(data).hexdigest())


def rewrite_card(checkpoint, **changes):
    content = json.loads(checkpoint.card_path.read_text())
    checkpoint.card_path.write_text(json.dumps({**content, **changes}))


def refused(function, *words):
    """Call `function`; it must raise one `CnnvizError` sentence that has all `words`."""
    with pytest.raises(CnnvizError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for word in words:
        assert word in message
    return message


def names(folder):
    return sorted(path.name for path in folder.iterdir())
