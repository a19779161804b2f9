from dataclasses import replace

from cnnviz.networks.subjects import find_subject, trained_subject
from cnnviz.prediction import find_models
from cnnviz.ui.cache import subjects
from cnnviz.ui.cache.sight import run_epochs


def test_a_model_finds_its_run_by_name_or_by_its_weights(finished):
    ((name, checkpoint),) = find_models().items()
    subject = trained_subject(name, checkpoint)
    assert run_epochs.run_of(subject) == finished
    assert run_epochs.run_of(replace(subject, name="published")) == finished
    assert run_epochs.run_of(find_subject("lenet5@random")) is None
    assert run_epochs.models_with_epochs() == [name]


def test_the_scans_of_all_epochs_cost_what_one_scan_may(finished, monkeypatch):
    subject = find_subject(finished.id)
    macs = subjects.trace_of(subject).macs
    assert run_epochs.images_over(subject, 5).count == 360  # all there are
    monkeypatch.setattr(run_epochs, "SCAN_MACS", 100 * 5 * macs)
    monkeypatch.setattr(run_epochs, "FEWEST", 20)
    cut = run_epochs.images_over(subject, 5)
    assert cut.count == len(cut.images.test_labels) == 100
    assert run_epochs.images_over(subject, 1000).count == 20
