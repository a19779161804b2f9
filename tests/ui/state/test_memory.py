import gc
import weakref

import pytest

from cnnviz.ui.state import memory


class Ring:
    def __init__(self):
        self.own = self


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_what_is_alive_is_no_longer_walked_through(monkeypatch):
    monkeypatch.setattr(memory, "FEW", -1)
    memory.spare()
    assert gc.get_freeze_count() > 10_000  # the test's own modules
    assert len(gc.get_objects()) < 1_000


def test_few_objects_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "FEW", 10**9)
    memory.spare()
    assert gc.get_freeze_count() == 0


def test_garbage_that_was_frozen_is_found_the_next_time(monkeypatch):
    monkeypatch.setattr(memory, "FEW", -1)
    ring = Ring()
    watched = weakref.ref(ring)
    memory.spare()
    del ring
    gc.collect()
    out_of_reach = watched() is not None
    memory.spare()
    assert out_of_reach
    assert watched() is None
