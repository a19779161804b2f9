"""Time and memory of `cnnviz.trace` against torchinfo and fvcore on the same networks, in one run.

    python -m benchmarks.trace [--repeats 3] [--threads 1] [VARIANT …]
    python -m benchmarks.trace --memory [VARIANT …]

Each variant of the registry is built once, with real weights, and run on one image of its own
size. torchinfo gives a table of modules, fvcore counts the operators: together they say about what
one trace says (without edges, receptive fields and training memory), so the ratio is their time
over the trace's. Times are the medians of the repeats after one call that is not measured. One
thread by default: on a shared machine more of them slow the other tools, which compute, but not
the trace.

Memory is the most that a process of its own held resident beyond what its imports took, from
building the network on: the trace needs no weights, the others do.
"""

import argparse
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
import torchinfo
from fvcore.nn import FlopCountAnalysis
from torch import nn

import cnnviz
import cnnviz.architectures  # fills the registry
from cnnviz import registry
from cnnviz.anatomy.effective_field import LeaveWeights

IN_MEMORY = (
    "resnet20_cifar",
    "alexnet",
    "vgg16",
    "googlenet",
    "resnet50",
    "mobilenet_v1",
    "convnext_large",
)
TOOLS = ("trace", "torchinfo", "fvcore")


def count_with(tool: str, model: nn.Module, size: tuple[int, int, int]) -> object:
    """Count `model` with one of `TOOLS`."""
    if tool == "trace":
        return cnnviz.trace(model, size)
    if tool == "torchinfo":  # runs the network for real
        return torchinfo.summary(model, input_size=(1, *size), verbose=0)
    analysis = FlopCountAnalysis(model, torch.zeros(1, *size))  # traces it with jit
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return analysis.by_module_and_operator()


def built(name: str, tool: str = "") -> tuple[nn.Module, tuple[int, int, int]]:
    """Return a variant with weights as they come, without any for the trace, and its input."""
    variant = registry.get(name)
    if tool == "trace":
        with torch.device("meta"):
            return variant.build().eval(), variant.input_size
    with LeaveWeights():
        model = variant.build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)  # pages that were never written would not count
    return model, variant.input_size


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Median time of a call after one that is not measured."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def print_times(names: list[str], repeats: int) -> None:
    """Print a row for each variant and the geometric mean of the ratios."""
    print("| variant | cnnviz.trace (ms) | torchinfo (ms) | fvcore (ms) | both / trace |")
    print("|---|--:|--:|--:|--:|")
    ratios = []
    for name in names:
        model, size = built(name)
        own, info, fvcore = (
            1000 * seconds(partial(count_with, tool, model, size), repeats) for tool in TOOLS
        )
        ratios.append((info + fvcore) / own)
        row = (f"{value:.3g}" for value in (own, info, fvcore))
        print(f"| {name} | {' | '.join(row)} | {ratios[-1]:.1f} × |", flush=True)
    print(
        f"\nGeometric mean of the {len(ratios)} ratios: {statistics.geometric_mean(ratios):.1f} ×, "
        f"smallest {min(ratios):.1f} ×"
    )


def print_memory(names: list[str]) -> None:
    """Print a row for each variant: MB that each tool's own process took."""
    print("| variant | cnnviz.trace (MB) | torchinfo (MB) | fvcore (MB) |")
    print("|---|--:|--:|--:|")
    for name in names:
        cells = []
        for tool in TOOLS:
            command = [sys.executable, "-m", "benchmarks.trace", "--child", tool, name]
            cells.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"| {name} | {' | '.join(cell.strip() for cell in cells)} |", flush=True)


def print_own_memory(tool: str, name: str) -> None:
    """Print the MB that counting one variant adds to this process's highest resident size."""
    cnnviz.trace(nn.Conv2d(1, 1, 1), (1, 4, 4))  # loads what torch loads late
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count_with(tool, *built(name, tool))
    print(f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f}")


def main() -> None:
    """Print a markdown table with one row for each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch's operators")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--child", choices=TOOLS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        print_own_memory(arguments.child, arguments.variants[0])
        return
    print(
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, median of {arguments.repeats}\n"
    )
    if arguments.memory:
        print_memory(arguments.variants or list(IN_MEMORY))
    else:
        names = [variant.name for variant in cnnviz.list_variants()]
        print_times(arguments.variants or names, arguments.repeats)


if __name__ == "__main__":
    main()
