import json

import pytest

from cnnviz import compare as module
from cnnviz.compare import compare, compare_card, compare_one, compare_recipes, group_seeds
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


def cards_of(models):
    return {name: model.card for name, model in models.items()}


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
    assert group_seeds(cards_of(models)) == [["first", "second"], ["other"], ["unsaid"]]


def test_a_seed_that_ran_twice_counts_by_its_newest_model(checkpoint, no_checkpoints):
    dates = {"new": "2026-02-01T00:00:00+00:00", "old": "2026-01-01T00:00:00+00:00"}
    models = {
        name: again(checkpoint, no_checkpoints, name=name, created=date)
        for name, date in dates.items()
    }
    assert group_seeds(cards_of(models)) == [["new"]]


def card_alone(checkpoint, folder, **changes):
    """The card of another network, whose weights are elsewhere."""
    saved = again(checkpoint, folder, **changes)
    saved.path.unlink()
    return saved.card


def test_a_card_without_weights_counts_with_the_costs_of_its_network(
    checkpoint, no_checkpoints, monkeypatch
):
    asked = []
    monkeypatch.setattr(module, "measure_latency", lambda *a: asked.append(a) or 1.25)
    card = card_alone(checkpoint, no_checkpoints, name="alone", seed=7, accuracy=0.75)
    row = compare_card("alone", card, {})
    whole = compare_one("mine", checkpoint, {})
    assert row.card_only
    assert not whole.card_only
    assert (row.accuracy, row.seed) == (0.75, 7)
    for same in ("params", "macs", "activation_bytes", "weight_bytes", "latency_ms"):
        assert getattr(row, same) == getattr(whole, same), same
    assert not asked[0][0].training
    rows, problems = compare()
    assert {row.model: row.card_only for row in rows} == {checkpoint.name: False, "alone": True}
    assert problems == {}


def test_seeds_known_by_their_card_are_in_the_mean_and_those_with_weights_stand_for_them(
    checkpoint, no_checkpoints
):
    card_alone(checkpoint, no_checkpoints, name="a-seed1", seed=1, accuracy=0.5)
    again(checkpoint, no_checkpoints, name="b", seed=0, accuracy=0.7)
    card_alone(checkpoint, no_checkpoints, name="c-seed2", seed=2, accuracy=0.6)
    checkpoint.path.unlink()
    checkpoint.card_path.unlink()
    (row,), problems = compare_recipes()
    assert problems == {}
    assert row["model"] == "b"
    assert set(row["models"]) == {"a-seed1", "b", "c-seed2"}
    assert (row["seeds"], row["accuracy"]) == (3, pytest.approx(0.6))
    assert row["sd"] == pytest.approx(0.1)


def test_a_card_that_is_damaged_or_of_another_network_is_named(checkpoint, no_checkpoints):
    (no_checkpoints / "torn.json").write_text("{")
    (no_checkpoints / "notes.json").write_text('{"hello": 1}')
    card_alone(checkpoint, no_checkpoints, name="future", variant="resnet_of_tomorrow")
    renamed = card_alone(checkpoint, no_checkpoints, name="old")
    (no_checkpoints / "old.json").rename(no_checkpoints / "new.json")
    assert renamed.name == "old"
    rows, problems = compare()
    assert [row.model for row in rows] == [checkpoint.name]
    assert "not JSON" in problems["torn"]
    assert "not a valid card" in problems["notes"]
    assert "resnet_of_tomorrow" in problems["future"]
    assert "the card of 'old'" in problems["new"]


def test_what_does_not_decide_the_result_makes_no_recipe_of_its_own(checkpoint, no_checkpoints):
    recipe = {**checkpoint.card.recipe, "compile": True}
    lacking = {key: value for key, value in checkpoint.card.recipe.items() if key != "mixup"}
    models = {
        "plain": again(checkpoint, no_checkpoints, name="plain", seed=1),
        "compiled": again(checkpoint, no_checkpoints, name="compiled", seed=2, recipe=recipe),
        "earlier": again(checkpoint, no_checkpoints, name="earlier", seed=3, recipe=lacking),
    }
    assert group_seeds(cards_of(models)) == [["plain", "compiled", "earlier"]]
