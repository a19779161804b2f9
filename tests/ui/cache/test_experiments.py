from dataclasses import replace

from cnnviz.networks.subjects import find_subject, trained_subject
from cnnviz.prediction import find_models
from cnnviz.ui.cache import experiments, scans


def test_a_model_finds_its_run_by_name_or_by_its_weights(finished):
    ((name, checkpoint),) = find_models().items()
    subject = trained_subject(name, checkpoint)
    assert experiments.run_of(subject) == finished
    assert experiments.run_of(replace(subject, name="published")) == finished
    assert experiments.run_of(find_subject("lenet5@random")) is None
    assert experiments.models_with_epochs() == [name]


def test_the_scans_of_all_epochs_cost_what_one_scan_may(finished, monkeypatch):
    subject = find_subject(finished.id)
    macs = scans.trace_of(subject).macs
    assert experiments.images_over(subject, 5).count == 360  # all there are
    monkeypatch.setattr(experiments, "SCAN_MACS", 100 * 5 * macs)
    monkeypatch.setattr(experiments, "FEWEST", 20)
    cut = experiments.images_over(subject, 5)
    assert cut.count == len(cut.images.test_labels) == 100
    assert experiments.images_over(subject, 1000).count == 20


def test_passes_are_fewer_where_they_take_long(monkeypatch):
    subject = find_subject("lenet5@random")
    for seconds, amounts in ((0.001, 25), (0.05, 13), (3.0, 7)):
        monkeypatch.setattr(experiments, "seconds_of_pass", lambda _, s=seconds: s)
        assert experiments._by_speed(subject, experiments.AMOUNTS) == amounts
