"""The roofline of a network on this machine: what each operator reaches of what is possible.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures" (Communications of the ACM, 2009). An operator that does I floating-point operations
for each byte it moves can reach at most min(peak, I · bandwidth) of them a second. Both peaks are
measured here: the one by a large matrix product, the other by a large copy.

FLOPs are two for each multiply–accumulate, and one for each addition of a bias and other
arithmetic operation (`cnnviz.anatomy.operators.costs`). Bytes are those of an operator's inputs,
weights and outputs, each moved once; what stays in a cache moves less, so a point may stand above
the roof.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cnnviz.anatomy.inputs import check_input_size
from cnnviz.anatomy.modes import evaluating
from cnnviz.anatomy.operators.ledger import storage_of
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder, tensors_in
from cnnviz.anatomy.result import Layer
from cnnviz.anatomy.tracing import trace
from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    import pandas as pd

WARM_UP = 2
"""Passes that are not measured: they load kernels and fill caches."""

_BUDGET = 1.0  # seconds for the measured passes of a small network
_ATTEMPTS = 5  # of each peak: the best counts, since other work on the machine only slows it
_SIDE = {"cpu": 1024, "cuda": 4096}  # of the square matrices multiplied
_COPIED = {"cpu": 2**27, "cuda": 2**29}  # bytes, far more than a cache holds

# Two measurements at once would each measure the other.
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Peaks:
    """What a device reached: FLOP/s in fp32 matrix products, bytes/s in a copy (read and written).

    `device` names it in words, `threads` is how many PyTorch computes with there (0 on a GPU).
    """

    flops: float
    bandwidth: float
    device: str
    threads: int

    @property
    def ridge(self) -> float:
        """FLOPs per byte from which on arithmetic, not memory, is the limit."""
        return self.flops / self.bandwidth

    def roof(self, intensity: float) -> float:
        """Most FLOP/s possible at `intensity` FLOPs per byte."""
        return min(self.flops, intensity * self.bandwidth)

    def best(self, other: Peaks) -> Peaks:
        """Return the higher of each peak: other work on a machine only lowers them.

        That is `other` where it was measured on another device, or with more or fewer threads.
        """
        if (self.device, self.threads) != (other.device, other.threads):
            return other
        flops, bandwidth = max(self.flops, other.flops), max(self.bandwidth, other.bandwidth)
        return replace(self, flops=flops, bandwidth=bandwidth)


@dataclass(frozen=True)
class Timing:
    """One operator of a pass of one image: its layer, median seconds, FLOPs and bytes moved.

    `flops` is None where the operator is not known; `bytes` is 0 where it only renames memory.
    """

    layer: Layer
    seconds: float
    flops: int | None
    bytes: int

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte; None where either is not known or there are none."""
        return self.flops / self.bytes if self.flops and self.bytes else None


@dataclass(frozen=True)
class Roofline:
    """A network's operators, timed in passes of one image, beside the machine's peaks.

    `pass_seconds` is the median time of a whole pass that was not watched. It has the time of
    Python between the operators too; their sum has the time of waiting for each.
    """

    peaks: Peaks
    timings: tuple[Timing, ...]
    pass_seconds: float
    passes: int

    @property
    def seconds(self) -> float:
        """Sum of the operators' times."""
        return sum(timing.seconds for timing in self.timings)

    @property
    def surpassed(self) -> bool:
        """Whether an operator did more FLOP/s than the matrix product of the peak."""
        return any((t.flops or 0) > t.seconds * self.peaks.flops for t in self.timings)

    def to_frame(self) -> pd.DataFrame:
        """One row for each operator, in order of execution.

        Columns: path, op, role, output_shape, seconds, share (of the operators' time), flops, macs,
        bytes, intensity (FLOPs per byte), achieved (FLOP/s), roof (FLOP/s) and limit: "memory",
        "arithmetic" or "" where there is no arithmetic.
        """
        import pandas as pd

        total = self.seconds or 1.0
        rows = []
        for timing in self.timings:
            intensity = timing.intensity
            limit = "" if intensity is None else "arithmetic"
            if intensity is not None and intensity < self.peaks.ridge:
                limit = "memory"
            known = intensity is not None and timing.flops is not None
            rows.append(
                {
                    "path": timing.layer.path,
                    "op": timing.layer.op,
                    "role": timing.layer.role,
                    "output_shape": "×".join(map(str, timing.layer.output_shape[1:])),
                    "seconds": timing.seconds,
                    "share": timing.seconds / total,
                    "flops": timing.flops,
                    "macs": timing.layer.macs,
                    "bytes": timing.bytes,
                    "intensity": intensity,
                    "achieved": timing.flops / timing.seconds if known and timing.flops else None,
                    "roof": None if intensity is None else self.peaks.roof(intensity),
                    "limit": limit,
                }
            )
        frame = pd.DataFrame(rows)
        for column in ("flops", "macs", "bytes"):
            frame[column] = frame[column].astype("Int64")
        for column in ("intensity", "achieved", "roof"):
            frame[column] = frame[column].astype("float64")
        return frame


def measure_peaks(device: torch.device | str = "cpu") -> Peaks:
    """Measure a device's peaks in a few hundred milliseconds; the best of several attempts each."""
    device = torch.device(device)
    side = _SIDE.get(device.type, _SIDE["cuda"])
    left, right = (torch.randn(side, side, device=device) for _ in range(2))
    product = torch.empty(side, side, device=device)
    source = torch.zeros(_COPIED.get(device.type, _COPIED["cuda"]) // 4, device=device)
    target = torch.ones_like(source)
    with _LOCK, torch.inference_mode():
        multiplied = _best(lambda: torch.mm(left, right, out=product), device)
        copied = _best(lambda: target.copy_(source), device)
    return Peaks(
        flops=2 * side**3 / multiplied,
        bandwidth=2 * source.numel() * source.element_size() / copied,
        device=_device_name(device),
        threads=torch.get_num_threads() if device.type == "cpu" else 0,
    )


def measure_roofline(
    model: nn.Module,
    input_size: Sequence[int],
    peaks: Peaks | None = None,
    passes: int | None = None,
) -> Roofline:
    """Time every operator of a pass of one black image, and set it beside the machine's peaks.

    The network runs in evaluation mode on its own device; its training flags are as before
    afterwards. On a GPU the queue is emptied around each operator.

    Args:
        model: the network, with its weights on a real device.
        input_size: (channels, height, width).
        peaks: of the model's device; measured if None.
        passes: measured passes, at least 1, after `WARM_UP` others; medians are taken over them.
            None: as many as take a second, from 5 to 31.

    Raises:
        CnnvizError: as `trace`; if `passes` is less than 1; if the weights are on "meta"; if the
            network takes another path than in its trace.

    """
    size = check_input_size(input_size)
    if passes is not None and passes < 1:
        raise CnnvizError(f"The number of measured passes must be at least 1, not {passes}.")
    tensor = next(model.parameters(), torch.empty(0))
    if tensor.is_meta:
        raise CnnvizError("A network without weights cannot be timed; build it on a real device.")
    layers = trace(model, size).layers
    peaks = peaks or measure_peaks(tensor.device)
    image = torch.zeros((1, *size), dtype=tensor.dtype, device=tensor.device)
    with _LOCK, evaluating(model), torch.inference_mode():
        recorders, whole = _measure(model, image, passes)
    timings = tuple(
        _timing(layer, [recorder.times[layer.index] for recorder in recorders], recorders[0])
        for layer in _matched(model, layers, recorders)
    )
    return Roofline(peaks, timings, statistics.median(whole), len(whole))


def _measure(
    model: nn.Module, image: torch.Tensor, passes: int | None
) -> tuple[list[_Watch], list[float]]:
    """Watch some passes operator by operator, and time as many that are not watched, in seconds."""
    warm = [_seconds(lambda: model(image), image.device) for _ in range(WARM_UP)]
    recorders, whole = [], []
    for _ in range(passes or min(max(int(_BUDGET / min(warm)), 5), 31)):
        # In turn: what slows the machine then slows both alike.
        recorders.append(_watch(model, image))
        whole.append(_seconds(lambda: model(image), image.device))
    return recorders, whole


class _Watch(OperatorRecorder):
    """Times each operator and counts the bytes that it moves."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__(model)
        self.times: list[float] = []
        self.bytes: list[int] = []
        self.renamed: list[bool] = []
        self._device = device
        self._seconds = 0.0
        self._read: list[torch.Tensor] = []

    def execute(self, op: str, run: Callable[[], Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401, ARG002
        self._read = list(tensors_in((args, kwargs)))
        _wait(self._device)
        start = time.perf_counter()
        output = run()
        _wait(self._device)
        self._seconds = time.perf_counter() - start
        return output

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401, ARG002
        with torch._C.DisableTorchFunction():
            self.times.append(self._seconds)
            outputs = list(tensors_in(output))
            self.bytes.append(_bytes(self._read, outputs))
            self.renamed.append(_renames(call.op, self._read, outputs))
        self._read = []
        return output


def _bytes(read: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> int:
    """Bytes of the distinct tensors read and of the outputs."""
    distinct = {id(tensor): tensor for tensor in read}.values()
    return sum(tensor.numel() * tensor.element_size() for tensor in (*distinct, *outputs))


def _renames(op: str, read: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> bool:
    """Whether the outputs are the inputs' memory and the name does not tell of writing there."""
    sources = {storage_of(tensor) for tensor in read}
    writes = op.endswith("_") or op == "setitem"
    return not writes and all(storage_of(tensor) in sources for tensor in outputs)


def _watch(model: nn.Module, image: torch.Tensor) -> _Watch:
    recorder = _Watch(model, image.device)
    with recorder:
        model(image)
    return recorder


def _matched(
    model: nn.Module, layers: Sequence[Layer], recorders: Sequence[_Watch]
) -> Sequence[Layer]:
    """Return the trace's layers once every timed pass is seen to have made the same calls."""
    expected = [(layer.module, layer.op) for layer in layers]
    for recorder in recorders:
        if [(call.module, call.op) for call in recorder.calls] != expected:
            raise CnnvizError(
                f"{type(model).__name__} takes another path in each pass, so its layers cannot be "
                "timed: measure the whole network with measure_latency."
            )
    return layers


def _timing(layer: Layer, times: Sequence[float], recorder: _Watch) -> Timing:
    flops = None if layer.macs is None else 2 * layer.macs + layer.bias_adds + layer.other_ops
    # A ReLU called with inplace=True renames its input too, but not without arithmetic.
    moved = 0 if recorder.renamed[layer.index] and flops == 0 else recorder.bytes[layer.index]
    return Timing(layer, statistics.median(times), flops, moved)


def _best(work: Callable[[], object], device: torch.device) -> float:
    return min(_seconds(work, device) for _ in range(1 + _ATTEMPTS))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "cpu":
        return str(torch.cpu.get_capabilities().get("cpu_name", "CPU"))
    return device.type.upper()
