"""What a finished run says of its errors and its confidence, and what `evaluate` says again."""

import json

import pytest
import torch

from cnnviz.__main__ import main
from cnnviz.runs import create_run
from cnnviz.runs.trainer import worker
from cnnviz.runs.trainer.recompute import recompute
from cnnviz.training import data, loop
from cnnviz.training.augment import normalise
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def checkpoint(finished):
    return read_checkpoint(finished.path / f"{finished.id}.json")


def test_the_card_has_the_confusions_and_the_calibration_of_its_own_weights(checkpoint):
    card = checkpoint.card
    images = data.load("digits").for_channels(1)
    with torch.no_grad():
        logits = checkpoint.load_model()(normalise(images.test_images, card.mean, card.std))
    confidence, answers = logits.double().softmax(1).max(1)
    pairs = list(zip(images.test_labels.tolist(), answers.tolist(), strict=True))
    counted = tuple(tuple(pairs.count((i, j)) for j in range(10)) for i in range(10))
    assert card.confusion == counted
    assert sum(card.confusion[i][i] for i in range(10)) / 360 == pytest.approx(card.accuracy)
    bins = card.calibration.bins
    assert sum(part.count for part in bins) == card.test_images == 360
    means = sum(part.count * part.confidence for part in bins if part.count) / 360
    assert means == pytest.approx(float(confidence.mean()), abs=1e-5)


def test_choices_are_made_on_held_out_images_and_the_test_images_looked_at_once(monkeypatch):
    seen = {"loop": [], "worker": []}
    for module in (loop, worker):
        name, real = module.__name__.rpartition(".")[2], module.evaluate

        def spy(model, images, labels, name=name, real=real, **how):
            seen[name].append(images.clone())
            return real(model, images, labels, **how)

        monkeypatch.setattr(module, "evaluate", spy)
    run = create_run(default_recipe("lenet5", "digits", epochs=3, batch_size=512))
    assert worker.execute(run, "cpu") == "done"
    digits = data.load("digits").for_channels(1)
    train, held = data.held_out(digits.train_labels, 240)
    assert not set(train.tolist()) & set(held.tolist())
    assert len(seen["loop"]) == 3  # once an epoch
    assert all(torch.equal(images, digits.train_images[held]) for images in seen["loop"])
    (last,) = seen["worker"]
    assert torch.equal(last, digits.test_images)


def test_evaluate_finds_the_same_again(checkpoint, capsys):
    card = checkpoint.card
    again = recompute(str(checkpoint.path))
    assert again["confusion"] == [list(row) for row in card.confusion]
    assert again["calibration"]["ece"] == pytest.approx(card.calibration.ece, abs=1e-6)
    assert main(["evaluate", str(checkpoint.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["confusion"] == again["confusion"]
    assert printed["classes"] == list(card.classes)


def test_evaluate_prints_a_table_of_confusions(checkpoint, capsys):
    assert main(["evaluate", str(checkpoint.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines[-10:]]
    assert [row[0] for row in table] == list(checkpoint.card.classes)
    assert [[int(cell) for cell in row[1:]] for row in table] == [
        list(row) for row in checkpoint.card.confusion
    ]
    assert any(line.startswith("calibration_error") for line in lines)
