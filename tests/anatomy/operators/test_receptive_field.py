"""Receptive fields by hand, and against what the gradient reaches."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnnviz.anatomy import trace


class Apply(nn.Module):
    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


def last(function, *modules, size=(4, 32, 32)):
    layer = trace(Apply(function, *modules), size).layers[-1]
    return layer.receptive_field, layer.jump, layer.note


def conv(kernel=3, stride=1, channels=4, **options):
    return nn.Conv2d(channels, channels, kernel, stride, **options)


@pytest.mark.parametrize(
    ("function", "modules", "expected"),
    [
        (lambda x, c: c(x)[:, :, ::2, ::2], [conv()], (3, 2, "")),
        (lambda x, c: F.pad(c(x), (0, 0, 0, 0, 2, 2)), [conv()], (3, 1, "")),
        (lambda x, c: c(x).index_select(1, torch.tensor([2, 0])), [conv()], (3, 1, "")),
        (
            lambda x, c: c(x).index_select(2, torch.tensor([2, 0])),
            [conv()],
            (None, None, "unaligned"),
        ),
        (lambda x, a, b: a(x)[:, :, 1:-1, 1:-1] + b(x), [conv(1), conv()], (3, 1, "")),
        (lambda x, a, b: torch.cat([a(x), b(x)], 1), [conv(5, padding=2), conv(3, padding=1)],
         (5, 1, "")),
        (lambda x, a, b: a(x)[:, :, :7, :7] + b(x)[:, :, :7, :7], [conv(3, 2), conv(3, 4)],
         (None, None, "unaligned")),
        (lambda x, c: torch.cat(c(x).chunk(2, 1)[::-1], 1), [conv()], (3, 1, "")),
        (lambda x, c: c(x).view(1, 2, 2, 30, 30).transpose(1, 2).reshape(1, 4, 30, 30), [conv()],
         (3, 1, "")),
        (lambda x, c: F.layer_norm(c(x).permute(0, 2, 3, 1), (4,)), [conv()], (3, 1, "")),
        (lambda x, c: F.layer_norm(c(x), (4, 30, 30)), [conv()], (None, None, "whole input")),
        (lambda x, c: F.group_norm(c(x), 2), [conv()], (None, None, "whole input")),
        (lambda x, c: c(x).permute(0, 2, 3, 1) @ torch.ones(4, 7), [conv()], (3, 1, "")),
        (lambda x, c: c(x) * torch.sigmoid(c(x).mean((2, 3), keepdim=True)), [conv()],
         (None, None, "whole input")),
        (lambda x, c: torch.einsum("nchw,cd->ndhw", c(x), torch.ones(4, 2)), [conv()], (3, 1, "")),
        (lambda x, c: torch.einsum("nchw,hd->ncdw", c(x), torch.ones(30, 2)), [conv()],
         (None, None, "whole input")),
        (lambda x, c: c(x).flatten(1), [conv()], (None, None, "whole input")),
        (lambda x, c: F.adaptive_avg_pool2d(c(x), 30), [conv()], (3, 1, "")),
        (lambda x, c: F.adaptive_avg_pool2d(c(x), 15), [conv()], (4, 2, "")),
        (lambda x, c: F.adaptive_avg_pool2d(c(x), 1), [conv()], (None, None, "whole input")),
        (lambda x, c: F.avg_pool2d(c(x), 30), [conv()], (None, None, "whole input")),
        (lambda x, c: F.max_pool2d(c(x), 30), [conv()], (32, 30, "")),  # as with a larger map
        (lambda x, c: F.pixel_unshuffle(c(x), 2), [conv()], (4, 2, "")),
        (lambda x, c: F.pixel_shuffle(c(x), 2), [conv(3, 2)], (4, 1, "")),
        (lambda x, c: F.interpolate(c(x), scale_factor=2), [conv(3, 2)], (4, 1, "")),
        (lambda x, c: c(x).reshape(1, 4, 15, 2, 15, 2), [conv()], (4, 2, "")),
        (lambda x, c: c(x).roll(1, 3), [conv()], (None, None, "unaligned")),
        (lambda x, c: c(x), [conv((1, 7), padding=(0, 3))], (7, 1, "")),
        (lambda x, c: torch.ones(3) * c.weight.sum(), [conv()], (None, None, "constant")),
    ],
)  # fmt: skip
def test_rules(function, modules, expected):
    assert last(function, *modules) == expected


def test_the_field_of_the_network_is_that_of_its_last_map():
    model = nn.Sequential(conv(3, 2), conv(3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = trace(model, (4, 32, 32))
    assert found.receptive_field == (7, 4)
    assert [layer.note for layer in found.layers] == ["", "", "whole input", "whole input"]


def test_a_network_without_maps_has_none():
    assert trace(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), (3, 4, 4)).receptive_field is None


@st.composite
def straight_nets(draw):
    """Chains of sliding operators without loss of reach, one dimension each way alike."""
    steps = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "depthwise", "avg", "max", "up", "residual"]))
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        if kind == "conv":
            padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
            steps.append(nn.Conv2d(2, 2, kernel, stride, padding, dilation))
        elif kind == "depthwise":
            steps.append(nn.Conv2d(2, 2, kernel, stride, kernel // 2, groups=2))
        elif kind in ("avg", "max"):
            steps.append(nn.AvgPool2d(kernel, stride))
        elif kind == "up":
            steps.append(nn.ConvTranspose2d(2, 2, kernel + stride - 1, stride))
        else:
            inner = nn.Conv2d(2, 2, 2 * (kernel // 2) + 1, padding=kernel // 2)
            steps.append(Apply(lambda x, module: x + module(x), inner))
    return nn.Sequential(*steps)


def reach(model, image, output_at):
    """Rows of the input on which an output row depends."""
    gradient = torch.autograd.grad(model(image)[0, :, output_at].sum(), image)[0]
    rows = gradient.abs().sum((0, 1, 3)).nonzero()
    return int(rows.min()), int(rows.max())


@settings(max_examples=40, deadline=None)
@given(straight_nets())
def test_the_gradient_stays_inside_and_fills_the_window(model):
    model = model.double()
    for parameter in model.parameters():  # positive, so that nothing cancels
        torch.nn.init.uniform_(parameter, 0.5, 1.0)
    size, jump = trace(model, (2, 96, 4 + 92)).receptive_field
    image = torch.rand(1, 2, 96, 96, dtype=torch.float64, requires_grad=True)
    middle = model(image).shape[2] // 2
    low, high = reach(model, image, middle)
    assert high - low + 1 <= size
    if not any(isinstance(step, nn.ConvTranspose2d) for step in model) and low > 0 and high < 95:
        assert high - low + 1 == size
        assert reach(model, image, middle + 1)[0] - low == jump


class Squeezing(nn.Module):
    """Squeeze-and-excitation between two convolutions: the second one sees the whole input."""

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(), conv()

    def forward(self, x):
        x = self.first(x)
        return self.second(x * torch.sigmoid(x.mean((2, 3), keepdim=True)))


def test_the_last_map_without_a_known_field_hides_those_before_it():
    traced = trace(Squeezing(), (4, 32, 32))
    assert traced.layer("first").receptive_field == 3
    assert traced.receptive_field is None  # not the 3 of the first: of the last map none is known
    assert trace(nn.Sequential(conv(), conv()), (4, 32, 32)).receptive_field == (5, 1)


def test_tokens_after_attention_have_no_field():
    attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    model = Apply(lambda x, c, a: a(c(x).flatten(2).transpose(1, 2)), conv(4, 4), attention)
    assert trace(model, (4, 32, 32)).receptive_field is None
