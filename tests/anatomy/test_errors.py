"""Every bad input leads to one sentence that says what is wrong."""

import pytest
import torch
import torchvision
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import check_input_size, parse_input_size, trace
from cnnviz.anatomy.inputs import Place
from cnnviz.architectures import list_variants
from cnnviz.errors import CnnvizError
from cnnviz.networks.catalogue import inspect_variant


def message(model, size):
    with pytest.raises(CnnvizError) as caught:
        trace(model, size)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_input_too_small_names_the_layer():
    with torch.device("meta"):
        model = torchvision.models.vgg16()
    assert message(model, (3, 16, 16)) == (
        "A 16 × 16 input is too small for VGG: its fifth pool (features.30) would be empty."
    )
    small = nn.Sequential(nn.Conv2d(1, 4, 9))
    assert "too small for Sequential: its first convolution (0)" in message(small, (1, 4, 4))


class Cropped(nn.Module):
    """Cuts a border off before a global pool, which makes a number of an empty map, a NaN."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.pool(x[:, :, 2:-2, 2:-2])


@pytest.mark.parametrize("side", [3, 4])
def test_an_empty_map_is_caught_before_a_pool_hides_it(side):
    assert message(Cropped(), (1, side, side)) == (
        f"A {side} × {side} input is too small for Cropped: its layer getitem (getitem) would be "
        "empty."
    )
    assert trace(Cropped(), (1, 5, 5)).layer("getitem").output_shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "first"), (10, "tenth"), (11, "11th"), (21, "21st"), (112, "112th"), (53, "53rd")],
)
def test_places_are_counted_in_words(number, word):
    assert Place("a.b", "conv2d", number).in_words() == f"{word} convolution (a.b)"


@pytest.mark.slow
@pytest.mark.parametrize("name", [variant.name for variant in list_variants()])
def test_no_variant_has_an_empty_map(name):
    channels = registry.get(name).input_size[0]
    for side in (1, 16):
        try:
            traced = inspect_variant(name, (channels, side, side))
        except CnnvizError as error:
            assert "too small" in str(error) or "does not fit" in str(error)  # noqa: PT017
            assert f" {name}: its " in str(error)  # noqa: PT017
        else:
            assert all(0 not in layer.output_shape for layer in traced.layers)


def test_the_reason_names_the_variant_and_the_pool():
    with pytest.raises(CnnvizError) as caught:
        inspect_variant("vgg16", (3, 16, 16))
    assert str(caught.value) == (
        "A 16 × 16 input is too small for vgg16: its fifth pool (features.30) would be empty."
    )


def test_wrong_channels():
    assert message(torchvision.models.resnet18(), (1, 64, 64)) == (
        "The input 1x64x64 does not fit ResNet: its layer conv1 (conv2d) expects 3 channels and "
        "would get 1."
    )


def test_wrong_features():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 5))
    assert trace(model, (3, 8, 8)).macs > 0
    assert "its layer 2 (linear) expects 72 features and would get 128." in message(
        model, (3, 10, 10)
    )


def test_other_refusals_name_layer_and_shape():
    text = message(nn.Sequential(nn.LayerNorm([3, 8, 8])), (3, 9, 9))
    assert "its layer 0 (layer_norm) refuses an input of shape 1×3×9×9" in text


def test_batch_norm_of_another_width():
    text = message(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(5)), (3, 8, 8))
    assert "its layer 1 (batch_norm) refuses an input of shape 1×4×6×6 (running_mean should" in text


def test_the_networks_own_complaint():
    with torch.device("meta"):
        model = torchvision.models.vit_b_32()
    assert "VisionTransformer cannot run on an input of 3x32x32: Wrong image height" in message(
        model, (3, 32, 32)
    )


def test_values_needed_on_the_meta_device():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, device="meta"))

        def forward(self, x):
            return x if (x * self.weight).sum() > 0 else -x

    assert "item" in message(Gated(), (3, 4, 4))


def test_networks_that_cannot_be_traced():
    assert "lazy" in message(nn.Sequential(nn.LazyConv2d(4, 3)), (3, 8, 8))
    assert "no operator" in message(nn.Identity(), (3, 8, 8))
    assert "not a str" in message("resnet18", (3, 8, 8))


@pytest.mark.parametrize(
    "size",
    [(3, 224), (3, 0, 224), (3, -1, 5), (3.0, 224, 224), (True, 8, 8), "3x8", None, (1, 8, 10**6)],
)
def test_sizes_that_are_none(size):
    with pytest.raises(CnnvizError, match="three whole numbers"):
        check_input_size(size)


@pytest.mark.parametrize("text", ["3x224x224", " 3 × 224X224 "])
def test_sizes_as_text(text):
    assert parse_input_size(text) == (3, 224, 224)


@pytest.mark.parametrize("text", ["", "224x224", "3x224x224x1", "3x-1x4", "axbxc", "3x0x4", "٣x4"])
def test_text_that_is_no_size(text):
    with pytest.raises(CnnvizError):
        parse_input_size(text)
