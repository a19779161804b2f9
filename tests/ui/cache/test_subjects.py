from cnnviz.networks.subjects import find_subject
from cnnviz.ui.cache import subjects


def test_large_networks_push_out_no_small_ones(monkeypatch):
    small, large = find_subject("lenet5"), find_subject("vgg16@random")
    kept = []
    monkeypatch.setattr(subjects, "_small_model", lambda *key: kept.append(("small", key[0])))
    monkeypatch.setattr(subjects, "_large_model", lambda *key: kept.append(("large", key[0])))
    subjects.model_of(small)
    subjects.model_of(large)
    assert kept == [("small", "lenet5"), ("large", "vgg16@random")]
