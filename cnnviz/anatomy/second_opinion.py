"""What torchinfo and fvcore count for the same network, and why it differs where it does."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cnnviz.anatomy.clone import real_clone
from cnnviz.anatomy.result import Trace
from cnnviz.anatomy.tracing import trace

# Both tools patch global state (jit tracing, module hooks), so only one of them runs at a time.
_LOCK = threading.Lock()

# fvcore's operators that are contractions; its other counts are not multiply–accumulates.
_CONTRACTIONS = {"conv", "linear", "addmm", "matmul", "bmm", "mm", "einsum"}


@dataclass(frozen=True)
class Opinion:
    """One tool's count of a network for one image.

    `params` and `macs` are None where the tool fails; `note` says how it counts and, where that
    differs from the trace, why.
    """

    tool: str
    params: int | None
    macs: int | None
    note: str


def second_opinion(model: nn.Module, input_size: Sequence[int]) -> list[Opinion]:
    """Count `model` with this package's trace, torchinfo and fvcore.

    The tools work on a copy, with real memory for its weights; `model` is not touched.

    Args:
        model: any network that takes a batch of images; one on the meta device is given memory.
        input_size: (channels, height, width).

    Raises:
        CnnvizError: as `trace`.

    """
    own = trace(model, input_size)
    copy = real_clone(model).eval()
    if any(parameter.is_meta for parameter in copy.parameters()):
        copy = copy.to_empty(device="cpu")
    tensor = next(copy.parameters(), torch.empty(0))
    image = torch.zeros((1, *own.input_size), dtype=tensor.dtype, device=tensor.device)
    note = "MACs of convolutions and matrix products, without biases; every operator call."
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            Opinion("cnnviz", own.params, own.macs, note),
            _torchinfo(copy, image, own),
            _fvcore(copy, image, own),
        ]


def _torchinfo(model: nn.Module, image: torch.Tensor, own: Trace) -> Opinion:
    try:
        import torchinfo

        found = torchinfo.summary(model, input_data=image, verbose=0, device=image.device)
        params, macs = int(found.total_params), int(found.total_mult_adds)
    except Exception as error:  # noqa: BLE001 - whatever the tool raises becomes its opinion
        return _failed("torchinfo", error)
    return Opinion("torchinfo", params, macs, _why_torchinfo(params, macs, own))


def _why_torchinfo(params: int, macs: int, own: Trace) -> str:
    reasons = []
    if params != own.params:
        reasons.append("counts parameters by module, shared ones more than once")
    if macs != own.macs:
        layers = own.layers
        if any(layer.bias_adds for layer in layers):
            reasons.append("adds the biases")
        if any(layer.kind == "norm" and layer.params for layer in layers):
            reasons.append("counts a normalisation as its number of parameters")
        if any(layer.kind == "linear" and len(layer.input_shape) > 2 for layer in layers):
            reasons.append("takes a linear layer for one position, however many it works on")
        if any(layer.op.startswith("conv_transpose") for layer in layers):
            reasons.append("counts a transposed convolution by its output positions")
        if any(
            layer.kind in ("conv", "linear", "matmul") and _functional(layer.path, layer.module)
            for layer in layers
        ):
            reasons.append("sees modules only, so functional operators are missing")
    return _sentence(reasons)


def _functional(path: str, module: str) -> bool:
    return path.split("#")[0] != module


def _fvcore(model: nn.Module, image: torch.Tensor, own: Trace) -> Opinion:
    try:
        from fvcore.nn import FlopCountAnalysis

        analysis: Any = FlopCountAnalysis(model, image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = {op: int(count) for op, count in analysis.by_operator().items() if count}
        skipped = sorted(op.removeprefix("aten::") for op in analysis.unsupported_ops())
    except Exception as error:  # noqa: BLE001 - whatever the tool raises becomes its opinion
        return _failed("fvcore", error)
    params = sum(parameter.numel() for parameter in model.parameters())
    reasons = []
    extra = {op: count for op, count in counts.items() if op not in _CONTRACTIONS}
    if extra:
        names = ", ".join(f"{op} {count:,}" for op, count in sorted(extra.items()))
        reasons.append(f"adds other arithmetic to the MACs ({names})")
    if sum(counts.values()) - sum(extra.values()) == own.macs:
        reasons[:0] = ["agrees on convolutions and matrix products"] if extra else []
    else:
        reasons.append("counts the contractions themselves differently")
    if skipped:
        reasons.append(f"skips {', '.join(skipped[:6])}{' and more' if len(skipped) > 6 else ''}")
    return Opinion("fvcore", params, sum(counts.values()), _sentence(reasons))


def _failed(tool: str, error: Exception) -> Opinion:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return Opinion(tool, None, None, f"{tool} cannot count this network ({reason[:120]}).")


def _sentence(reasons: list[str]) -> str:
    text = "; ".join(reasons) or "agrees"
    return f"{text[0].upper()}{text[1:]}."
