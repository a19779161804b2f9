import json

import pytest

from cnnviz import compare as module
from cnnviz.compare import compare, compare_one, group_seeds
from cnnviz.runs import publish
from cnnviz.training.saved.checkpoints import list_checkpoints, save_checkpoint


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
    row = compare_one("mine", checkpoint, {})
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
    assert compare_one("a", checkpoint, {}).params == sum(
        p.numel() for p in checkpoint.load_model().parameters()
    )
    assert compare_one("a", checkpoint, {}).latency_ms > 0


def test_models_of_one_network_share_its_latency(checkpoint, no_checkpoints, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "measure_latency", lambda *a: asked.append(a) or 1.25)
    again(checkpoint, no_checkpoints, name="second")
    again(checkpoint, no_checkpoints, name="third")
    rows, _ = compare()
    assert [row.latency_ms for row in rows] == [1.25] * 3
    assert len(asked) == 1


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


def test_models_are_grouped_by_all_of_their_recipe_but_the_seed(checkpoint, no_checkpoints):
    recipe = checkpoint.card.recipe
    longer = {**recipe, "epochs": recipe["epochs"] + 1}
    models = {
        "first": again(checkpoint, no_checkpoints, name="first", seed=1),
        "other": again(checkpoint, no_checkpoints, name="other", seed=1, recipe=longer),
        "second": again(checkpoint, no_checkpoints, name="second", seed=2),
        "unsaid": again(checkpoint, no_checkpoints, name="unsaid", seed=3, recipe={}),
    }
    assert group_seeds(models) == [["first", "second"], ["other"], ["unsaid"]]


def test_a_seed_that_ran_twice_counts_by_its_newest_model(checkpoint, no_checkpoints):
    dates = {"new": "2026-02-01T00:00:00+00:00", "old": "2026-01-01T00:00:00+00:00"}
    models = {
        name: again(checkpoint, no_checkpoints, name=name, created=date)
        for name, date in dates.items()
    }
    assert group_seeds(models) == [["new"]]


def test_what_does_not_decide_the_result_makes_no_recipe_of_its_own(checkpoint, no_checkpoints):
    recipe = {**checkpoint.card.recipe, "compile": True}
    lacking = {key: value for key, value in checkpoint.card.recipe.items() if key != "mixup"}
    models = {
        "plain": again(checkpoint, no_checkpoints, name="plain", seed=1),
        "compiled": again(checkpoint, no_checkpoints, name="compiled", seed=2, recipe=recipe),
        "earlier": again(checkpoint, no_checkpoints, name="earlier", seed=3, recipe=lacking),
    }
    assert group_seeds(models) == [["plain", "compiled", "earlier"]]
