"""Projections: the mathematical properties, on odd networks and on every family."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import cnnviz
from cnnviz import trace
from cnnviz.architectures.lenet import C3_TABLE
from cnnviz.errors import CnnvizError
from cnnviz.sight import RULES, backward_rule, project
from cnnviz.sight.backward.passes import find_sites, frozen_twin, run_to
from tests.sight.nets import FAMILIES, family, odd


def carry(model, images, signal_of, rule="deconvnet"):
    """The signal (a function of the output) brought back to the pixels, by the bare context."""
    leaf = images.clone().requires_grad_()
    with backward_rule(rule):
        output = model(leaf * 1)
    return torch.autograd.grad(output, leaf, signal_of(output.detach()))[0]


def one_hot(output, places):
    """Keep one value of each image's maps (N, K, H, W), given as (unit, row, column)."""
    kept = torch.zeros_like(output)
    for image, place in enumerate(places):
        kept[(image, *place)] = output[(image, *place)]
    return kept


def last_layer(model, images):
    return trace(model, tuple(images.shape[1:])).layers[-1].path


# 1 and 2: linear algebra


def test_without_relu_it_is_the_gradient_and_the_adjoint():
    model, images = odd("Pools")
    path = last_layer(model, images)
    deconvnet = project(model, images, path, [0, 3])
    assert torch.equal(deconvnet.pixels, project(model, images, path, [0, 3], "gradient").pixels)
    direction = torch.randn_like(images)
    _, pushed = torch.func.jvp(model, (images,), (direction,))
    signal = torch.randn_like(pushed)
    left, right = (
        (pushed * signal).sum(),
        (direction * carry(model, images, lambda _: signal)).sum(),
    )
    assert abs(left - right) <= 1e-12 * (pushed.norm() * signal.norm())


@pytest.mark.parametrize("name", ["Functional", "PreActivation", "Dense", "Smooth"])
def test_positively_homogeneous_but_not_additive(name):
    model, images = odd(name)
    first, second = torch.randn(2, *model(images.clone()).shape, dtype=torch.float64)
    one, other = (carry(model, images, lambda _, s=s: s) for s in (first, second))
    torch.testing.assert_close(carry(model, images, lambda _: 2.5 * first), 2.5 * one)
    together = carry(model, images, lambda _: first + second)
    assert (together - one - other).norm() > 1e-3 * together.norm()


# 3: support


@pytest.mark.parametrize("name", ["vgg11_cifar", "zfnet_cifar", "resnet20_cifar"])
def test_support_is_inside_the_receptive_field(name):
    model, images = family(name)
    seen = 0
    for layer in trace(model, tuple(images.shape[1:])).layers:
        if layer.receptive_field is None or layer.receptive_field >= 32 or layer.kind == "reshape":
            continue
        middle = torch.tensor(layer.output_shape[2:]) // 2
        at = middle.expand(1, 2, 2)
        pixels = project(model, images, layer.path, [1], positions=at).pixels[0, 0]
        touched = pixels.abs().sum(0).nonzero()
        if len(touched):
            extent = touched.max(0).values - touched.min(0).values + 1
            assert extent.max() <= layer.receptive_field, layer.path
            seen += 1
    assert seen >= 4


def test_support_is_exactly_where_arithmetic_puts_it():
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
    ).eval()
    # Field 17, jump 4, first position centred on pixel 0: 8 = (5-1)/2 + 2·1 + 4·1 pixels each way.
    images = torch.randn(1, 3, 48, 48)
    for row, column in ((5, 6), (4, 7), (6, 5)):
        box = torch.zeros(48, 48, dtype=torch.bool)
        box[4 * row - 8 : 4 * row + 9, 4 * column - 8 : 4 * column + 9] = True
        at = [[[row, column]]] * 4
        pixels = project(model, images, "3", range(4), "deconvnet", at).pixels
        assert pixels.abs().sum() > 0
        assert (pixels[..., ~box] == 0).all()


# 4 to 6: what it must equal


@pytest.mark.parametrize("name", ["alexnet_cifar", "vgg11_cifar", "convnext_atto_cifar"])
def test_first_layer_is_the_filter_pasted_in_place(name):
    model, images = family(name)
    path, conv = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    found = project(model, images, path, [0, 2])
    for i, unit in enumerate((0, 2)):
        for n in range(2):
            canvas = torch.zeros(3, 60, 60)
            row, column = (
                int(p) * s - b + 12
                for p, s, b in zip(found.positions[i, n], conv.stride, conv.padding, strict=True)
            )
            height, width = conv.kernel_size
            filled = found.activations[i, n] * conv.weight[unit].detach()
            canvas[:, row : row + height, column : column + width] = filled
            assert torch.equal(found.pixels[i, n], canvas[:, 12:44, 12:44])


def test_folding_batch_normalisation_changes_nothing():
    model, images = family("vgg11_bn_cifar")
    model, images = model.double(), images.double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    layers, folded = list(model.features), []
    for first, second in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(first, nn.BatchNorm2d):
            continue
        fuse = isinstance(second, nn.BatchNorm2d)
        folded.append(fuse_conv_bn_eval(first, second) if fuse else first)
    with_norm = project(model.features, images, "9", [1, 5])
    index = str(len([m for m in layers[:9] if not isinstance(m, nn.BatchNorm2d)]) - 1)
    without = project(nn.Sequential(*folded).eval(), images, index, [1, 5])
    assert with_norm.pixels.abs().sum() > 0
    torch.testing.assert_close(with_norm.pixels, without.pixels)


def test_all_relus_open_makes_deconvnet_and_guided_agree():
    model, images = family("vgg11_cifar")
    for index, bias in ((0, 1e2), (3, 1e4)):  # each larger than what its filters can take away
        nn.init.constant_(model.features[index].bias, bias)
    deconvnet, guided, gradient = (
        project(model, images, "features.6", [0, 3], rule).pixels for rule in RULES
    )
    assert torch.equal(deconvnet, guided)
    assert not torch.equal(deconvnet, gradient)


def test_a_signal_that_goes_around_the_relu_is_kept():
    model, images = odd("PreActivation")
    found = project(model, images, "add", [2])
    places = [(2, *map(int, place)) for place in found.positions[0]]
    signal = one_hot(model(images).detach(), places)
    branch = F.conv_transpose2d(signal, model.conv2.weight, padding=1).clamp(min=0)
    branch = F.conv_transpose2d(branch, model.conv1.weight, padding=1).clamp(min=0)
    wanted = F.conv_transpose2d(signal + branch, model.stem.weight, padding=1)
    torch.testing.assert_close(found.pixels[0], wanted.detach())


def test_a_network_that_overwrites_its_input():
    model, images = odd("Reused")
    given = images.clone()
    found = project(model, images, "relu#3", [1])
    assert torch.equal(images, given)
    places = [(1, *map(int, place)) for place in found.positions[0]]
    signal = one_hot(model(images.clone()).detach(), places)
    for _ in range(2):
        signal = F.conv_transpose2d(signal, model.conv.weight, padding=1).clamp(min=0)
    torch.testing.assert_close(found.pixels[0], signal.detach())


def test_a_concatenation_is_sliced():
    model, images = odd("Dense")
    signal = torch.randn_like(model(images)).detach()
    back = F.conv_transpose2d(signal[:, 4:], model.grow.weight, padding=1).clamp(min=0)
    wanted = F.conv_transpose2d(signal[:, :4] + back, model.stem.weight, padding=1)
    torch.testing.assert_close(carry(model, images, lambda _: signal), wanted.detach())


def test_overlapping_windows_add_at_their_switches():
    images = torch.randn(2, 3, 11, 11)
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    output, switches = F.max_pool2d(images, 3, 2, ceil_mode=True, return_indices=True)
    signal = torch.rand_like(output)
    wanted = torch.zeros(2, 3, 121).scatter_add_(2, switches.flatten(2), signal.flatten(2))
    back = carry(pool, images, lambda _: signal)
    torch.testing.assert_close(back.flatten(2), wanted)
    torch.testing.assert_close(back.sum(), signal.sum())


def test_lenet_sub_sampling_and_its_table():
    model, images = family("lenet5")
    slope = 1.7159 * 2 / 3
    found = project(model, images[:1], "s2", [4])
    signal = torch.zeros(1, 6, 14, 14)
    row, column = found.positions[0, 0]
    signal[0, 4, row, column] = found.activations[0, 0] * model.s2.weight[4] * slope
    signal = signal.repeat_interleave(2, 2).repeat_interleave(2, 3)
    wanted = F.conv_transpose2d(signal, model.c1.weight)
    torch.testing.assert_close(found.pixels[0], wanted.detach())
    # C3's first map reads three maps of S2: the signal in the others stays zero.
    leaf = torch.randn(1, 6, 14, 14).requires_grad_()
    (back,) = torch.autograd.grad(model.c3(leaf)[0, 0].sum(), leaf)
    read = [bool(back[0, k].any()) for k in range(6)]
    assert read == [C3_TABLE[k][0] == "X" for k in range(6)]


# 7 and 8: nothing is left behind, nothing depends on company


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_alone_and_in_company(name):
    model, images = family(name)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    layers = trace(model, tuple(images.shape[1:])).layers
    for layer in (layers[len(layers) // 3], layers[-1]):
        together = project(model, images, layer.path, [3, 0])
        assert together.pixels.shape == (2, *images.shape)
        assert together.pixels.isfinite().all()
        alone = project(model, images[1:], layer.path, [0])
        torch.testing.assert_close(together.pixels[1, 1], alone.pixels[0, 0])
        assert together.positions[1, 1].equal(alone.positions[0, 0])
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())


def test_a_twin_shares_the_weights_frozen_and_keeps_no_hook():
    model, images = odd("Pools")
    twin = frozen_twin(model)
    for mine, theirs in zip(twin.state_dict().values(), model.state_dict().values(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    sites = find_sites(twin, ["ceil"], images[:1])
    run_to(twin, sites, images, lambda _site, _maps: None)
    with pytest.raises(ZeroDivisionError):  # a fault of ours is not blamed on the images
        run_to(twin, sites, images, lambda _site, _maps: 1 / 0)
    assert not any(module._forward_hooks for module in twin.modules())


def test_chunks_give_what_one_pass_gives(monkeypatch):
    model, images = odd("Functional")
    whole = project(model, images, "second", range(8))
    monkeypatch.setattr("cnnviz.sight.backward.projection.CHUNK_ROWS", 5)
    parts = project(model, images, "second", range(8))
    torch.testing.assert_close(whole.pixels, parts.pixels)
    assert torch.equal(whole.positions, parts.positions)


class Stubborn(torch.autograd.Function):
    """Doubles; its backward pass reads a value, which cannot be vectorised."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, signal):
        return signal * (2 if signal.abs().max().item() >= 0 else 1)


def test_an_operator_that_cannot_be_vectorised_works_too():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return F.relu(self.conv(Stubborn.apply(x)))

    model, images = Net().eval(), torch.randn(2, 3, 8, 8)
    found = project(model, images, "relu", [0, 1, 3])
    plain = nn.Sequential(model.conv, nn.ReLU()).eval()
    wanted = project(plain, 2 * images, "1", [0, 1, 3])
    torch.testing.assert_close(found.pixels, 2 * wanted.pixels)


def test_four_threads_on_one_network_give_what_one_gives():
    model, images = family("googlenet_slim_cifar")
    jobs = [(unit, rule) for unit in range(8) for rule in RULES]

    def work(job):
        unit, rule = job
        return project(model, images[:1], "stage3", [unit], rule).pixels

    alone = [work(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, jobs))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_positions_and_values_are_those_of_the_layer():
    model, images = odd("Functional")
    maps = F.relu(model.first(images)).detach()
    found = project(model, images, "relu", [1, 7])
    for i, unit in enumerate((1, 7)):
        assert torch.equal(found.activations[i], maps[:, unit].amax((1, 2)))
        for n, (row, column) in enumerate(found.positions[i].tolist()):
            assert maps[n, unit, row, column] == found.activations[i, n]
    asked = project(model, images, "relu", [1, 7], positions=found.positions)
    assert torch.equal(asked.pixels, found.pixels)
    elsewhere = project(model, images, "relu", [1], positions=[[[0, 0], [1, 2], [3, 3]]])
    assert elsewhere.activations[0].tolist() == [
        maps[0, 1, 0, 0].item(),
        maps[1, 1, 1, 2].item(),
        maps[2, 1, 3, 3].item(),
    ]


def test_channels_are_found_where_a_network_holds_them_last():
    model, images = odd("Smooth")
    trace_paths = [layer.path for layer in trace(model, (3, 19, 19)).layers]
    assert "permute" in trace_paths
    maps = model.depthwise(F.silu(model.stem(images))).detach()
    for path in ("depthwise", "permute"):
        found = project(model, images, path, range(8))
        assert torch.equal(found.activations, maps.amax((2, 3)).T)
    assert project(model, images, "wide", [11]).positions.max() < 4
    with pytest.raises(CnnvizError, match="0 to 11"):
        project(model, images, "wide", [12])


def test_it_works_without_gradients_and_in_inference_mode():
    model, images = odd("Dense")
    wanted = project(model, images, "grow", [0]).pixels
    with torch.no_grad():
        assert torch.equal(project(model, images, "grow", [0]).pixels, wanted)
    with torch.inference_mode():
        assert torch.equal(project(model, images, "grow", [0]).pixels, wanted)


# 9: against Captum


@pytest.mark.parametrize(
    ("rule", "other"), [("deconvnet", Deconvolution), ("guided", GuidedBackprop)]
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_equal_to_captum_where_captum_is_right(rule, other):
    model, images = family("lenet5_cifar")
    found = project(model, images, "output", [4], rule)
    theirs = other(model).attribute(images, target=4)
    mine = found.pixels[0] / found.activations[0].view(-1, 1, 1, 1)
    assert theirs.abs().sum() > 0
    torch.testing.assert_close(mine, theirs.detach())


def test_on_googlenet_it_is_not_the_gradient():
    torch.manual_seed(0)
    model = cnnviz.build("googlenet", aux=False)  # torchvision's: its ReLUs are functional
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():  # its own initial weights are so small that nothing reaches this far
        for _ in range(20):
            model(images)
    model, images = model.eval(), images[:1]
    deconvnet, gradient = (
        project(model, images, "inception4a", [0], rule).pixels
        for rule in ("deconvnet", "gradient")
    )
    assert (deconvnet - gradient).norm() > 0.5 * gradient.norm()


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "secnd"}, "did you mean 'second'"),
        ({"layer": ""}, "has no layer ''"),
        ({"units": [8]}, "no unit 8: choose from 0 to 7"),
        ({"units": [-1]}, "no unit -1"),
        ({"units": []}, "one or more whole numbers"),
        ({"units": [1.5]}, "one or more whole numbers"),
        ({"rule": "smooth"}, "no backward rule 'smooth'"),
        ({"positions": [[0, 0]]}, r"shape \(units, images, 2\) = \(1, 3, 2\)"),
        ({"positions": "middle"}, "Positions are whole numbers"),
        ({"positions": [[[0.5, 0.5]] * 3]}, "Positions are whole numbers"),
        ({"positions": [[[0, 0], [0, 0], [0, 10]]]}, "lies outside the maps"),
        ({"images": torch.zeros(3, 19, 19)}, "add a batch dimension"),
        ({"images": torch.zeros(1, 3, 19, 19, dtype=torch.uint8)}, "normalised"),
        ({"images": torch.zeros(1, 4, 19, 19)}, "cannot run on images of 4 × 19 × 19"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    model, images = odd("Functional")
    arguments = {"images": images, "layer": "second", "units": [0], **change}
    with pytest.raises(CnnvizError, match=message):
        project(model, **arguments)


def test_a_network_in_training_mode_is_refused():
    model, images = odd("Pools")
    model.norm.train()
    with pytest.raises(CnnvizError, match="training mode"):
        project(model, images, "head", [0])


def test_a_layer_that_is_never_called_is_named():
    model = nn.ModuleDict({"used": nn.Conv2d(3, 4, 1), "unused": nn.Conv2d(3, 4, 1)})
    model.forward = lambda x: model["used"](x)
    with pytest.raises(CnnvizError, match="'unused' takes no part"):
        project(model.eval(), torch.zeros(1, 3, 8, 8), "unused", [0])
