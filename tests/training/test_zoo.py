"""The list of the zoo against the cards that are shipped."""

import shlex

import pytest

from cnnviz.cli.arguments import make_parser
from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT
from cnnviz.training.recipe import default_recipe, parse_recipe, settings
from cnnviz.training.saved.checkpoints import scan_cards, scan_checkpoints
from cnnviz.training.zoo import ZOO, Entry, find_entries, same_training, train_command

WHOLE = {c.name: c.card for c in scan_checkpoints(ROOT / "checkpoints").checkpoints}
ALONE = scan_cards(ROOT / "checkpoints").cards
#: What is shipped and was trained before its entry was changed.
BEFORE = {"googlenet_slim_cifar": {"epochs": 12}}


@pytest.mark.parametrize("name", [*WHOLE, *ALONE])
def test_each_shipped_card_has_the_recipe_of_its_entry(name):
    card = {**WHOLE, **ALONE}[name]
    (entry,) = find_entries([name])
    assert entry.weights or name in ALONE
    recipe = parse_recipe(card.recipe)
    earlier = entry.recipe.changed(**BEFORE.get(name, {}))
    assert same_training(recipe, entry.recipe) or same_training(recipe, earlier)
    assert (card.variant, card.knobs) == (entry.variant, entry.recipe.knobs)
    assert (card.seed, card.epochs) == (recipe.seed, recipe.epochs)


def test_names_are_unique_and_no_two_entries_train_the_same():
    assert len({entry.name for entry in ZOO}) == len(ZOO)
    assert len({entry.recipe.model_dump_json() for entry in ZOO}) == len(ZOO)
    assert all(entry.recipe.holdout == 0 for entry in ZOO)


def test_of_each_recipe_the_weights_of_one_seed_are_published():
    by_recipe = {}
    for entry in ZOO:
        key = entry.recipe.changed(seed=0).model_dump_json()
        by_recipe.setdefault(key, []).append(entry.weights)
    assert all(sum(weights) == 1 for weights in by_recipe.values())


@pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name)
def test_the_command_trains_the_very_recipe(entry):
    options = make_parser().parse_args(shlex.split(train_command(entry.recipe)))
    fields = {item.name: getattr(options, item.name) for item in settings()}
    knobs = {"width": options.width} if options.width else None
    assert default_recipe(options.name, options.dataset, knobs=knobs, **fields) == entry.recipe


def test_a_command_names_switches_and_knobs():
    recipe = default_recipe("alexnet_cifar", flip=False, knobs={"lrn": True}, lr=0.5)
    assert train_command(recipe) == "train alexnet_cifar --set lrn=True --lr 0.5 --no-flip"


def test_a_name_that_is_none_is_refused_and_the_order_is_the_zoos():
    with pytest.raises(CnnvizError, match="no 'lenet6'"):
        find_entries(["lenet6"])
    found = find_entries(["resnet20_cifar", "lenet5"])
    assert [entry.name for entry in found] == ["lenet5", "resnet20_cifar"]
    assert len(find_entries([])) == len(ZOO)


def test_what_decides_no_result_makes_no_other_training():
    recipe = Entry("x", "lenet5_cifar").recipe
    assert same_training(recipe, recipe.changed(compile=True, tensorboard=True))
    assert not same_training(recipe, recipe.changed(seed=1))
