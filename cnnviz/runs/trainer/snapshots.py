"""Weights kept at a few epochs of a run, so that one can see what its units learn, and when.

Zeiler & Fergus 2013, figure 4, shows features at epochs 1, 2, 5, 10, 20, 30, 40 and 64; a longer
run goes on with the powers of two, and the last epoch is always kept. They lie in
``runs/ID/epochs/`` as fp16 safetensors of the network whose accuracy counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from torch import nn

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import Run
from cnnviz.training.loop import Trainer
from cnnviz.training.saved.files import atomic_write, sweep_temporaries
from cnnviz.training.saved.weights import from_bytes, stored_state, to_bytes

FOLDER = "epochs"
#: Zeiler & Fergus 2013, figure 4.
PAPER_EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)

_FILE = re.compile(r"epoch-(\d{1,5})\.safetensors")


def snapshot_epochs(epochs: int) -> tuple[int, ...]:
    """Return the epochs, ascending, at which a run of `epochs` epochs keeps its weights."""
    wanted = list(PAPER_EPOCHS)
    while wanted[-1] < epochs:
        wanted.append(2 * wanted[-1])
    return (*(epoch for epoch in wanted if epoch < epochs), epochs)


def list_snapshots(run: Run) -> dict[int, Path]:
    """Return the files of the kept weights by their epochs, ascending; empty where none are."""
    folder = run.path / FOLDER
    paths = folder.iterdir() if folder.is_dir() else ()
    found = {int(m[1]): path for path in paths if (m := _FILE.fullmatch(path.name))}
    return dict(sorted(found.items()))


def load_snapshot(run: Run, epoch: int) -> nn.Module:
    """Return the network as it was after `epoch` epochs, on the CPU, fp32, in evaluation mode.

    Raises `CnnvizError` where that epoch was not kept, and where its file is damaged or of
    another network.
    """
    found = list_snapshots(run)
    if epoch not in found:
        kept = ", ".join(map(str, found)) or "none"
        raise CnnvizError(f"The run {run.id} kept no weights of epoch {epoch}; kept: {kept}.")
    path = found[epoch]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CnnvizError(f"{path} cannot be read ({error.strerror}).") from error
    state, metadata = from_bytes(data, path.name)
    recipe = run.recipe
    try:
        model = registry.get(recipe.variant).build(int(metadata["num_classes"]), **recipe.knobs)
        model.load_state_dict(state, strict=True)
    except (KeyError, ValueError, RuntimeError) as error:
        raise CnnvizError(
            f"{path.name} of the run {run.id} is not of {recipe.variant}: delete that file."
        ) from error
    return model.float().eval()


class SnapshotKeeper:
    """Keeps the weights of `trainer` in the folder of `run` whenever one of its epochs ends.

    A snapshot that cannot be written is no reason to lose the run: `warn` is told, in one
    sentence, and training goes on.
    """

    def __init__(self, run: Run, trainer: Trainer, warn: Callable[[str], None]) -> None:
        self.run, self.trainer, self.warn = run, trainer, warn
        self.epochs = frozenset(snapshot_epochs(trainer.recipe.epochs))
        sweep_temporaries(run.path / FOLDER)

    def keep(self) -> None:
        """Write the snapshot that is due now, if any.

        To be called before the checkpoint that training goes on from: a run that is killed in
        between trains that epoch again, and writes the same file again.
        """
        epoch, rest = divmod(self.trainer.step, self.trainer.per_epoch)
        if rest or epoch not in self.epochs:
            return
        metadata = {
            "variant": self.trainer.recipe.variant,
            "num_classes": str(len(self.trainer.data.classes)),
            "epoch": str(epoch),
        }
        path = self.run.path / FOLDER / f"epoch-{epoch:04d}.safetensors"
        try:
            atomic_write(path, to_bytes(stored_state(self.trainer.final_model), metadata))
        except CnnvizError as error:
            self.warn(f"The weights of epoch {epoch} were not kept. {error}")
