"""The device that a run trains on: which, its name, its number formats and its memory."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import psutil
import torch

from cnnviz.errors import CnnvizError
from cnnviz.training.recipe import Precision


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device named `wanted`; "auto" takes CUDA, else Apple's MPS, else the CPU.

    Of CUDA's it has its index, of the others none: a device has one name, by which it is locked.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise CnnvizError(f"There is no device {wanted!r}: use auto, cpu, cuda:0 or mps.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CnnvizError(
            f"{wanted} is not on this machine ({torch.cuda.device_count()} CUDA devices): "
            "use --device auto or cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise CnnvizError("This machine has no MPS device: use --device auto or cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise CnnvizError(f"cnnviz does not train on {wanted!r}: use auto, cpu, cuda:0 or mps.")
    index = device.index or 0
    return torch.device("cuda", index) if device.type == "cuda" else torch.device(device.type)


def device_name(device: torch.device) -> str:
    """Return what the device is, in words, as the card states it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "cpu":
        model = torch.cpu.get_capabilities().get("cpu_name", "CPU")
        threads = torch.get_num_threads()
        return f"{model}, {threads} thread{'s' if threads > 1 else ''}"
    return "Apple MPS"


def tune(device: torch.device) -> None:
    """Let CUDA take its fastest algorithms, for this process, and `device` be this thread's own.

    Memory to copy from would otherwise be asked of the first device, and take some hundred MB
    there. cuDNN measures which convolution is fastest for each shape, of which a run has few, and
    what stays in fp32 is multiplied as TF32 (10 bits of mantissa). Both cost bit-identical
    repetition, which a GPU's atomic additions do not give anyway.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")


@contextlib.contextmanager
def borrowed(device: torch.device) -> Iterator[None]:
    """Train on `device` for a while: its memory, and what `tune` sets, are then as before."""
    if device.type == "cpu":
        yield
        return
    benchmark, precision = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    own = torch.cuda.current_device() if device.type == "cuda" else 0
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(precision)
        gc.collect()  # a trainer and its average of the weights hold each other
        if device.type == "cuda":
            torch.cuda.set_device(own)
            torch.cuda.empty_cache()
        else:
            torch.mps.empty_cache()


def seed(device: torch.device, number: int) -> None:
    """Seed the generators that a step on `device` draws from: the CPU's and its own.

    `torch.manual_seed` sees to every device there may be, which takes longer (0.2 ms) where a
    build for CUDA finds none.
    """
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def memory_format(device: torch.device) -> torch.memory_format:
    """How images and weights lie in memory: channels last where that is fast and right.

    On MPS, the backward pass of batch norm then fails or gives wrong gradients
    (https://github.com/pytorch/pytorch/issues/175189, in versions that this project runs with).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


@contextlib.contextmanager
def exact_fp32(device: torch.device) -> Iterator[None]:
    """Multiply fp32 as fp32 on CUDA too: a figure measured so is the same on any machine."""
    if device.type != "cuda":
        yield
        return
    kept = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        # Without `enabled` it would switch cuDNN off.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(kept)


def memory_used(device: torch.device) -> int:
    """Bytes: the most that was allocated on a CUDA device, on a CPU what the process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return int(psutil.Process().memory_info().rss)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # MPS, the CPU's allocator, cuDNN and cuBLAS raise a plain RuntimeError.
    said = ("out of memory", "can't allocate memory", "not enough memory", "status_alloc_failed")
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in said)


def choose_precision(wanted: Precision, device: torch.device) -> str:
    """Return "bf16", "fp16" or "fp32": what `wanted` means on this device.

    "auto" takes autocast where it pays: bf16 on CUDA devices that have it in hardware and fp16 on
    older ones, and bf16 on CPUs with bf16 instructions (where depthwise convolutions stay in fp32,
    see `cnnviz.training.devices.mixed`). On MPS it is fp32; bf16 is there for the asking.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if _gpu_has_bf16(device) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "fp32"


def autocast_type(precision: str) -> torch.dtype:
    """The number format of autocast for a chosen precision."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)


def _gpu_has_bf16(device: torch.device) -> bool:
    # torch.cuda.is_bf16_supported knows of the current device alone.
    return bool(torch.version.hip) or torch.cuda.get_device_properties(device).major >= 8


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
