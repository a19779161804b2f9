"""Backward rules: each operator's, in every form, with the forward pass untouched."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from cnnviz import trace
from cnnviz.anatomy import OperatorRecorder
from cnnviz.architectures.layers import LocalResponseNorm
from cnnviz.errors import CnnvizError
from cnnviz.sight import RULES, backward_rule
from tests.sight.nets import FAMILIES, ODD, family, odd

RELUS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "function in place": lambda x: F.relu(x, inplace=True),
    "keyword": lambda x: F.relu(input=x),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "result thrown away": lambda x: (x.relu_(), x)[1],
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min_": lambda x: x.clamp_min_(0.0),
    "clip": lambda x: torch.clip(x, 0),
    "threshold": nn.Threshold(0, 0),
    "threshold by keyword": lambda x: F.threshold(x, threshold=0.0, value=0.0),
    "aten": torch.ops.aten.relu,
}
RECTIFIERS = {
    "relu6": nn.ReLU6(),
    "relu6 in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "clamp": lambda x: x.clamp(0, 1),
    "gelu": nn.GELU(),
    "gelu tanh": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "silu in place": nn.SiLU(inplace=True),
    "hardswish": nn.Hardswish(),
    "leaky": nn.LeakyReLU(0.1),
    "sigmoid": nn.Sigmoid(),
    "sigmoid method": lambda x: x.sigmoid_(),
}


def carried_back(function, x, signal, rule):
    leaf = x.clone().requires_grad_()
    with backward_rule(rule):
        output = function(leaf * 1)  # in-place operators may not write to a leaf
    (back,) = torch.autograd.grad(output, leaf, signal)
    return output.detach(), back


@pytest.fixture
def x():
    return 3 * torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def signal():
    return torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("form", RELUS)
def test_relu_follows_the_rule_in_every_form(form, x, signal):
    wanted = {
        "gradient": signal * (x > 0),
        "deconvnet": signal.clamp(min=0),
        "guided": signal.clamp(min=0) * (x > 0),
    }
    for rule in RULES:
        output, back = carried_back(RELUS[form], x, signal, rule)
        assert torch.equal(output, x.clamp(min=0))
        assert torch.equal(back, wanted[rule])


@pytest.mark.parametrize("form", RECTIFIERS)
def test_what_rectifies_in_spirit_has_the_relu_rule(form, x, signal):
    true, derivative = carried_back(RECTIFIERS[form], x, signal, "gradient")
    output, back = carried_back(RECTIFIERS[form], x, signal, "deconvnet")
    assert torch.equal(output, true)
    assert torch.equal(back, signal.clamp(min=0))
    assert not torch.equal(back, derivative)
    guided = carried_back(RECTIFIERS[form], x, signal, "guided")[1]
    assert torch.equal(guided, signal.clamp(min=0) * (true > 0))


@pytest.mark.parametrize("tanh", [nn.Tanh(), torch.tanh, F.tanh, lambda x: x.tanh_()])
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_tanh_passes_the_signal_on(tanh, rule, x, signal):
    output, back = carried_back(tanh, x, signal, rule)
    assert torch.equal(output, torch.tanh(x))
    assert torch.equal(back, signal)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(-1, 1),
        lambda x: F.threshold(x, 0.5, 0.0),
        lambda x: x.clamp(max=0),
        lambda x: x * x,
        lambda x: x.square() * x,
    ],
)
def test_other_operators_keep_their_derivatives(function, x, signal):
    wanted = carried_back(function, x, signal, "gradient")[1]
    assert torch.equal(carried_back(function, x, signal, "deconvnet")[1], wanted)


@pytest.mark.parametrize(
    "norm", [LocalResponseNorm(), nn.LocalResponseNorm(5), LocalResponseNorm(4)]
)
def test_response_normalisation_is_the_identity_backwards(norm, x, signal):
    true, derivative = carried_back(norm, x, signal, "gradient")
    output, back = carried_back(norm, x, signal, "deconvnet")
    assert torch.equal(output, true)
    assert torch.equal(back, signal)
    assert not torch.allclose(derivative, signal)


@pytest.mark.parametrize("affine", [True, False])
def test_layer_normalisation_is_scaled_by_its_frozen_deviation(affine, x, signal):
    norm = nn.LayerNorm(4, elementwise_affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    output, back = carried_back(norm, x, signal, "deconvnet")
    assert torch.equal(output, norm(x))
    deviation = (x.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    gamma = norm.weight if affine else 1
    torch.testing.assert_close(back, (signal * gamma / deviation).detach())


def test_layer_normalisation_of_maps(x, signal):
    norm = LayerNorm2d(6, eps=1e-6)
    nn.init.normal_(norm.weight)
    back = carried_back(norm, x, signal, "guided")[1]
    deviation = (x.var(1, correction=0, keepdim=True) + norm.eps).sqrt()
    wanted = signal * norm.weight.view(1, -1, 1, 1) / deviation
    torch.testing.assert_close(back, wanted.detach())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("rule", RULES)
def test_the_forward_pass_is_bit_identical(name, rule):
    model, images = family(name)
    wanted = model(images).detach()
    with backward_rule(rule):
        assert torch.equal(model(images), wanted)


@pytest.mark.parametrize("name", ODD)
def test_the_forward_pass_of_odd_networks_is_bit_identical(name):
    model, images = odd(name)
    wanted = model(images.clone()).detach()
    for rule in RULES:
        with backward_rule(rule):
            assert torch.equal(model(images.clone()), wanted)


def test_a_view_can_be_rectified_in_place(x, signal):
    def half(tensor):
        tensor = tensor.clone()
        tensor[:, :3].relu_()
        return tensor

    output, back = carried_back(half, x, signal, "deconvnet")
    assert torch.equal(output[:, :3], x[:, :3].relu())
    assert torch.equal(back[:, :3], signal[:, :3].clamp(min=0))
    assert torch.equal(back[:, 3:], signal[:, 3:])


def test_nothing_is_left_after_an_exception(x, signal):
    before = torch.overrides._len_torch_function_stack()
    with pytest.raises(ZeroDivisionError), backward_rule("deconvnet"):
        raise ZeroDivisionError
    assert torch.overrides._len_torch_function_stack() == before
    leaf = x.clone().requires_grad_()
    (back,) = torch.autograd.grad(F.relu(leaf), leaf, signal)
    assert torch.equal(back, signal * (x > 0))


def test_it_works_inside_and_outside_of_other_modes(x, signal):
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(6, 6, 1), nn.ReLU())
    weight = model[1].weight.detach()
    leaf = x.clone().requires_grad_()
    for outer_first in (True, False):
        recorder = OperatorRecorder(model)
        first, second = (recorder, backward_rule("deconvnet"))[:: 1 if outer_first else -1]
        with first, second:
            output = model(leaf)
        (back,) = torch.autograd.grad(output, leaf, signal)
        wanted = F.conv_transpose2d(signal.clamp(min=0), weight).clamp(min=0)
        torch.testing.assert_close(back, wanted)
    assert [call.op for call in recorder.calls] == ["relu", "conv2d", "relu"]


def test_the_backward_pass_may_run_in_the_context(x, signal):
    leaf = x.clone().requires_grad_()
    with backward_rule("guided"):
        (back,) = torch.autograd.grad(F.relu(leaf), leaf, signal)
    assert torch.equal(back, signal.clamp(min=0) * (x > 0))


def test_a_vectorised_backward_pass_may_run_in_the_context(x, signal):
    leaf, signals = x.clone().requires_grad_(), torch.stack([signal, -signal])
    with backward_rule("deconvnet"):
        output = F.relu(leaf)
        (back,) = torch.autograd.grad(output, leaf, signals, is_grads_batched=True)
    assert torch.equal(back, signals.clamp(min=0))


def test_parameters_get_gradients_too(x):
    conv = nn.Conv2d(6, 2, 1)
    with backward_rule("deconvnet"):
        output = F.relu(conv(x))
    output.sum().backward()
    wanted = torch.ones(2) * 2 * 5 * 4  # deconvnet ignores where the ReLU was open
    torch.testing.assert_close(conv.bias.grad, wanted)


def test_every_activation_and_norm_of_the_networks_has_a_rule():
    """A family with an operator of these kinds that no rule knows must be noticed."""
    from cnnviz.sight.backward.rules import _SWAPPED

    for name in FAMILIES:
        model, images = family(name)
        for layer in trace(model, tuple(images.shape[1:])).layers:
            if layer.kind == "activation":
                assert layer.op.removesuffix("_") in _SWAPPED, (name, layer.op)
            if layer.kind == "norm":
                assert layer.op in {"batch_norm", "layer_norm"}, (name, layer.op)


def test_an_unknown_rule_is_refused():
    with pytest.raises(CnnvizError, match="deconvnet, guided or gradient"):
        backward_rule("smooth")


# Normalisations by an image's own statistics, and the choice for local responses


@pytest.mark.parametrize(
    "norm",
    [
        nn.GroupNorm(2, 6),
        nn.InstanceNorm2d(6, affine=True),
        nn.InstanceNorm2d(6),
        nn.RMSNorm((5, 5)),
        nn.LayerNorm((6, 5, 5)),
    ],
)
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_statistics_of_an_image_are_held_fixed(norm, rule):
    torch.manual_seed(0)
    norm = norm.double().eval()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    with backward_rule(rule):
        output = norm(leaf)
    assert torch.equal(output, norm(x))
    signal = torch.randn_like(x)
    (got,) = torch.autograd.grad(output, leaf, signal)
    # With its statistics fixed a normalisation is linear, with a slope that two points show.
    bias = getattr(norm, "bias", None)
    shift = 0 if bias is None else bias.reshape(-1, 1, 1) if bias.dim() == 1 else bias
    means = {
        nn.GroupNorm: lambda: x.reshape(2, 2, -1).mean(2).repeat_interleave(3, 1)[..., None, None],
        nn.InstanceNorm2d: lambda: x.mean((2, 3), keepdim=True),
        nn.LayerNorm: lambda: x.mean((1, 2, 3), keepdim=True),
        nn.RMSNorm: lambda: 0,
    }
    slope = (norm(x) - shift) / (x - means[type(norm)]())
    torch.testing.assert_close(got, signal * slope.detach())


def test_an_instance_norm_with_running_statistics_keeps_its_exact_gradient():
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(3, affine=True, track_running_stats=True).eval()
    norm.running_var.uniform_(0.5, 2)
    leaf = torch.randn(1, 3, 4, 4, requires_grad=True)
    signal = torch.randn(1, 3, 4, 4)
    with backward_rule("deconvnet"):
        (got,) = torch.autograd.grad(norm(leaf), leaf, signal)
    torch.testing.assert_close(got, torch.autograd.grad(norm(leaf), leaf, signal)[0])


@pytest.mark.parametrize("norm", [nn.LocalResponseNorm(3), LocalResponseNorm(3, 1e-2, 0.75, 2.0)])
def test_local_response_normalisation_can_have_its_true_gradient(norm):
    torch.manual_seed(0)
    leaf = torch.randn(1, 6, 3, 3, requires_grad=True)
    signal = torch.randn(1, 6, 3, 3)
    (true,) = torch.autograd.grad(norm(leaf), leaf, signal)
    with backward_rule("deconvnet", lrn="gradient"):
        (got,) = torch.autograd.grad(norm(leaf), leaf, signal)
    torch.testing.assert_close(got, true)
    with backward_rule("deconvnet"):
        (passed,) = torch.autograd.grad(norm(leaf), leaf, signal)
    assert torch.equal(passed, signal)
    with pytest.raises(CnnvizError, match="identity or gradient"):
        backward_rule("deconvnet", lrn="none")
