from cnnviz.networks.subjects import find_subject
from cnnviz.ui.cache.sight import experiments


def test_passes_are_fewer_where_they_take_long(monkeypatch):
    subject = find_subject("lenet5@random")
    for seconds, amounts in ((0.001, 25), (0.05, 13), (3.0, 7)):
        monkeypatch.setattr(experiments, "seconds_of_pass", lambda _, s=seconds: s)
        assert experiments._by_speed(subject, experiments.AMOUNTS) == amounts
