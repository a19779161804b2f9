"""Bytes kept for training, bytes of the activations, and time."""

import weakref
from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnviz import registry
from cnnviz.anatomy import measure_latency, trace
from cnnviz.anatomy.operators.memory import batch_bytes
from cnnviz.errors import CnnvizError


def test_bytes_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),  # keeps its input (3×8×8) and makes 4×8×8
        nn.ReLU(inplace=True),  # keeps its output, in the convolution's memory
        nn.Flatten(),  # a view
        nn.Linear(256, 10),  # keeps its input, the same memory again
    )
    found = trace(model, (3, 8, 8))
    assert [layer.output_bytes for layer in found.layers] == [4 * 256, 0, 0, 4 * 10]
    assert found.activation_bytes == 4 * 266
    assert found.peak_bytes == 4 * 266  # the map is read when the answer is written
    assert found.training_bytes == 4 * (192 + 256)
    assert found.weight_bytes == 4 * sum(p.numel() for p in model.parameters())


class Shortcut(nn.Module):
    """Holds the stem's output until it is added, whatever happens in between."""

    def __init__(self):
        super().__init__()
        self.stem, self.wide = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 16, 1)
        self.narrow = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        x = self.stem(x)
        return self.narrow(self.wide(x).relu_()).add_(x).flatten(1)


def test_the_most_that_is_held_at_once_by_hand():
    found = trace(Shortcut(), (3, 5, 5))
    assert found.activation_bytes == 4 * 25 * (4 + 16 + 4)
    assert found.peak_bytes == 4 * 25 * (4 + 16 + 4)  # all three at the last convolution
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 7, 1))
    assert trace(model, (3, 5, 5)).peak_bytes == 4 * 25 * (8 + 2)  # then the eight are free


class Live(TorchDispatchMode):
    """Watches a real pass: the most bytes of new tensors that were alive at once."""

    def __init__(self, known):
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.held = self.peak = 0
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key in self.known:
                continue
            self.held += 0 if self.names[key] else size
            self.names[key] += 1
            weakref.finalize(tensor, self.drop, key, size)
        self.peak = max(self.peak, self.held)
        return output

    def drop(self, key, size):
        self.names[key] -= 1
        self.held -= 0 if self.names[key] else size


@pytest.mark.parametrize(
    ("name", "more"), [("resnet18", 1.0), ("googlenet", 1.0), ("vgg11_cifar", 1.5), ("lenet5", 1.5)]
)
def test_a_real_pass_holds_as_much_and_at_most_one_map_more(name, more):
    """A Sequential keeps the input of a layer while the next one runs: `more` times as much."""
    model = registry.get(name).build().eval()
    image = torch.zeros(1, *registry.get(name).input_size)
    with torch.no_grad(), Live([*model.parameters(), *model.buffers(), image]) as live:
        model(image)
    peak = trace(model, image.shape[1:]).peak_bytes
    assert peak <= live.peak <= more * peak


class ChannelsLast(nn.Module):
    """Normalises the channels of a permuted map, as a ConvNeXt's block does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.LayerNorm(8)
        self.linear = nn.Linear(8, 16)

    def forward(self, images):
        return self.linear(self.norm(self.conv(images).permute(0, 2, 3, 1)))


def test_training_bytes_of_a_layer_norm_equal_those_of_a_real_pass():
    model = ChannelsLast()
    assert trace(model, (3, 10, 10)).training_bytes == batch_bytes(model, torch.zeros(1, 3, 10, 10))


def test_a_layer_norm_that_does_not_fit_is_explained():
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(7))
    with pytest.raises(CnnvizError, match=r"does not fit|normalized_shape"):
        trace(model, (3, 2, 2))


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"track_running_stats": False}])
def test_training_bytes_equal_those_of_a_real_pass(options):
    norm = nn.BatchNorm2d(8, **options)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.GELU(), nn.AvgPool2d(2), norm)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t
    ):
        output = model(torch.zeros(1, 3, 12, 12))
    weights = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    real = sum(t.untyped_storage().nbytes() for p, t in kept.items() if p not in weights)
    assert output.requires_grad
    assert trace(model, (3, 12, 12)).training_bytes == real


def test_batch_normalisation_that_refuses_one_image():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6, bias=False), nn.BatchNorm1d(6))
    # A batch of two keeps 2×12 and 2×6 numbers, and a mean and a deviation for each of 6 channels.
    assert trace(model, (3, 2, 2)).training_bytes == 4 * (24 + 12 + 12) // 2


def test_frozen_parameters_count_as_trained():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    expected = trace(model, (3, 8, 8)).training_bytes
    assert trace(model.requires_grad_(False), (3, 8, 8)).training_bytes == expected > 0


def test_half_precision_weighs_half():
    model = nn.Conv2d(3, 4, 3)
    full, half = trace(model, (3, 8, 8)), trace(model.half(), (3, 8, 8))
    assert half.weight_bytes * 2 == full.weight_bytes
    assert half.activation_bytes * 2 == full.activation_bytes


def test_latency_is_measured_and_the_mode_kept():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).train()
    model[1].eval()
    seen = []
    model[0].register_forward_hook(lambda module, *_: seen.append(module.training))
    assert measure_latency(model, (3, 16, 16), repeats=4) > 0
    assert seen == [False] * 7
    assert [module.training for module in model.modules()] == [True, True, False]


def test_latency_grows_with_the_work():
    model = nn.Conv2d(3, 64, 7)
    assert measure_latency(model, (3, 256, 256), 5) > measure_latency(model, (3, 16, 16), 5)


def test_latency_errors():
    with pytest.raises(CnnvizError, match="at least 1"):
        measure_latency(nn.Conv2d(3, 4, 3), (3, 8, 8), repeats=0)
    with pytest.raises(CnnvizError, match="without weights"):
        measure_latency(nn.Conv2d(3, 4, 3, device="meta"), (3, 8, 8))
