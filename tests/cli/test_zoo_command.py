"""`zoo`: trains what is missing, publishes it, and goes on where it was."""

import json

import pytest

import cnnviz.cli
from cnnviz import runs
from cnnviz.runs import folder
from cnnviz.runs.zoo import survey_zoo
from cnnviz.training import zoo
from cnnviz.training.saved.checkpoints import read_checkpoint
from cnnviz.training.zoo import Entry

SMALL = (
    Entry("lenet5", "lenet5", "digits", epochs=1),
    Entry("lenet5-seed1", "lenet5", "digits", epochs=1, seed=1, weights=False),
)


@pytest.fixture
def small(monkeypatch, no_checkpoints):
    monkeypatch.setattr(zoo, "ZOO", SMALL)
    return no_checkpoints


def states():
    return [place.state for place in survey_zoo(SMALL)]


def call(capsys, *arguments):
    capsys.readouterr()
    status = cnnviz.cli.main(["zoo", "--device", "cpu", *arguments])
    return status, *capsys.readouterr()


def test_a_dry_run_says_how_far_each_is_and_starts_nothing(small, capsys):
    status, out, _ = call(capsys, "--dry-run", "--json")
    assert status == 0
    rows = json.loads(out)
    assert [(row["name"], row["state"], row["weights"]) for row in rows] == [
        ("lenet5", "missing", "published"),
        ("lenet5-seed1", "missing", "card only"),
    ]
    assert rows[1]["command"] == "train lenet5 --dataset digits --epochs 1 --holdout 0 --seed 1"
    assert runs.list_runs() == []


def test_it_trains_and_publishes_what_is_missing_and_nothing_twice(small, capsys):
    status, out, _ = call(capsys)
    assert status == 0
    assert "published" in out
    assert {path.name for path in small.iterdir()} == {
        "lenet5.json",
        "lenet5.safetensors",
        "lenet5-seed1.json",
    }
    assert read_checkpoint(small / "lenet5").card.accuracy > 0.5
    assert states() == ["published", "published"]
    assert len(runs.list_runs()) == 2
    assert call(capsys)[0] == 0
    assert len(runs.list_runs()) == 2
    (small / "lenet5-seed1.json").unlink()
    assert states() == ["published", "trained"]
    assert call(capsys, "lenet5-seed1")[0] == 0  # from the run that is there
    assert states() == ["published", "published"]
    assert len(runs.list_runs()) == 2


def test_a_run_that_was_stopped_goes_on(small, capsys):
    run = runs.create_run(SMALL[0].recipe)
    (run.path / folder.STOP).touch()
    run.write_status(run.status.model_copy(update={"state": "running", "pid": None}))
    assert cnnviz.cli.main(["runs", "resume", run.id, "--device", "cpu"]) == 143
    assert states() == ["begun", "missing"]
    assert call(capsys, "lenet5")[0] == 0
    assert [found.id for found in runs.list_runs()] == [run.id]
    assert states() == ["published", "missing"]


def test_what_was_trained_otherwise_is_outdated(small):
    run = runs.create_run(SMALL[0].recipe.changed(batch_size=256))
    from cnnviz.runs.trainer.worker import execute

    execute(run, "cpu")
    runs.publish(run, "lenet5")
    assert states() == ["outdated", "missing"]


def test_what_trains_elsewhere_is_left_to_it(small, capsys, monkeypatch):
    run = runs.create_run(SMALL[0].recipe)
    run.write_status(run.status.model_copy(update={"state": "queued"}))
    status, out, err = call(capsys, "lenet5")
    assert status == 0
    assert run.id in err
    assert "training" in out


def test_one_that_fails_hides_no_other(small, capsys, monkeypatch):
    monkeypatch.setattr(zoo, "ZOO", (Entry("lenet5_cifar", "lenet5_cifar"), SMALL[1]))

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    status, out, err = call(capsys, "--json")
    assert status == 1
    assert "lenet5_cifar: CIFAR-10 could not be downloaded" in err
    assert [row["state"] for row in json.loads(out)] == ["begun", "published"]
