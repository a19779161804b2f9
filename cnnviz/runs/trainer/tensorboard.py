"""A run's metrics as TensorBoard event files, beside its metrics.jsonl.

`tensorboard --logdir runs` shows them. An option: nothing else here needs TensorBoard.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import Run
from cnnviz.training.saved.card import Card

# Fields of the loop's records that say where a point stands, not what was measured there.
_PLACE = ("kind", "step", "epoch", "seconds")


def require_tensorboard() -> None:
    """Raise `CnnvizError` if the package that writes event files is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise CnnvizError(
            "TensorBoard is not installed: `pip install tensorboard`, or train without "
            "--tensorboard."
        )


class Board:
    """Writes the event files of one run.

    Scalars are named `step/…` and `epoch/…` after the fields of the loop's records; `test/…` is
    the final evaluation. The recipe is there as text, and with the result as hyperparameters.
    """

    def __init__(self, run: Run, step: int, warn: Callable[[str], None]) -> None:
        """Begin, or go on with, the run's files at training step `step`.

        What was written beyond that step is hidden by TensorBoard, since it will come again: a
        resumed run has no point twice. `warn` takes a sentence if the files cannot be written,
        which ends them and not the run. Raises `CnnvizError` if TensorBoard is not installed.
        """
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._recipe, self._warn = run.recipe, warn
        first = not any(run.path.glob("events.out.tfevents.*"))
        # TensorBoard drops earlier scalars whose step is the purge step or a later one; texts stay.
        purge = step + 1 if step else 0
        self._writer: SummaryWriter | None = SummaryWriter(str(run.path), purge_step=purge)
        if first:
            text = json.dumps(self._recipe.model_dump(), indent=2)
            with self._kept_apart():
                self._writer.add_text("recipe", f"```json\n{text}\n```", 0)

    def report(self, record: dict[str, Any]) -> None:
        """Write the numbers of one of the loop's records ("kind": "step" or "epoch")."""
        self._write(
            {
                f"{record['kind']}/{name}": value
                for name, value in record.items()
                if name not in _PLACE and isinstance(value, int | float)
            },
            record["step"],
        )

    def finish(self, card: Card, step: int) -> None:
        """Write what the finished run reached, and its recipe as hyperparameters."""
        from torch.utils.tensorboard.summary import hparams

        calibration = card.calibration
        reached = {
            "test/accuracy": card.accuracy,
            "test/loss": card.loss,
            "test/calibration_error": calibration.ece if calibration else None,
        }
        known = {name: value for name, value in reached.items() if value is not None}
        fields = self._recipe.model_dump()
        simple = {k: v for k, v in fields.items() if isinstance(v, bool | int | float | str)}
        if self._writer is not None:
            with self._kept_apart():
                for summary in hparams(simple, known):
                    self._writer._get_file_writer().add_summary(summary)
        self._write(known, step)

    def _write(self, values: dict[str, int | float], step: int) -> None:
        if self._writer is not None:
            with self._kept_apart():
                for name, value in values.items():
                    self._writer.add_scalar(name, value, step)

    @contextlib.contextmanager
    def _kept_apart(self) -> Iterator[None]:
        """Keep the writer's trouble, such as a full disk, from the run."""
        try:
            yield
        except OSError as error:  # its thread's own, passed on at the next call
            self._writer = None
            self._warn(f"TensorBoard's files end here ({error.strerror or error}).")

    def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._writer is not None:
            with self._kept_apart():
                self._writer.close()
