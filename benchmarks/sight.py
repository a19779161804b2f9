"""Reconstructions a second: `cnnviz.project` against Captum and against autograd one by one.

    python -m benchmarks.sight [--units 32] [--repeats 3] [--threads 1] [NETWORK …]

Each network has random weights and sees one 3 × 32 × 32 image; every way brings the strongest
activation of each of the first units of a layer back to the pixels by the deconvnet rule:

- cnnviz: `cnnviz.project`, all units in one call on the whole network, with finding the layer and
  the strongest positions;
- one by one: a loop over the units around `cnnviz.backward_rule`, forward pass, one-hot signal,
  `torch.autograd.grad`, on the network cut off behind the layer: what batching gains;
- Captum: a loop over the units around `captum.attr.NeuronDeconvolution`, its way to ask for a unit
  of a layer, which takes one at a time; it is told the positions;
- Captum, cut: the same around `captum.attr.Deconvolution` on the cut network, so that it need not
  run what is behind the layer.

Captum's answers differ where a ReLU's input also goes around the ReLU; only times are compared.

Rates are those of the median time of the repeats, after one call that is not measured.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import captum
import torch
from captum.attr import Deconvolution, NeuronDeconvolution
from torch import nn

import cnnviz

LAYERS = {
    "vgg16_cifar": ("features.3", "features.13", "features.20"),
    "resnet18_cifar": ("relu", "layer1", "layer3"),
    "mobilenet_v1_cifar": ("stem", "blocks.2", "blocks.8"),
}


def cut(network: nn.Module, path: str) -> nn.Sequential:
    """Return the children of `network` in order, up to and with the one at `path`."""
    head, _, rest = path.partition(".")
    kept: list[nn.Module] = []
    for name, child in network.named_children():
        if name == head:
            return nn.Sequential(*kept, cut(child, rest) if rest else child).eval()
        kept.append(child)
    raise ValueError(path)


def out_of_place(network: nn.Module) -> nn.Module:
    """Let no ReLU overwrite its input, which Captum's hooks do not allow."""
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return network


def one_by_one(body: nn.Module, image: torch.Tensor, units: int) -> torch.Tensor:
    """Reconstruct each unit by a forward and a backward pass of its own."""
    pixels = []
    for unit in range(units):
        leaf = image.clone().requires_grad_()
        with cnnviz.backward_rule("deconvnet"):
            strongest = body(leaf)[0, unit].max()
        pixels.append(torch.autograd.grad(strongest, leaf, strongest.detach())[0])
    return torch.stack(pixels)


def with_captum(
    network: nn.Module, layer: str, image: torch.Tensor, targets: list[tuple[int, ...]]
) -> None:
    """Reconstruct each unit by a call of its own on the whole network."""
    deconvolution = NeuronDeconvolution(network, network.get_submodule(layer))
    for target in targets:
        deconvolution.attribute(image, target)


def with_captum_cut(body: nn.Module, image: torch.Tensor, targets: list[tuple[int, ...]]) -> None:
    """Reconstruct each unit by a call of its own on the network up to the layer."""
    deconvolution = Deconvolution(body)
    for target in targets:
        deconvolution.attribute(image, target=target)


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median time of a call after one that is not measured."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def rates(name: str, layer: str, units: int, repeats: int) -> list[float]:
    """Reconstructions a second of the four ways, after a check that the first two agree."""
    torch.manual_seed(0)
    network = out_of_place(cnnviz.build(name)).eval()
    image = torch.randn(1, 3, 32, 32)
    body = cut(network, layer)
    for parameter in network.parameters():  # as `project` does, and as kind to the others
        parameter.requires_grad_(False)
    found = cnnviz.project(network, image, layer, range(units))
    torch.testing.assert_close(found.pixels, one_by_one(body, image, units), atol=1e-4, rtol=1e-3)
    targets = [
        (unit, *map(int, place)) for unit, place in enumerate(found.positions[:, 0].tolist())
    ]
    ways: tuple[Callable[[], object], ...] = (
        lambda: cnnviz.project(network, image, layer, range(units)),
        lambda: one_by_one(body, image, units),
        lambda: with_captum(network, layer, image.clone().requires_grad_(), targets),
        lambda: with_captum_cut(body, image.clone().requires_grad_(), targets),
    )
    return [units / seconds(way, repeats) for way in ways]


def main() -> None:
    """Print a markdown table with one row for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=tuple(LAYERS))
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch's operators")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    print(
        f"torch {torch.__version__}, captum {captum.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {arguments.units} units, "
        f"median of {arguments.repeats}\n"
    )
    print("| network | layer | cnnviz | one by one | Captum | Captum, cut | cnnviz / Captum, cut |")
    print("|---|---|--:|--:|--:|--:|--:|")
    ratios = []
    for name in arguments.networks:
        for layer in LAYERS[name]:
            own, *others = rates(name, layer, arguments.units, arguments.repeats)
            ratios.append([own / other for other in others])
            cells = " | ".join(f"{rate:.0f}" for rate in (own, *others))
            print(f"| {name} | {layer} | {cells} | {ratios[-1][-1]:.1f} × |", flush=True)
    means = [statistics.geometric_mean(column) for column in zip(*ratios, strict=True)]
    print(
        f"\ncnnviz, geometric means: {means[0]:.1f} × one by one, {means[1]:.1f} × Captum, "
        f"{means[2]:.1f} × Captum on the cut network"
    )


if __name__ == "__main__":
    main()
