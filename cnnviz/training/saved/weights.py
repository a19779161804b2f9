"""A network's weights as safetensors bytes, written for keeping and read with suspicion.

The format is an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes
(https://huggingface.co/docs/safetensors). Nothing read here can run code.
"""

from __future__ import annotations

import json
import math
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from cnnviz.errors import CnnvizError

#: Longest header accepted, in bytes; that of the largest network here is under 100 kB.
HEADER_LIMIT = 1_000_000

_ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}


def stored_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of `model` as a checkpoint keeps it, on the CPU, in memory of its own.

    Float parameters become fp16, or stay fp32 where a value would overflow (65,504); buffers stay
    as they are, so that batch norm's statistics keep their precision. Raises `CnnvizError` for a
    parameter that is not finite.
    """
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    stored: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        tensor = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        if name in parameters and tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                raise CnnvizError(
                    f"The weights {name} are not finite, so nothing was saved: train again with a "
                    "lower learning rate."
                )
            half = tensor.half()
            tensor = half if torch.isfinite(half).all() else tensor.float()
        stored[name] = tensor
    return stored


def to_bytes(state: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Return `state` and `metadata` as the bytes of a safetensors file, the same ones each time.

    The library writes the metadata in an order of chance; sorted, equal weights make equal files
    and so equal checksums.
    """
    data: bytes = safetensors.torch.save(state, {"format": "pt", **metadata})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    sorted_header = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    # The form asks that the tensors begin at a multiple of eight bytes.
    padded = sorted_header.ljust(-(-len(sorted_header) // 8) * 8)
    return len(padded).to_bytes(8, "little") + padded + data[8 + length :]


def from_bytes(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file's bytes.

    Raises `CnnvizError`, calling the file `name`, if anything about it is out of order.
    """
    header = parse_header(data, name)
    try:
        return safetensors.torch.load(data), header.get("__metadata__", {})
    except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise _damaged(name, f"its tensors cannot be read, {error}") from error


def parse_header(data: bytes, name: str) -> dict[str, Any]:
    """Return the checked header of a safetensors file's bytes: each tensor in place, no gap."""
    if len(data) < 8:
        raise _damaged(name, f"it has {len(data)} bytes, fewer than the 8 of its first field")
    length = int.from_bytes(data[:8], "little")
    if length > HEADER_LIMIT:
        raise _damaged(name, f"its header claims {length:,} bytes of at most {HEADER_LIMIT:,}")
    if 8 + length > len(data):
        raise _damaged(name, f"its header of {length:,} bytes goes beyond the end of the file")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(name, "its header is not a JSON object")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged(name, "its metadata is not a table of texts")
    spans = [_span(key, entry, name) for key, entry in header.items() if key != "__metadata__"]
    _check_layout(sorted(spans), len(data) - 8 - length, name)
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is given twice")
    return table


def _span(key: str, entry: Any, name: str) -> tuple[int, int, str]:  # noqa: ANN401 - JSON
    """Return the bytes [begin, end) of one tensor, its type and shape checked."""
    item_bytes = _ITEM_BYTES.get(str(entry.get("dtype"))) if isinstance(entry, dict) else None
    if item_bytes is None:
        raise _damaged(name, f"its tensor {key!r} has no known number type")
    shape, offsets = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise _damaged(name, f"the shape or place of its tensor {key!r} is not given in numbers")
    begin, end = offsets
    if end - begin != math.prod(shape) * item_bytes:
        raise _damaged(name, f"the size of its tensor {key!r} does not fit its shape")
    return begin, end, key


def _counts(value: Any) -> list[int] | None:  # noqa: ANN401 - JSON
    if isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value):
        return value
    return None


def _check_layout(spans: list[tuple[int, int, str]], available: int, name: str) -> None:
    position = 0
    for begin, end, key in spans:
        if begin < position:
            raise _damaged(name, f"its tensor {key!r} overlaps the one before")
        if begin > position:
            raise _damaged(name, f"there is a gap before its tensor {key!r}")
        position = end
    if position > available:
        missing = position - available
        raise _damaged(name, f"it was cut off, {missing:,} bytes of its tensors are missing")
    if position < available:
        raise _damaged(name, f"it has {available - position:,} bytes after its last tensor")


def _damaged(name: str, how: str) -> CnnvizError:
    return CnnvizError(f"{name} is damaged ({how}): get the file again.")
