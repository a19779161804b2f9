"""Reconstructions a second against Captum and autograd one by one, and the cost of a scan.

    python -m benchmarks.sight [--units 32] [--repeats 3] [--threads 1] [NETWORK …]
    python -m benchmarks.sight --scan [--images 10000] [--threads 1] [MODEL …]
    python -m benchmarks.sight --pages [--images 10000] [--threads 2] [MODEL …]

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

Rates are those of the median time of the repeats, after one call that is not measured; the ways
take turns.

`--scan` looks for the nine strongest activations of every unit of all activation layers of trained
models over the CIFAR-10 test images (`cnnviz.top_activations`), against a plain forward pass of the
same normalised batches. The two take turns batch by batch, so that what else the machine does
falls on both.

`--pages` draws, for each layer that has feature maps, the first sixteen units by nine patches and
their nine reconstructions (`cnnviz.sight.unit_figures` and the picture of them), with the strongest
images known, against a plain forward pass of the images that are drawn. Its times are what the
clock says, since a visitor waits for the clock.

All other times are CPU time, which leaves out what a busy machine gives to others.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import captum
import torch
from captum.attr import Deconvolution, NeuronDeconvolution
from torch import nn

import cnnviz
from cnnviz.networks.subjects import find_subject
from cnnviz.sight.units.batches import Batches
from cnnviz.sight.units.figures import unit_figures
from cnnviz.sight.units.mosaic import units_mosaic
from cnnviz.training.data import load

LAYERS = {
    "vgg16_cifar": ("features.3", "features.15", "features.29"),
    "resnet18_cifar": ("relu", "layer2", "layer4"),
    "mobilenet_v1_cifar": ("stem", "blocks.5", "blocks.12"),
}
SCANNED = ("lenet5_cifar", "resnet20_cifar")


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


def seconds(
    ways: Sequence[Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
) -> list[float]:
    """Median CPU time of each way, in turns, after one call that is not measured."""
    for way in ways:
        way()
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats):
        for way, taken in zip(ways, times, strict=True):
            start = clock()
            way()
            taken.append(clock() - start)
    return [statistics.median(taken) for taken in times]


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
    return [units / taken for taken in seconds(ways, repeats)]


def scan_cost(name: str, count: int) -> tuple[int, float, float]:
    """Layers scanned, and CPU seconds of the scan and of plain forward passes."""
    subject = find_subject(name)
    network = subject.load()
    layers = [
        row.path
        for row in cnnviz.trace(network, subject.input_size).layers
        if row.kind == "activation"
    ]
    images = load("cifar10").for_channels(subject.input_size[0]).test_images[:count]
    batches = Batches.of(images, subject.mean, subject.std, None, network)
    pieces = iter(batches)
    spent = {"scan": 0.0, "plain": 0.0}
    since = time.process_time()

    def after_a_batch(_done: int, _all: int) -> None:
        nonlocal since
        spent["scan"] += time.process_time() - since
        start = time.process_time()
        network(next(pieces)[1])
        since = time.process_time()
        spent["plain"] += since - start

    with torch.no_grad():
        network(batches.prepare(images[:128]))
        since = time.process_time()
        cnnviz.top_activations(
            network, images, layers, mean=subject.mean, std=subject.std, progress=after_a_batch
        )
        spent["scan"] += time.process_time() - since
    return len(layers), spent["scan"], spent["plain"]


def print_scans(names: Sequence[str], count: int, repeats: int) -> None:
    """Print a markdown table with one row for each model."""
    print("| model | activation layers | scan (CPU s) | forward (CPU s) | scan / forward |")
    print("|---|--:|--:|--:|--:|")
    for name in names:
        runs = [scan_cost(name, count) for _ in range(repeats)]
        layers, scan, plain = sorted(runs, key=lambda run: run[1] / run[2])[len(runs) // 2]
        print(
            f"| {name} | {layers} | {scan:.2f} | {plain:.2f} | {scan / plain:.2f} × |", flush=True
        )


def page_costs(name: str, count: int, repeats: int) -> list[tuple[str, int, float, float]]:
    """Each layer's path and images, and seconds of a page of units and of plain forward passes."""
    subject = find_subject(name)
    network = subject.load()
    trace = cnnviz.trace(network, subject.input_size)
    units = {row.path: row.output_shape[1] for row in trace.layers if is_drawn(row)}
    images = load("cifar10").for_channels(subject.input_size[0]).test_images[:count]
    statistics_of = {"mean": subject.mean, "std": subject.std}
    top = cnnviz.top_activations(network, images, list(units), **statistics_of)
    batches = Batches.of(images, subject.mean, subject.std, None, network)
    costs = []
    for layer, total in units.items():
        chosen = range(min(total, 16))
        drawn = top[layer].indices[: len(chosen)].unique()
        taken = seconds(
            (
                lambda layer=layer, chosen=chosen: units_mosaic(
                    unit_figures(
                        network, trace, images, layer, chosen, top=top[layer], **statistics_of
                    )
                ),
                lambda drawn=drawn: network(batches.prepare(images[drawn])),
            ),
            repeats,
            time.perf_counter,
        )
        costs.append((layer, len(drawn), *taken))
    return costs


def is_drawn(row: cnnviz.Layer) -> bool:
    """Whether an operator gives feature maps."""
    maps = len(row.output_shape) == 4 and min(row.output_shape[2:]) > 1
    return maps and row.kind in ("conv", "activation", "pool", "norm", "merge")


def print_pages(names: Sequence[str], count: int, repeats: int) -> None:
    """Print a markdown table with one row for each layer, and the longest of each model."""
    print("| model | layer | images | a page (s) | their forward pass (s) | page / forward |")
    print("|---|---|--:|--:|--:|--:|")
    longest = []
    for name in names:
        with torch.no_grad():
            costs = page_costs(name, count, repeats)
        for layer, drawn, page, plain in costs:
            ratio = page / plain
            print(f"| {name} | {layer} | {drawn} | {page:.2f} | {plain:.3f} | {ratio:.0f} × |")
        layer, _, page, _ = max(costs, key=lambda cost: cost[2])
        longest.append(f"{name}: {page:.2f} s at {layer}")
    print(f"\nThe longest page of {'; of '.join(longest)}")


def print_rates(names: Sequence[str], units: int, repeats: int) -> None:
    """Print a markdown table with one row for each layer."""
    print(
        "| network | layer | cnnviz | one by one | Captum | Captum, cut | cnnviz / one by one | "
        "cnnviz / Captum |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    ratios = []
    for name in names:
        for layer in LAYERS[name]:
            own, *others = rates(name, layer, units, repeats)
            ratios.append([own / other for other in others])
            cells = " | ".join(f"{rate:.0f}" for rate in (own, *others))
            each = " | ".join(f"{ratio:.1f} ×" for ratio in ratios[-1][:2])
            print(f"| {name} | {layer} | {cells} | {each} |", flush=True)
    means = [statistics.geometric_mean(column) for column in zip(*ratios, strict=True)]
    print(
        f"\ncnnviz, geometric means: {means[0]:.1f} × one by one, {means[1]:.1f} × Captum, "
        f"{means[2]:.1f} × Captum on the cut network"
    )


def main() -> None:
    """Print a table of reconstructions, of scans or of pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    parser.add_argument("--scan", action="store_true", help="measure scans of a data set")
    parser.add_argument("--pages", action="store_true", help="measure pages of sixteen units")
    parser.add_argument("--images", type=int, default=10_000, help="of a scan")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch's operators")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    print(
        f"torch {torch.__version__}, captum {captum.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, median of "
        f"{arguments.repeats}\n"
    )
    if arguments.scan:
        print_scans(arguments.networks or SCANNED, arguments.images, arguments.repeats)
    elif arguments.pages:
        print_pages(arguments.networks or SCANNED, arguments.images, arguments.repeats)
    else:
        print_rates(arguments.networks or tuple(LAYERS), arguments.units, arguments.repeats)


if __name__ == "__main__":
    main()
