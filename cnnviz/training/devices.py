"""The device that a run trains on: which, its name, its number formats and its memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil
import torch

from cnnviz.errors import CnnvizError
from cnnviz.training.recipe import Precision


def pick_device(wanted: str = "auto") -> torch.device:
    """Return the device named `wanted`; "auto" takes CUDA, else Apple's MPS, else the CPU."""
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
    return device


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
    """Let CUDA take its fastest algorithms, for this process.

    cuDNN measures which convolution is fastest for each shape, of which a run has few, and what
    stays in fp32 is multiplied as TF32 (10 bits of mantissa). Both cost bit-identical repetition,
    which a GPU's atomic additions do not give anyway.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")


@contextlib.contextmanager
def exact_fp32(device: torch.device) -> Iterator[None]:
    """Multiply fp32 as fp32 on CUDA too: a figure measured so is the same on any machine."""
    if device.type != "cuda":
        yield
        return
    kept = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(benchmark=False, allow_tf32=False):
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
    # MPS and the CPU's allocator raise a plain RuntimeError.
    said = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in said)


def choose_precision(wanted: Precision, device: torch.device) -> str:
    """Return "bf16", "fp16" or "fp32": what `wanted` means on this device.

    "auto" takes autocast where it pays: bf16 on CUDA devices that have it in hardware and fp16 on
    older ones, and bf16 on CPUs with bf16 instructions (where depthwise convolutions stay in fp32,
    see `cnnviz.training.mixed`). On MPS it is fp32; bf16 is there for the asking.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and _cpu_has_bf16():
        return "bf16"
    return "fp32"


def autocast_type(precision: str) -> torch.dtype:
    """The number format of autocast for a chosen precision."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
