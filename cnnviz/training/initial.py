"""Beginning with weights that were trained before: fine-tuning.

The last layer answers for the classes of what was trained on; where those are others, it is a
new one, drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from cnnviz.errors import CnnvizError

# GoogLeNet's auxiliary classifiers: published weights and checkpoints may do without.
_AUXILIARY = ("aux1.", "aux2.")


def last_layer(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the name and the module of the last layer with parameters: the classifier."""
    found = ("", model)
    for name, module in model.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            found = (name, module)
    return found


def adopt(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy `state` into `model`, all but a last layer of other shapes; `source` names it.

    Raises `CnnvizError` where it is of another network. `model` is then unchanged.
    """
    wanted, last = model.state_dict(), last_layer(model)[0]
    kept = {
        name: given
        for name, given in state.items()
        if name in wanted and given.shape == wanted[name].shape
    }
    for name in [*wanted, *state]:
        if name not in kept and not name.startswith((f"{last}.", *_AUXILIARY)):
            raise CnnvizError(
                f"The weights {source!r} are of another network ({name} does not fit): choose "
                "weights of the same variant."
            )
    # All of the last layer is new, or none of it.
    if any(name.startswith(f"{last}.") and name not in kept for name in wanted):
        kept = {name: t for name, t in kept.items() if not name.startswith(f"{last}.")}
    model.load_state_dict({**wanted, **kept})


def freeze_all_but_last(model: nn.Module) -> None:
    """Let only the last layer learn."""
    model.requires_grad_(False)
    last_layer(model)[1].requires_grad_(True)


def train_mode(model: nn.Module) -> None:
    """Set training mode; batch norms that do not learn go on with the statistics they have."""
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase) and module.affine and not module.weight.requires_grad:
            module.eval()


def refuse_input(model: nn.Module, shape: tuple[int, int, int], name: str) -> None:
    """Raise `CnnvizError` if `model` cannot take inputs of `shape`; it is left as it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise CnnvizError(
            f"{name} cannot take inputs of {shape[1]} × {shape[2]} pixels: choose another resize "
            "or crop."
        ) from error
    finally:
        model.train(training)
