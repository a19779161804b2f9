"""Time `cnnviz.trace` against torchinfo and fvcore on the same networks, in one run.

    python -m benchmarks.trace [--repeats 3] [--threads 1] [NETWORK …]

Each network is built once with real weights and run on one 3 × 224 × 224 image. torchinfo gives a
table of modules, fvcore counts the operators: together they say about what one trace says (without
edges, receptive fields and training memory), so the ratio is their time over the trace's. Times
are the medians of the repeats after one call that is not measured. One thread by default: on a
shared machine more of them slow the other tools, which compute, but not the trace.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import torch
import torchinfo
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn

import cnnviz

SIZE = (3, 224, 224)
NETWORKS = (
    *("alexnet", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "googlenet"),
    *("resnet18", "resnet34", "resnet50", "resnet152"),
    *("convnext_tiny", "convnext_base", "convnext_large"),
)


def count_with_torchinfo(model: nn.Module) -> None:
    """Summarise with torchinfo, which runs the network for real."""
    torchinfo.summary(model, input_size=(1, *SIZE), verbose=0)


def count_with_fvcore(model: nn.Module) -> None:
    """Count with fvcore, which traces the network with jit."""
    analysis = FlopCountAnalysis(model, torch.zeros(1, *SIZE))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.by_module_and_operator()


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median time of a call after one that is not measured."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print a markdown table with one row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=NETWORKS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch's operators")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    print(
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, median of {arguments.repeats}\n"
    )
    print("| network | cnnviz.trace (ms) | torchinfo (ms) | fvcore (ms) | both / trace |")
    print("|---|--:|--:|--:|--:|")
    ratios = []
    for name in arguments.networks:
        model = torchvision.models.get_model(name, weights=None).eval()
        own, info, fvcore = (
            1000 * seconds(lambda count=count, model=model: count(model), arguments.repeats)
            for count in (lambda m: cnnviz.trace(m, SIZE), count_with_torchinfo, count_with_fvcore)
        )
        ratios.append((info + fvcore) / own)
        row = (f"{value:.0f}" for value in (own, info, fvcore))
        print(f"| {name} | {' | '.join(row)} | {ratios[-1]:.1f} × |", flush=True)
    print(f"\nGeometric mean of the ratios: {statistics.geometric_mean(ratios):.1f} ×")


if __name__ == "__main__":
    main()
