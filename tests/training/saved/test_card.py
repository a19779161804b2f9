"""Cards: damaged ones are refused, and how the final evaluation went comes back."""

import json

import pytest

from cnnviz.training.calibration import Bin, Calibration
from cnnviz.training.saved.card import CARD_LIMIT
from cnnviz.training.saved.checkpoints import (
    read_checkpoint,
    save_checkpoint,
)
from tests.training.saved.cards import card, refused, rewrite_card

# Damaged cards


def test_a_newer_card_is_refused_naming_both_versions(saved):
    rewrite_card(saved, format=2, something_new=1)
    refused(lambda: read_checkpoint(saved.path), "format 2", "format 1", "update")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"accuracy": 65.0}, "accuracy"),
        ({"accuracy": "NaN"}, "accuracy"),
        ({"classes": []}, "classes"),
        ({"classes": ["a", "a"]}, "twice"),
        ({"mean": [0.5]}, "mean"),
        ({"std": [0.0, 1.0, 1.0]}, "std"),
        ({"input_size": [3, 0, 32]}, "input_size"),
        ({"input_size": [3, 10**9, 32]}, "input_size"),
        ({"per_class": {"x": 0.5}}, "'x'"),
        ({"sha256": "zz"}, "sha256"),
        ({"sha256": ""}, "SHA-256"),
        ({"created": "yesterday"}, "created"),
        ({"created": "2026-01-01T00:00:00"}, "created"),
        ({"format": "one"}, "format"),
        ({"name": "../x"}, "name"),
        ({"name": "other"}, "other"),
    ],
)
def test_a_wrong_card_is_refused_naming_the_field(saved, changes, field):
    rewrite_card(saved, **changes)
    refused(lambda: read_checkpoint(saved.path), "net.json", field)


def test_a_card_of_images_that_the_network_does_not_read_is_refused(saved):
    rewrite_card(saved, input_size=[1, 32, 32], mean=[0.5], std=[0.5])
    grey = read_checkpoint(saved.path)
    refused(grey.load_model, "channels: 1", "reads 3")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000])
def test_a_card_that_is_no_object_is_refused(saved, content):
    saved.card_path.write_bytes(content)
    refused(lambda: read_checkpoint(saved.path), "net.json")


def test_a_card_too_large_is_refused(saved):
    saved.card_path.write_bytes(b" " * (CARD_LIMIT + 1))
    refused(lambda: read_checkpoint(saved.path), "too large")


def test_missing_files_are_named(saved):
    refused(lambda: read_checkpoint(saved.path.with_name("none")), "none.json")
    saved.path.unlink()
    refused(lambda: read_checkpoint(saved.path), "net.safetensors is missing")


def test_a_loss_that_is_not_finite_is_kept_as_unknown(model, tmp_path):
    written = card(loss=float("inf"), history=[{"epoch": 1, "val_loss": float("nan")}])
    read = read_checkpoint(save_checkpoint(model, written, tmp_path).path)
    assert read.card.loss is None
    assert read.card.history == [{"epoch": 1, "val_loss": None}]


# How the final evaluation went


def test_confusion_and_calibration_come_back(model, tmp_path):
    confusion = tuple(tuple(3 if i == j else 0 for j in range(10)) for i in range(10))
    bins = (Bin(count=0),) * 14 + (Bin(count=30, confidence=0.97, accuracy=1.0),)
    measured = Calibration(ece=0.03, brier=0.01, bins=bins)
    written = card(confusion=confusion, calibration=measured, test_images=30)
    save_checkpoint(model, written, tmp_path)
    read = read_checkpoint(tmp_path / "net.json").card
    assert read.confusion == confusion
    assert read.calibration == measured


def test_a_card_from_before_there_were_any_is_read(saved):
    content = json.loads(saved.card_path.read_text())
    del content["confusion"], content["calibration"]
    saved.card_path.write_text(json.dumps(content))
    read = read_checkpoint(saved.path).card
    assert (read.confusion, read.calibration) == ((), None)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"confusion": [[1]]}, "10 rows"),
        ({"confusion": [[0] * 10] * 9}, "10 rows"),
        ({"confusion": [[0] * 9] * 10}, "10 rows"),
        ({"confusion": [[-1] * 10] * 10}, "greater than or equal to 0"),
        ({"confusion": [[1] * 10] * 10, "test_images": 99}, "100 of 99"),
        ({"calibration": {"ece": 2, "brier": 0, "bins": [{"count": 0}]}}, "ece"),
        ({"calibration": {"ece": 0, "brier": 0, "bins": [{"count": 3}]}}, "3 of 0"),
    ],
)
def test_figures_that_cannot_be_are_refused(saved, changes, word):
    rewrite_card(saved, **changes)
    refused(lambda: read_checkpoint(saved.path), "not a valid card", word)
