"""What every test shares: folders of its own, and one thread."""

import os

# Before torch is imported: on a small machine several threads wait for each other more than
# they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Keep every test away from the user's data sets and runs."""
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path_factory.mktemp("runs")))
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path_factory.mktemp("data")))
