"""Training speed of this engine against a plain script on the same network, in one run.

    python -m benchmarks.train [--device cpu] [--threads 2] [--rounds 5] [--seconds 5] [VARIANT …]
    python -m benchmarks.train --profile [--threads 1] [--steps 12] [VARIANT …]

The plain script is what the common CIFAR-10 repositories do (kuangliu/pytorch-cifar,
akamaster/pytorch_resnet_cifar10): torchvision's CIFAR10, random crop, flip, ToTensor and Normalize
on PIL images in a DataLoader of two workers, fp32, momentum SGD, and `.item()` of loss and right
answers at each step. This engine trains with the variant's own recipe (which may clip gradients and
average weights beside) in the same batches of 128 and with the same number of threads. The two take
turns, each after some batches that are not measured; a figure is the median of the rounds, a ratio
the median of each round's.

On a CPU that others use as well, wall-clock time says who was in the way. The ratio of CPU time for
an image, of all threads and of the workers, says what either costs; threads that wait for each
other count as working.

The last column is 6 × MACs × images/s (two operations a MAC; the backward pass costs twice the
forward pass) over what a large matrix product reaches on this machine, in this engine's precision;
on a CPU both are of a second of CPU time.

With `--profile` it says where a step of this engine goes: making the batch (taking, cropping,
flipping, normalising), the network forward, loss and backward, and moving the weights (gradient
clip, optimiser, average), as medians over steps, of CPU time on a CPU.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import psutil
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import CIFAR10

import cnnviz
from cnnviz import registry
from cnnviz.settings import data_dir
from cnnviz.training import data
from cnnviz.training.loop import Trainer, device_name, pick_device
from cnnviz.training.recipe import default_recipe

BATCH = 128
DEFAULT = (
    "lenet5_cifar",
    "vgg11_bn_cifar",
    "resnet20_cifar",
    "googlenet_slim_cifar",
    "mobilenet_v1_cifar",
    "convnext_atto_cifar",
)
#: Batches that a DataLoader of two workers has ready before anybody asks, and one more.
WARM_UP = 5


def wait(device: torch.device) -> None:
    """Return when the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def cpu_seconds() -> float:
    """CPU time of this process and of the workers it has now."""
    workers = psutil.Process().children(recursive=True)
    return time.process_time() + sum(sum(w.cpu_times()[:2]) for w in workers)


class Turn(NamedTuple):
    """What came of some seconds of training."""

    images_per_second: float
    images_per_cpu_second: float


class Stopwatch:
    """Counts steps for some seconds; the first `WARM_UP` of them are not measured."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self._device, self._limit = device, seconds
        self._steps, self._start, self._cpu = -WARM_UP, 0.0, 0.0
        self.turn = Turn(0.0, 0.0)

    def step(self) -> bool:
        """Count one step; true when the time is up."""
        self._steps += 1
        if self._steps < 0:
            return False
        if self._steps == 0:
            wait(self._device)
            self._start, self._cpu = time.perf_counter(), cpu_seconds()
            return False
        if time.perf_counter() - self._start < self._limit:
            return False
        wait(self._device)
        passed = time.perf_counter() - self._start
        images = self._steps * BATCH
        self.turn = Turn(images / passed, images / (cpu_seconds() - self._cpu))
        return True

    # What the loop asks of its observer.

    def report(self, record: dict[str, Any]) -> None:
        """Nobody reads the metrics."""

    def save(self, state: dict[str, Any]) -> None:
        """Nobody goes on from here."""

    def stopping(self) -> bool:
        """Asked after each step."""
        return self.step()


class Ours:
    """The engine of this project."""

    def __init__(self, name: str, images: data.ImageSet, device: torch.device) -> None:
        recipe = default_recipe(name, "cifar10", epochs=1000, batch_size=BATCH, holdout=0)
        self._trainer, self._device = Trainer(recipe, images, device), device
        self.precision = self._trainer.precision

    def run(self, seconds: float) -> Turn:
        """Train on for some seconds."""
        watch = Stopwatch(self._device, seconds)
        self._trainer.fit(watch)
        return watch.turn


class Plain:
    """The plain script."""

    def __init__(self, name: str, device: torch.device) -> None:
        self._device = device
        self._model = registry.get(name).build(10).to(device).train()
        # The rate does not change the speed; this one lets every network stay finite.
        self._optimizer = torch.optim.SGD(
            self._model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4
        )
        self._batches = self._forever()

    def _forever(self) -> Iterator[list[torch.Tensor]]:
        as_ever = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
            ]
        )
        images = CIFAR10(str(data_dir()), train=True, transform=as_ever)
        loader = DataLoader(images, batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
        while True:
            yield from loader

    def run(self, seconds: float) -> Turn:
        """Train on for some seconds."""
        watch = Stopwatch(self._device, seconds)
        while True:
            self._step(*next(self._batches))
            if watch.step():
                return watch.turn

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
        images, labels = images.to(self._device), labels.to(self._device)
        self._optimizer.zero_grad()
        outputs = self._model(images)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        self._optimizer.step()
        return loss.item(), logits.argmax(1).eq(labels).sum().item()


def matmul_peak(device: torch.device, precision: str) -> float:
    """FLOP/s of a large matrix product, of CPU time on a CPU: the best of six."""
    side = 2048 if device.type == "cpu" else 8192
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    left, right = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    best = float("inf")
    for _ in range(6):
        wait(device)
        start = clock()
        torch.mm(left, right)
        wait(device)
        best = min(best, clock() - start)
    return 2 * side**3 / best


def is_dense(model: nn.Module) -> bool:
    """Whether every convolution sees all of its input's channels."""
    return all(m.groups == 1 for m in model.modules() if isinstance(m, nn.Conv2d))


def row(name: str, images: data.ImageSet, device: torch.device, rounds: int, seconds: float) -> str:
    """Measure one network and return its line of the table."""
    variant = registry.get(name)
    with torch.device("meta"):
        model = variant.build(10)
    macs = cnnviz.trace(model, variant.input_size).macs
    ours, plain = Ours(name, images, device), Plain(name, device)
    pairs = [(ours.run(seconds), plain.run(seconds)) for _ in range(rounds)]
    fast, slow = (
        statistics.median(turn.images_per_second for turn in turns)
        for turns in zip(*pairs, strict=True)
    )
    ratio, by_cpu = (statistics.median(one[k] / other[k] for one, other in pairs) for k in range(2))
    speed = fast
    if device.type == "cpu":
        speed = statistics.median(turn.images_per_cpu_second for turn, _ in pairs)
    share = 6 * macs * speed / matmul_peak(device, ours.precision)
    kind = "dense" if is_dense(model) else "depthwise"
    return (
        f"| {name} | {kind} | {macs / 1e6:,.3g} | {ours.precision} | {fast:,.0f} | {slow:,.0f} "
        f"| {ratio:.2f} × | {by_cpu:.2f} × | {share * 100:.2g} % |"
    )


class Parts:
    """Times the parts of a trainer's step, by the part's name, in seconds."""

    def __init__(self, trainer: Trainer, device: torch.device) -> None:
        self._device, self._trainer = device, trainer
        self._clock = time.process_time if device.type == "cpu" else time.perf_counter
        self.seconds: dict[str, list[float]] = {}
        trainer.batches.at = self._timed("batch", trainer.batches.at)
        trainer._network = self._timed("forward", trainer._network)
        trainer._learn = self._timed("learn", trainer._learn)
        trainer._update = self._timed("update", trainer._update)
        if trainer.averaged is not None:
            average = trainer.averaged
            average.update_parameters = self._timed("average", average.update_parameters)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            wait(self._device)
            start = self._clock()
            result = function(*arguments)
            wait(self._device)
            self.seconds.setdefault(name, []).append(self._clock() - start)
            return result

        return timed

    def step(self) -> None:
        """Do one step and time the whole of it."""
        self._timed("step", self._trainer.train_step)()

    def medians(self) -> dict[str, float]:
        """Seconds of each part; backward is what is left of learning, with the loss."""
        found = {name: statistics.median(times) for name, times in self.seconds.items()}
        learn = found.pop("learn")
        found["backward"] = learn - found["forward"]
        found["update"] += found.pop("average", 0.0)
        parts = ("batch", "forward", "backward", "update")
        found["other"] = found["step"] - sum(found[part] for part in parts)
        return found


def profile(name: str, images: data.ImageSet, device: torch.device, steps: int) -> str:
    """Time the parts of one network's step and return its line of the table."""
    recipe = default_recipe(name, "cifar10", epochs=1000, batch_size=BATCH, holdout=0)
    trainer = Trainer(recipe, images, device)
    macs = cnnviz.trace(trainer.model, (3, *trainer.size)).macs
    for _ in range(WARM_UP):
        trainer.train_step()
    parts = Parts(trainer, device)
    for _ in range(steps):
        parts.step()
    found = parts.medians()
    step = found.pop("step")
    names = ("batch", "forward", "backward", "update", "other")
    shares = " | ".join(f"{100 * found[part] / step:.1f} %" for part in names)
    peak = 6 * macs * BATCH / step / matmul_peak(device, trainer.precision)
    each = f"{1e6 * step / BATCH:,.0f}"
    return f"| {name} | {trainer.precision} | {each} | {shares} | {100 * peak:.2g} % |"


def main() -> None:
    """Print a markdown table with one row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=list(DEFAULT))
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0 or mps")
    parser.add_argument("--threads", type=int, default=2, help="of torch's operators, for both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--profile", action="store_true", help="where a step's time goes")
    parser.add_argument("--steps", type=int, default=12, help="that are profiled")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = pick_device(arguments.device)
    if arguments.profile:
        print_profiles(arguments.variants, device, arguments.steps)
        return
    print(
        f"{device_name(device)}, {os.cpu_count()} cores, {platform.machine()}, torch "
        f"{torch.__version__}, batches of {BATCH}, {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s\n"
    )
    print(
        "| variant | convolutions | MACs (M) | precision | cnnviz (images/s) | plain script | ",
        end="",
    )
    print("cnnviz / plain | by CPU time | of the matmul peak |")
    print("|---|---|--:|---|--:|--:|--:|--:|--:|")
    images = data.load("cifar10", download=False)
    for name in arguments.variants:
        print(row(name, images, device, arguments.rounds, arguments.seconds), flush=True)


def print_profiles(variants: Sequence[str], device: torch.device, steps: int) -> None:
    """Print a markdown table of where a step's time goes, a row for each network."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{device_name(device)}, torch {torch.__version__}, batches of {BATCH}, medians of {steps} "
        f"steps; load of the machine {load}\n"
    )
    print(
        "| variant | precision | µs an image | batch | forward | backward | update | other ", end=""
    )
    print("| of the matmul peak |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    images = data.load("cifar10", download=False)
    for name in variants:
        print(profile(name, images, device, steps), flush=True)


if __name__ == "__main__":
    main()
