"""Recipes: checked, complete for every variant, and honest about what is wrong."""

import pytest

from cnnviz import architectures
from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT
from cnnviz.training import recipe as recipes
from cnnviz.training.saved.checkpoints import read_checkpoint


@pytest.mark.parametrize("variant", [v.name for v in architectures.list_variants()])
@pytest.mark.parametrize("dataset", ["cifar10", "digits"])
def test_every_variant_has_a_recipe(variant, dataset):
    recipe = recipes.default_recipe(variant, dataset)
    assert (recipe.variant, recipe.dataset) == (variant, dataset)
    assert recipes.parse_recipe(recipe.model_dump()) == recipe


def test_a_mirrored_digit_is_no_digit():
    assert not recipes.default_recipe("lenet5", "digits").flip
    assert recipes.default_recipe("resnet20_cifar").flip


def test_none_leaves_the_default():
    default = recipes.default_recipe("resnet20_cifar", holdout=None)
    assert default.holdout == 5_000
    assert recipes.default_recipe("resnet20_cifar", epochs=None, seed=3) == default.changed(seed=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"lr": -1}, "lr: "),
        ({"lr": float("nan")}, "lr: "),
        ({"dataset": "mnist"}, "known: cifar10, digits"),
        ({"variant": "resnet21_cifar"}, "did you mean"),
        ({"optimizer": "muon"}, "optimizer: "),
        ({"colour": 1}, "colour: "),
        ({"knobs": {"width": 2}}, "no knob 'width'"),
        ({"seed": -1}, "seed: "),
        ({"holdout": 49_999}, "49,999 of the 50,000 training images of cifar10 cannot be held out"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change, message):
    with pytest.raises(CnnvizError, match=message):
        recipes.default_recipe("resnet20_cifar").changed(**change)


def test_the_chapter_s_recipe():
    """Its transforms and weights (chapter, AlexNet): resize 70, crop 64, nothing else."""
    recipe = recipes.named_recipes("alexnet")["chapter"]
    assert (recipe.resize, recipe.crop, recipe.weights) == (70, 64, "imagenet")
    assert (recipe.resized, recipe.input_size) == ((70, 70), (64, 64))
    assert (recipe.flip, recipe.crop_padding, recipe.cutout, recipe.mixup) == (False, 0, 0, 0)
    assert not recipe.freeze


def test_cifar_10_is_normalised_as_in_the_chapter():
    card = read_checkpoint(ROOT / "checkpoints" / "resnet20_cifar").card  # the data set's own
    assert tuple(round(m, 4) for m in card.mean) == (0.4914, 0.4822, 0.4465)
    assert tuple(round(s, 4) for s in card.std) == (0.2470, 0.2435, 0.2616)


def test_every_network_with_published_weights_can_be_fine_tuned_and_no_other():
    for variant in architectures.list_variants():
        names = set(recipes.named_recipes(variant.name))
        assert names == ({"default", "chapter"} if variant.weights else {"default"})
        assert set(recipes.named_recipes(variant.name, "digits")) == {"default"}
    with pytest.raises(CnnvizError, match="lenet5 on cifar10 cannot be trained so"):
        recipes.default_recipe("lenet5", recipe="chapter")
    with pytest.raises(CnnvizError, match="known: default, chapter"):
        recipes.default_recipe("alexnet", recipe="chapters")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 300}, "crop: 300 is more than the side 224"),
        ({"resize": 60, "crop": 64}, "crop: 64 is more than the side 60"),
        ({"freeze": True}, "freeze needs trained weights"),
        ({"weights": "../x"}, "weights: "),
        ({"weights": "imagenet", "variant": "lenet5"}, "lenet5 has no published weights"),
    ],
)
def test_fine_tuning_that_cannot_be_is_refused(change, message):
    with pytest.raises(CnnvizError, match=message):
        recipes.default_recipe("alexnet").changed(**change)


def test_every_setting_can_be_offered():
    offered = {item.name: item for item in recipes.settings()}
    assert offered["weights"].kind is str
    assert offered["weights"].choices == ()
    assert offered["precision"].choices == ("auto", "fp32", "bf16", "fp16")
    assert (offered["mixup"].low, offered["mixup"].high) == (0, 10)
