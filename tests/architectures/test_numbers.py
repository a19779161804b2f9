"""Parameters and MACs against the papers and torchvision's published metadata."""

import pytest
import torch
import torchvision

from cnnviz import trace
from cnnviz.architectures import build
from cnnviz.architectures.lenet import SimpleLeNet5
from cnnviz.registry import get
from tests.architectures.counting import count, count_network

# name, knobs, parameters, MACs (None where the source states parameters only)
EXACT = [
    ("lenet5", {}, 60_000, 117_600 + 150_000 + 48_000 + 10_080),
    ("lenet5_cifar", {}, 62_006, 651_720),
    ("lenet_modern", {}, 4_547_466, None),
    ("alexnet", {}, 61_100_840, 714_188_480),
    ("alexnet_2012", {}, 60_965_224, 724_406_816),
    ("alexnet_2012", {"groups": 1}, 62_378_344, None),
    ("zfnet", {}, 62_357_608, 1_168_032_896),
    ("vgg11", {}, 132_863_336, 7_609_090_048),
    ("vgg11_bn", {}, 132_868_840, 7_609_090_048),
    ("vgg16", {}, 138_357_544, 15_470_264_320),
    ("vgg16_bn", {}, 138_365_992, 15_470_264_320),
    ("googlenet", {}, 6_624_904, 1_498_376_192),
    ("googlenet", {"aux": True}, 13_004_888, 1_498_376_192),
    ("googlenet_2014", {}, 6_998_552, 1_582_671_872),
    ("googlenet_2014", {"aux": True}, 13_378_280, 1_582_671_872),
    ("resnet18", {}, 11_689_512, 1_814_073_344),
    ("resnet34", {}, 21_797_672, 3_663_761_408),
    ("resnet50", {}, 25_557_032, 4_089_184_256),
    ("resnet152", {}, 60_192_808, 11_513_626_624),
    ("resnet18_cifar", {}, 11_173_962, 555_422_720),
    ("resnet20_cifar", {}, 269_722, 40_551_040),
    ("mobilenet_v1", {}, 4_231_976, 568_740_352),
    ("mobilenet_v1", {"resolution": 192}, 4_231_976, 418_121_728),
    ("mobilenet_v1", {"resolution": 160}, 4_231_976, 290_675_200),
    ("mobilenet_v1", {"resolution": 128}, 4_231_976, 186_400_768),
    ("mobilenet_v1", {"width": 0.5}, 1_331_592, 149_497_088),
    ("mobilenet_v1", {"width": 0.5, "resolution": 128}, 1_331_592, 49_160_192),
    ("mobilenet_v1", {"width": 0.25}, 470_072, 41_030_272),
    ("mobilenet_v1_full", {}, 29_294_088, 4_867_293_184),
    ("convnext_tiny", {}, 28_589_128, 4_455_531_264),
    ("convnext_base", {}, 88_591_464, 15_354_729_472),
    ("convnext_large", {}, 197_767_336, 34_361_433_600),
]

# name, knobs, parameters and MACs in millions as published for 32 × 32, and how far ours may lie
# from them: the sources differ in their linear heads and inception branches.
NEAR = [
    ("alexnet_cifar", {}, 4.6, 219, 0.06),
    ("zfnet_cifar", {}, 5.8, 365, 0.06),
    ("vgg11_bn_cifar", {}, 9.8, 153, 0.01),
    ("vgg13_bn_cifar", {}, 9.9, 229, 0.01),
    ("vgg16_bn_cifar", {}, 15.3, 314, 0.01),
    ("vgg19_bn_cifar", {}, 20.6, 399, 0.01),
    ("googlenet_cifar", {}, 6.2, 1522, 0.06),
    ("resnet34_cifar", {}, 21.3, 1159, 0.01),
    ("resnet50_cifar", {}, 23.5, 1298, 0.01),
    ("resnet56_cifar", {}, 0.86, 126, 0.01),
    ("mobilenet_v1_cifar", {}, 3.2, 46, 0.01),
    ("mobilenet_v1_cifar", {"width": 0.75}, 1.8, 26, 0.02),
    ("mobilenet_v1_cifar", {"width": 0.5}, 0.82, 12, 0.03),
    ("mobilenet_v1_cifar", {"width": 0.25}, 0.22, 3.3, 0.03),
    ("convnext_tiny_cifar", {}, 27.8, 363, 0.01),
    ("convnext_atto_cifar", {}, 3.4, 44, 0.01),
]


@pytest.mark.parametrize(("name", "knobs", "parameters", "macs"), EXACT)
def test_parameters_and_macs_are_exact(name, knobs, parameters, macs):
    counted = count(name, **knobs)
    assert counted[0] == parameters
    assert macs is None or counted[1] == macs


@pytest.mark.parametrize(("name", "knobs", "parameters", "macs", "tolerance"), NEAR)
def test_small_editions_are_the_size_of_the_published_ones(
    name, knobs, parameters, macs, tolerance
):
    counted = count(name, **knobs)
    assert counted[0] / 1e6 == pytest.approx(parameters, rel=tolerance)
    assert counted[1] / 1e6 == pytest.approx(macs, rel=tolerance)


def test_auxiliary_heads_cost_when_they_run():
    assert count("googlenet", aux=True, training=True)[1] == 1_506_748_416


def test_convnext_base_at_384_pixels():
    with torch.device("meta"):
        network, image = build("convnext_base").eval(), torch.empty(1, 3, 384, 384)
    assert count_network(network, image)[1] == 45_122_117_632


def test_simple_lenet_with_one_channel():
    assert count_network(SimpleLeNet5(in_channels=1), torch.zeros(1, 1, 32, 32)) == (
        61_706,
        416_520,
    )


TORCHVISION = [
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
]


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_variants_take_the_published_weights(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None)
        ours = build(name)
    shapes = [(key, value.shape) for key, value in theirs.state_dict().items()]
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == shapes
    published = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta["num_params"]
    assert sum(p.numel() for p in ours.parameters()) == published


def test_googlenet_takes_the_published_weights():
    with torch.device("meta"):
        theirs = torchvision.models.GoogLeNet(init_weights=False, aux_logits=True)
        ours = build("googlenet", aux=True)
    assert ours.load_state_dict(theirs.state_dict(), assign=True).missing_keys == []


def test_alexnet_2012_layer_by_layer():
    with torch.device("meta"):
        network = build("alexnet_2012")
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [
        *(34_944, 307_456, 885_120, 663_936, 442_624),
        *(37_752_832, 16_781_312, 4_097_000),
    ]


# Size in pixels on the last spatial map; every jump is 32.
RECEPTIVE_FIELDS = {
    **{"alexnet": 195, "alexnet_2012": 195, "zfnet": 171},
    **{"vgg11": 150, "vgg16": 212, "vgg19": 268},
    **{"googlenet": 379, "googlenet_2014": 715},
    **{"resnet18": 435, "resnet34": 899, "resnet50": 427, "resnet152": 1451},
    **{"mobilenet_v1": 315, "convnext_tiny": 1688, "convnext_base": 3416},
}


@pytest.mark.parametrize(("name", "size"), RECEPTIVE_FIELDS.items())
def test_receptive_field_of_the_last_map(name, size):
    with torch.device("meta"):
        network = build(name)
    assert trace(network, get(name).input_size).receptive_field == (size, 32)
