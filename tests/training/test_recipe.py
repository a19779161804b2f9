"""Recipes: checked, complete for every variant, and honest about what is wrong."""

import pytest
import torch
from torch import nn

from cnnviz import architectures
from cnnviz.errors import CnnvizError
from cnnviz.training import recipe as recipes


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
    default = recipes.default_recipe("resnet20_cifar")
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
    ],
)
def test_what_cannot_be_is_refused_by_name(change, message):
    with pytest.raises(CnnvizError, match=message):
        recipes.default_recipe("resnet20_cifar").changed(**change)


def test_precision_avoids_bf16_for_depthwise_networks_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    cpu = torch.device("cpu")
    dense = nn.Conv2d(8, 8, 3)
    depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    assert recipes.choose_precision("auto", dense, cpu) == "bf16"
    assert recipes.choose_precision("auto", depthwise, cpu) == "fp32"
    assert recipes.choose_precision("bf16", depthwise, cpu) == "bf16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert recipes.choose_precision("auto", dense, cpu) == "fp32"
