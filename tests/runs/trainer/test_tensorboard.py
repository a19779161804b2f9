"""TensorBoard's event files, read back with TensorBoard's own reader."""

import importlib.util
import json
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from cnnviz import runs
from cnnviz.__main__ import main
from cnnviz.errors import CnnvizError
from cnnviz.runs import folder
from cnnviz.runs.trainer import worker
from cnnviz.runs.trainer.tensorboard import Board
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import list_checkpoints

pytestmark = pytest.mark.slow


def new_run(**changes):
    fields = {"batch_size": 128, "epochs": 2, "tensorboard": True, **changes}
    return runs.create_run(default_recipe("lenet5", "digits", **fields))


def read(run):
    events = EventAccumulator(str(run.path), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def points(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def next_second():
    """Wait a little: TensorBoard sorts the files by the second in their names."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)


def event_files(run):
    return list(run.path.glob("events.out.tfevents.*"))


def test_the_files_hold_what_the_metrics_hold():
    run = new_run()
    assert worker.execute(run, "cpu") == "done"
    events, metrics = read(run), run.metrics()
    for field in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"):
        wanted = [(record["step"], pytest.approx(record[field])) for record in metrics.epochs]
        assert points(events, f"epoch/{field}") == wanted
    for field in ("loss", "lr", "images_per_second"):
        wanted = [(record["step"], pytest.approx(record[field])) for record in metrics.steps]
        assert points(events, f"step/{field}") == wanted


def test_the_recipe_and_the_result_are_hyperparameters():
    run = new_run(epochs=1)
    worker.execute(run, "cpu")
    events, card = read(run), list_checkpoints(run.path)[0].card
    assert points(events, "test/accuracy") == [(run.status.step, pytest.approx(card.accuracy))]
    (text,) = events.Tensors("recipe/text_summary")
    shown = text.tensor_proto.string_val[0].decode()
    assert json.loads(shown.removeprefix("```json").removesuffix("```")) == run.recipe.model_dump()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    given = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert given["lr"].number_value == run.recipe.lr
    assert given["optimizer"].string_value == "sgd"


def test_a_resumed_run_has_every_point_once():
    run = new_run(epochs=3)
    state = worker.execute(run, "cpu", lambda _: (run.path / folder.STOP).touch())
    assert state == "stopped"
    # As if it had been killed later: points beyond the checkpoint, which training makes again.
    next_second()
    kept = torch.load(run.path / folder.LAST, weights_only=True)["step"]
    stray = Board(run, kept, pytest.fail)
    stray.report({"kind": "epoch", "step": kept + 1, "train_loss": 99.0})
    stray.close()
    next_second()
    assert worker.execute(run, "cpu") == "done"
    assert len(event_files(run)) == 3
    losses = points(read(run), "epoch/train_loss")
    wanted = [(r["step"], pytest.approx(r["train_loss"])) for r in run.metrics().epochs]
    assert losses == wanted


def test_a_run_begun_again_has_its_recipe_once():
    run = new_run(epochs=1)
    Board(run, 0, pytest.fail).close()
    Board(run, 0, pytest.fail).close()
    assert len(read(run).Tensors("recipe/text_summary")) == 1


def test_without_the_option_there_are_no_files():
    run = new_run(epochs=1, tensorboard=False)
    worker.execute(run, "cpu")
    assert event_files(run) == []


def test_a_full_disk_ends_the_files_and_not_the_run():
    run, said = new_run(), []
    board = Board(run, 0, said.append)

    def full(*_):
        raise OSError(28, "No space left on device")

    board._writer.add_scalar = full
    for step in (1, 2):
        board.report({"kind": "step", "step": step, "loss": 1.0})
    board.close()
    assert said == ["TensorBoard's files end here (No space left on device)."]


def test_a_missing_package_is_said_before_a_run_is_made(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name)
    )
    with pytest.raises(CnnvizError, match="pip install tensorboard"):
        Board(new_run(), 0, pytest.fail)
    before = len(runs.list_runs())
    assert main(["train", "lenet5", "--dataset", "digits", "--tensorboard"]) == 1
    assert "pip install tensorboard" in capsys.readouterr().err
    assert len(runs.list_runs()) == before
