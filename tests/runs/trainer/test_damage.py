"""Files of a run that were damaged, edited or deleted behind its back."""

import json
import shutil
import time

import pytest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import Run, folder, metrics
from cnnviz.runs.trainer import worker
from tests.runs.test_runs import EPOCH, new_run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "damage",
    [
        "{}",
        "null",
        "[" * 100_000,
        '{"kind": "step"}',
        '{"kind": "epoch", "epoch": 1, "step": 3}',
        json.dumps(EPOCH | {"train_loss": float("nan")}),
        json.dumps(EPOCH | {"step": "three"}),
        json.dumps(EPOCH | {"val_accuracy": [0.5]}),
        json.dumps(EPOCH | {"kind": "hour"}),
    ],
)
def test_a_line_that_is_json_but_no_record_is_damaged_too(damage):
    good = json.dumps(EPOCH | {"val_loss": None, "notice": "eager steps"})
    assert metrics.parse_metrics(f"{good}\n{damage}\n{good}\n") == metrics.Metrics(
        [], [json.loads(good)] * 2, 1
    )


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[1]",
        b"\xff\xfe\x00{",
        b'{"state": "running", "pid": -5}',
        b'{"state": "done", "epoch": NaN}',
        b'{"state": "done", "created": 1e300}',
        b'{"state": "running", "step": -1}',
    ],
)
def test_a_damaged_status_is_said_and_the_run_keeps_its_day(damage):
    run = new_run()
    (run.path / folder.STATUS).write_bytes(damage)
    row = run.summary()
    assert (row["state"], run.can_resume) == ("interrupted", True)
    assert row["message"] == "Its status.json is damaged: resume it from the last checkpoint."
    assert abs(run.status.created - time.time()) < 60
    assert run.log_tail() == ""


def test_a_folder_deleted_but_for_its_end_ends_the_training_too():
    """`rm -r` fails where the trainer writes a file into the folder that it is just emptying."""
    run = new_run(epochs=30, snapshots=False)

    def empty(_):
        for path in run.path.iterdir():
            path.unlink()

    with pytest.raises(CnnvizError, match="was deleted"):
        worker.execute(run, "cpu", empty)
    assert not (run.path / folder.STATUS).exists()
    assert not runs.list_runs()


def test_a_recipe_that_was_mended_wrongly_is_said_and_not_thrown_away():
    run = new_run()
    text = (run.path / folder.RECIPE).read_text()
    (run.path / folder.RECIPE).write_text(text.replace('"batch_size": 128', '"batch_size": "many"'))
    (problem,) = runs.survey_runs().problems.values()
    assert "batch_size: Input should be a valid integer" in problem
    assert "Mend the file" in problem
    (run.path / folder.RECIPE).write_text("[" * 100_000)
    (problem,) = runs.survey_runs().problems.values()
    assert "It is not JSON." in problem
    (problem,) = runs.survey_runs(heads_only=True).problems.values()
    assert "Invalid JSON" in problem


def test_a_run_that_another_deletes_just_now_is_no_problem(monkeypatch):
    run = new_run()
    found = runs.list_runs()
    monkeypatch.setattr(folder, "list_runs", lambda: found)
    shutil.rmtree(run.path)
    assert runs.survey_runs() == ([], {})
    with pytest.raises(CnnvizError, match="was deleted already"):
        runs.delete_run(run)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.999])
def test_a_damaged_checkpoint_is_said_and_the_run_can_begin_again(trained_folder, keep):
    whole = (trained_folder / folder.LAST).read_bytes()
    run = runs.clone_run(Run(trained_folder))
    cut = whole[: keep if isinstance(keep, int) else int(keep * len(whole))]
    (run.path / folder.LAST).write_bytes(cut)
    with pytest.raises(CnnvizError, match=r"last\.pt is damaged.*delete that file"):
        worker.execute(run, "cpu")
    assert run.status.message.startswith("Its last.pt is damaged")
    (run.path / folder.LAST).unlink()
    assert worker.execute(run, "cpu") == "done"
