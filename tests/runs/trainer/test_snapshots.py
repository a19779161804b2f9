"""Weights kept at a few epochs: which, whole, the network's own, and no danger to the run."""

import pytest
import torch

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.prediction import survey_models
from cnnviz.runs import folder
from cnnviz.runs.trainer import snapshots, worker
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import list_checkpoints

pytestmark = pytest.mark.slow


def new_run(epochs=2, **changes):
    settings = {"batch_size": 256, "epochs": epochs, **changes}
    return runs.create_run(default_recipe("lenet5", "digits", **settings))


def states(run):
    return {
        epoch: snapshots.load_snapshot(run, epoch).state_dict()
        for epoch in snapshots.list_snapshots(run)
    }


@pytest.mark.parametrize(
    ("epochs", "kept"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (64, (1, 2, 5, 10, 20, 30, 40, 64)),  # Zeiler & Fergus 2013, figure 4
        (300, (1, 2, 5, 10, 20, 30, 40, 64, 128, 256, 300)),
    ],
)
def test_the_paper_s_epochs_the_powers_of_two_and_the_last(epochs, kept):
    assert snapshots.snapshot_epochs(epochs) == kept


def test_the_last_snapshot_is_the_run_s_network_and_the_first_is_not(no_checkpoints):
    run = new_run(epochs=3)
    worker.execute(run, "cpu")
    kept = states(run)
    assert list(kept) == [1, 2, 3]
    final = list_checkpoints(run.path)[0].load_model().state_dict()
    assert all(torch.equal(kept[3][name], tensor) for name, tensor in final.items())
    assert not torch.equal(kept[1]["c1.weight"], kept[3]["c1.weight"])
    model = snapshots.load_snapshot(run, 1)
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    survey = survey_models()  # the snapshots are no models of their own
    assert list(survey.models) == [run.id]
    assert not survey.problems


def test_a_run_that_is_stopped_and_resumed_keeps_the_same_weights():
    whole, cut = new_run(epochs=3), new_run(epochs=3)
    worker.execute(whole, "cpu")
    ends = []

    def stop(record):
        ends.append(record["step"])
        if len(ends) in (1, 3):
            (cut.path / folder.STOP).touch()

    while worker.execute(cut, "cpu", stop) != "done":
        pass
    ours, theirs = states(whole), states(cut)
    assert ours.keys() == theirs.keys()
    for epoch, state in ours.items():
        assert all(torch.equal(tensor, theirs[epoch][name]) for name, tensor in state.items())


def test_a_snapshot_that_does_not_fit_on_the_disk_does_not_end_the_run(monkeypatch):
    def full(path, data):
        raise CnnvizError("The disk is full: free some space and try again.")

    monkeypatch.setattr(snapshots, "atomic_write", full)
    run = new_run()
    assert worker.execute(run, "cpu") == "done"
    assert "epoch 2 were not kept. The disk is full" in run.status.message
    assert snapshots.list_snapshots(run) == {}


def test_a_recipe_may_keep_none():
    run = new_run(snapshots=False)
    worker.execute(run, "cpu")
    assert snapshots.list_snapshots(run) == {}
    with pytest.raises(CnnvizError, match="no weights of epoch 1; kept: none"):
        snapshots.load_snapshot(run, 1)


def test_a_damaged_snapshot_and_one_of_another_network_are_refused():
    run = new_run(epochs=1)
    worker.execute(run, "cpu")
    path = snapshots.list_snapshots(run)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(CnnvizError, match="damaged"):
        snapshots.load_snapshot(run, 1)
    path.write_bytes(whole)
    other = run.recipe.changed(variant="lenet_modern", knobs={})
    (run.path / folder.RECIPE).write_text(other.model_dump_json())
    with pytest.raises(CnnvizError, match="is not of lenet_modern"):
        snapshots.load_snapshot(run, 1)
