"""Forward passes that hand over what named layers give, and stop at the last of them.

They run on a private twin of the network, which shares its weights: hooks and frozen parameters
there are nobody else's, so any number of threads may look into one network at a time.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.anatomy.clone import TensorCopies, first_line, without_hooks
from cnnviz.anatomy.operators.recorder import Call, OperatorRecorder, name_calls, tensors_in
from cnnviz.errors import CnnvizError

# Where a network holds its maps as (N, H, W, C), as ConvNeXt does, this attribute marks the tensor.
_CHANNELS_LAST = "_cnnviz_channels_last"


def frozen_twin(model: nn.Module) -> nn.Module:
    """Copy the modules of `model`, not its weights: the twin reads the same memory, frozen.

    Hooks are left behind, but for the ones of `torch.nn.utils` that compute weights.

    Raises:
        CnnvizError: if `model` is no module, is in training mode, or cannot be copied.

    """
    if not isinstance(model, nn.Module):
        raise CnnvizError(f"A torch.nn.Module is needed, not a {type(model).__name__}.")
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if any(module.training for module in model.modules()):
        raise CnnvizError(
            f"{type(model).__name__} is in training mode, where batch normalisation and dropout "
            "make its answers depend on chance: call model.eval() first."
        )
    memo: dict[int, Any] = {}
    for module in list(model.modules()):
        for value in list(vars(module).values()):  # a dozen to a module, slow to copy one by one
            if type(value) is OrderedDict and not value:
                memo[id(value)] = OrderedDict()
        without_hooks(module, memo)
        for parameter in module._parameters.values():
            if parameter is not None:
                memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    try:
        with TensorCopies(Tensor.detach):  # new names of the same memory
            return copy.deepcopy(model, memo)
    except (TypeError, RuntimeError, AttributeError) as error:
        raise CnnvizError(
            f"{type(model).__name__} cannot be copied ({first_line(error)}); keep locks, files "
            "and generators out of the network's attributes."
        ) from error


@dataclass(frozen=True)
class Site:
    """Where in a network to look: a module's output, or the output of one operator call.

    `index` is the call's place in the pass; None means the module of that name, at its first call.
    """

    name: str
    index: int | None = None


#: The network's own output.
OUTPUT = Site("")

Receive = Callable[[Site, Tensor], Tensor | None]


def find_sites(twin: nn.Module, layers: Sequence[str], image: Tensor) -> list[Site]:
    """Find each layer: a module's path or, where no module has that name, a trace row's path.

    `image` is a batch (1, C, H, W), passed through the network once if a row is asked for.

    Raises:
        CnnvizError: for a name that is neither, with the nearest one that is.

    """
    modules = {name for name, _ in twin.named_modules() if name}
    rows: dict[str, int] = {}
    if any(layer not in modules for layer in layers):
        recorder, passed = OperatorRecorder(twin), image.clone()
        with torch.no_grad(), explained(twin, image), recorder:
            twin(passed)
        rows = {path: i for i, path in enumerate(name_calls(recorder.calls, modules))}
    for layer in layers:
        if layer not in modules and layer not in rows:
            close = difflib.get_close_matches(layer, [*modules, *rows], n=1, cutoff=0.4)
            hint = f"did you mean {close[0]!r}?" if close else f"its last layer is {[*rows][-1]!r}."
            raise CnnvizError(f"{type(twin).__name__} has no layer {layer!r}; {hint}")
    return [Site(layer, None if layer in modules else rows[layer]) for layer in layers]


def run_to(
    twin: nn.Module,
    sites: Sequence[Site],
    images: Tensor,
    receive: Receive,
    by_hooks: bool = False,
) -> bool:
    """Pass `images` (N, C, H, W) forward and call `receive(site, output)` at each site.

    The output is (N, units, …), whatever layout the network uses, and is the network's own tensor:
    a later operator may overwrite it, so copy what is to be kept. The pass goes on with what
    `receive` returns, if it returns a tensor, and ends at the last site.

    Returns whether hooks alone can make the next pass, which `by_hooks` then asks for: all sites
    are modules and their outputs need no other layout, so that no operator need be watched.

    Raises:
        CnnvizError: if the images do not fit, or a layer is not reached or gives no feature maps.

    """
    watch = _Watch(twin, sites, receive)
    handles = [
        twin.get_submodule(site.name).register_forward_hook(watch.on_module(site))
        for site in sites
        if site.index is None
    ]
    try:
        with explained(twin, images), contextlib.nullcontext() if by_hooks else watch:
            twin(images)
    except _AllReceivedError:
        return watch.hooks_suffice
    except _ReceiverError as error:
        raise error.cause from None
    finally:
        for handle in handles:
            handle.remove()
    missed = next(site for site in sites if site in watch.waiting)
    raise CnnvizError(
        f"The layer {missed.name!r} takes no part in a pass of {type(twin).__name__}: "
        "choose one that `cnnviz.trace` lists."
    )


class _AllReceivedError(BaseException):
    """Ends a forward pass; no network's own `except Exception` shall catch it."""


class _ReceiverError(BaseException):
    """Carries what `receive` raised past the network and past what is said of images."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Watch(OperatorRecorder):
    """Hands over the outputs of sites as a pass comes to them."""

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[Site],
        receive: Receive,
    ) -> None:
        super().__init__(model)
        self.waiting = set(sites)
        self.hooks_suffice = all(site.index is None for site in sites)
        self._by_index = {site.index: site for site in sites if site.index is not None}
        self._receive = receive

    def on_operator(self, call: Call, args: Any, kwargs: Any, output: Any) -> Any:  # noqa: ANN401
        with torch._C.DisableTorchFunction():
            _note_layout(call.op, args, kwargs, output)
        if call.index in self._by_index:
            return self._arrive(self._by_index[call.index], output)
        return output

    def on_module(self, site: Site) -> Callable[[nn.Module, Any, Any], Any]:
        """Return a forward hook for the module of `site`."""
        return lambda _module, _inputs, output: self._arrive(site, output)

    def _arrive(self, site: Site, output: Any) -> Any:  # noqa: ANN401
        if site not in self.waiting:
            return output  # a further call of a reused module
        with torch._C.DisableTorchFunction():
            maps = _units_second(site, output)
            self.hooks_suffice &= maps is next(tensors_in(output))
            try:
                instead = self._receive(site, maps)
            except Exception as error:
                raise _ReceiverError(error) from error
            self.waiting.remove(site)
            if not self.waiting:
                raise _AllReceivedError
            if instead is None or not isinstance(output, Tensor):
                return output
            last = getattr(output, _CHANNELS_LAST, False)
            instead = instead.movedim(1, -1) if last else instead
            setattr(instead, _CHANNELS_LAST, last)
            return instead


def _note_layout(op: str, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ANN401
    """Mark an output that is (N, H, W, C): by a permutation, or as its input was."""
    if not isinstance(output, Tensor) or output.dim() != 4:
        return
    if op == "permute":
        dims = kwargs.get("dims", args[1] if len(args) == 2 else args[1:])
        last = [d % 4 for d in dims] == [0, 2, 3, 1]
    elif op in ("linear", "layer_norm"):  # they work on the last dimension
        last = True
    else:
        inputs = tensors_in((args, kwargs))
        last = any(getattr(t, _CHANNELS_LAST, False) and t.dim() == 4 for t in inputs)
    setattr(output, _CHANNELS_LAST, last)


def _units_second(site: Site, output: Any) -> Tensor:  # noqa: ANN401
    tensor = next(tensors_in(output), None)
    if tensor is None or not 2 <= tensor.dim() <= 4 or not tensor.is_floating_point():
        shape = "no tensor" if tensor is None else f"a tensor of shape {tuple(tensor.shape)}"
        raise CnnvizError(
            f"The layer {site.name!r} gives {shape}, not feature maps (N, units, …): "
            "choose another one."
        )
    return tensor.movedim(-1, 1) if getattr(tensor, _CHANNELS_LAST, False) else tensor


class explained:
    """Turn what a forward pass raises on images that do not fit into a `CnnvizError`."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._model = type(model).__name__
        self._shape = " × ".join(map(str, images.shape[1:]))

    def __enter__(self) -> None:
        """Begin; nothing is to be set up."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: object) -> None:  # noqa: ANN401
        """Let ours through, and explain the others."""
        if isinstance(error, Exception) and not isinstance(error, CnnvizError):
            raise CnnvizError(
                f"{self._model} cannot run on images of {self._shape}: {first_line(error)[:200]}"
            ) from error


def check_images(images: Any, twin: nn.Module) -> Tensor:  # noqa: ANN401
    """Return normalised images (N, C, H, W) in the network's number format and on its device.

    Raises:
        CnnvizError: if they are no such batch of floats.

    """
    if not isinstance(images, Tensor) or images.dim() != 4 or images.numel() == 0:
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise CnnvizError(f"Images are a tensor (N, C, H, W), not {shape}: add a batch dimension.")
    if not images.is_floating_point():
        raise CnnvizError(
            f"Images are floats, normalised as the network expects, not {images.dtype}: "
            "subtract the mean and divide by the deviation of its data set."
        )
    example = next((p for p in twin.parameters() if p.is_floating_point()), images)
    return images.detach().to(example.device, example.dtype)
