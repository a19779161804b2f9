import json
import shutil

import pytest

from cnnviz.cli import listing
from cnnviz.settings import ROOT

ROW = {
    "name": "lenet5",
    "family": "LeNet",
    "year": 1998,
    "edition": "paper",
    "input_size": [1, 32, 32],
    "num_classes": 10,
    "params": 60_000,
    "macs": 325_680,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cnnviz"


def never():
    raise AssertionError("made again")


def test_rows_are_made_once(cache):
    assert listing.listed(lambda: [ROW]) == [ROW]
    assert listing.listed(never) == [ROW]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damaged", [b"", b"[{}]", b"\xff", b'[{"name": 1}]'])
def test_a_damaged_file_is_made_again(cache, damaged):
    listing.listed(lambda: [ROW])
    next(cache.iterdir()).write_bytes(damaged)
    assert listing.listed(lambda: [ROW]) == [ROW]
    assert json.loads(next(cache.iterdir()).read_text()) == [ROW]


def test_another_state_of_the_sources_is_another_file(cache, monkeypatch):
    listing.listed(lambda: [ROW])
    monkeypatch.setattr(listing, "fingerprint", lambda: "another")
    changed = ROW | {"params": 1}
    assert listing.listed(lambda: [changed]) == [changed]
    assert [file.name for file in cache.iterdir()] == ["variants-another.json"]


def test_sources_and_versions_make_the_fingerprint(tmp_path, monkeypatch):
    before = listing.fingerprint()
    assert listing.fingerprint() == before
    monkeypatch.setattr(listing, "version", lambda name: f"{name} 0")
    other_version = listing.fingerprint()
    monkeypatch.undo()
    shutil.copytree(ROOT / "cnnviz", tmp_path / "cnnviz")
    monkeypatch.setattr(listing, "ROOT", tmp_path)
    assert listing.fingerprint() == before
    seen = {before, other_version}
    for name in ("architectures/vgg.py", "families.py"):
        source = tmp_path / "cnnviz" / name
        source.write_text(source.read_text() + "#")
        assert listing.fingerprint() not in seen
        seen.add(listing.fingerprint())


def test_a_cache_that_cannot_be_written_only_costs_time(cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in its place")
    assert listing.listed(lambda: [ROW]) == [ROW]
