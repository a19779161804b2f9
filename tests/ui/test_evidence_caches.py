from dataclasses import replace

from cnnviz.prediction import find_models
from cnnviz.subjects import find_subject, trained_subject
from cnnviz.ui import evidence_caches, sight_caches


def test_a_model_finds_its_run_by_name_or_by_its_weights(finished):
    ((name, checkpoint),) = find_models().items()
    subject = trained_subject(name, checkpoint)
    assert evidence_caches.run_of(subject) == finished
    assert evidence_caches.run_of(replace(subject, name="published")) == finished
    assert evidence_caches.run_of(find_subject("lenet5@random")) is None
    assert evidence_caches.models_with_epochs() == [name]


def test_the_scans_of_all_epochs_cost_what_one_scan_may(finished, monkeypatch):
    subject = find_subject(finished.id)
    macs = sight_caches.trace_of(subject).macs
    assert evidence_caches.images_over(subject, 5).count == 360  # all there are
    monkeypatch.setattr(evidence_caches, "SCAN_MACS", 100 * 5 * macs)
    monkeypatch.setattr(evidence_caches, "FEWEST", 20)
    cut = evidence_caches.images_over(subject, 5)
    assert cut.count == len(cut.images.test_labels) == 100
    assert evidence_caches.images_over(subject, 1000).count == 20


def test_passes_are_fewer_where_they_take_long(monkeypatch):
    subject = find_subject("lenet5@random")
    for seconds, amounts in ((0.001, 25), (0.05, 13), (3.0, 7)):
        monkeypatch.setattr(evidence_caches, "seconds_of_pass", lambda _, s=seconds: s)
        assert evidence_caches._by_speed(subject, evidence_caches.AMOUNTS) == amounts
