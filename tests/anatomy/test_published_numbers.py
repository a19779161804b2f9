"""Exact numbers of torchvision's networks, as torchvision and the papers publish them."""

import pytest
import torch
import torchvision

from cnnviz.anatomy import trace

pytestmark = pytest.mark.slow

COUNTS = {
    "alexnet": (61_100_840, 714_188_480),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg11_bn": (132_868_840, 7_609_090_048),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg16_bn": (138_365_992, 15_470_264_320),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet152": (60_192_808, 11_513_626_624),
    "convnext_tiny": (28_589_128, 4_455_531_264),
    "convnext_base": (88_591_464, 15_354_729_472),
    "convnext_large": (197_767_336, 34_361_433_600),
}
FIELDS = {
    "alexnet": 195,
    "vgg11": 150,
    "vgg16": 212,
    "vgg19": 268,
    "googlenet": 379,
    "resnet18": 435,
    "resnet34": 899,
    "resnet50": 427,
    "resnet152": 1451,
    "convnext_tiny": 1688,
    "convnext_base": 3416,
}


def on_meta(name, **options):
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, **options)


@pytest.mark.parametrize(("name", "counts"), COUNTS.items())
def test_parameters_and_macs(name, counts):
    found = trace(on_meta(name), (3, 224, 224))
    assert (found.params, found.macs) == counts
    assert found.flops == 2 * counts[1]
    assert found.unknown == ()
    assert sum(layer.params for layer in found.layers) == found.params


@pytest.mark.parametrize(("name", "size"), FIELDS.items())
def test_receptive_field(name, size):
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    assert trace(on_meta(name, **options), (3, 224, 224)).receptive_field == (size, 32)


@pytest.mark.parametrize(("aux", "params"), [(False, 6_624_904), (True, 13_004_888)])
def test_googlenet_with_heads_that_the_pass_does_not_call(aux, params):
    found = trace(on_meta("googlenet", aux_logits=aux, init_weights=False), (3, 224, 224))
    assert (found.params, found.macs) == (params, 1_498_376_192)


def test_convnext_base_at_384():
    assert trace(on_meta("convnext_base"), (3, 384, 384)).macs == 45_122_117_632


def test_operators_outside_leaf_modules():
    model = on_meta("googlenet", init_weights=False)
    leaves = {name for name, module in model.named_modules() if not list(module.children())}
    layers = trace(model, (3, 224, 224)).layers
    outside = [layer.op for layer in layers if layer.module not in leaves]
    assert len(layers) == 197
    assert sorted(set(outside)) == ["cat", "flatten", "relu"]
    assert [outside.count(op) for op in ("relu", "cat", "flatten")] == [57, 9, 1]

    large = on_meta("convnext_large")
    leaves = {name for name, module in large.named_modules() if not list(module.children())}
    layers = trace(large, (3, 224, 224)).layers
    outside = [layer.op for layer in layers if layer.module not in leaves]
    assert (len(layers), len(outside)) == (346, 72)
    assert (outside.count("mul"), outside.count("add_")) == (36, 36)


def test_training_memory_of_resnet50():
    found = trace(on_meta("resnet50"), (3, 224, 224))
    assert found.training_bytes == pytest.approx(86.1e6, rel=1e-3)
    assert found.weight_bytes == 4 * 25_557_032
