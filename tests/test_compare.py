import json

import pytest

from cnnviz import compare as module
from cnnviz.compare import compare, compare_one
from cnnviz.runs import publish
from cnnviz.training.checkpoints import list_checkpoints, save_checkpoint


@pytest.fixture
def checkpoint(finished):
    return list_checkpoints(finished.path)[0]


def again(checkpoint, folder, **changes):
    """The same network with other weights, so that it is another model, and another card."""
    model = checkpoint.load_model()
    next(model.parameters()).data += 0.01 * len(list(folder.iterdir())) + 0.01
    return save_checkpoint(model, checkpoint.card.model_copy(update=changes), folder)


def test_a_row_has_the_card_the_counts_and_the_time(finished, checkpoint, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "measure_latency", lambda *a: asked.append(a) or 1.25)
    row = compare_one("mine", checkpoint)
    assert (row.model, row.variant, row.title) == ("mine", "lenet5", "LeNet-5 (1998)")
    assert (row.family, row.dataset) == ("lenet", "digits")
    assert row.accuracy == finished.status.accuracy
    assert (row.params, row.macs) == (60_000, 325_680)
    assert row.weight_bytes == checkpoint.path.stat().st_size
    assert row.latency_ms == 1.25
    ((model, size),) = asked
    assert tuple(size) == (1, 32, 32)
    assert not model.training
    assert row.per_class == checkpoint.card.per_class
    assert (row.epochs, row.test_images, row.seed) == (2, 360, 0)
    assert json.loads(json.dumps(row.to_dict())) == row.to_dict()


def test_costs_follow_the_classes_of_the_card(finished, checkpoint, no_checkpoints):
    assert compare_one("a", checkpoint).params == sum(
        p.numel() for p in checkpoint.load_model().parameters()
    )
    assert compare_one("a", checkpoint).latency_ms > 0


def test_rows_are_by_data_set_and_then_the_most_accurate_first(checkpoint, no_checkpoints):
    own = checkpoint.card.accuracy
    again(checkpoint, no_checkpoints, name="unmeasured", accuracy=None, per_class={})
    again(checkpoint, no_checkpoints, name="best", accuracy=0.999)
    again(checkpoint, no_checkpoints, name="photos", dataset="cifar10", accuracy=0.1)
    rows, _ = compare()
    assert [(row.dataset, row.model) for row in rows] == [
        ("cifar10", "photos"),
        ("digits", "best"),
        ("digits", checkpoint.name),
        ("digits", "unmeasured"),
    ]
    assert [row.accuracy for row in rows] == [0.1, 0.999, own, None]


def test_a_published_run_is_compared_once(finished, no_checkpoints):
    publish(finished, "published")
    assert [row.model for row in compare().rows] == ["published"]


def test_without_models_there_are_no_rows(no_checkpoints):
    assert compare() == ([], {})


def test_damaged_weights_are_named_and_the_others_are_compared(checkpoint, no_checkpoints):
    again(checkpoint, no_checkpoints, name="whole")
    again(checkpoint, no_checkpoints, name="other", variant="resnet_of_tomorrow")
    path = again(checkpoint, no_checkpoints, name="broken", accuracy=0.5).path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    checkpoint.path.unlink()
    rows, problems = compare()
    assert [row.model for row in rows] == ["whole"]
    assert "damaged" in problems["broken"]
    assert "resnet_of_tomorrow" in problems["other"]
