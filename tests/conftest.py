"""What every test shares: folders of its own, and one thread.

Tests run in several processes at once (`make test`), a file of them in one process after another.
What one process needs once is a session's fixture; what all need once lies in `common_folder`.
"""

import os

# Before torch is imported: on a small machine several threads wait for each other more than
# they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import functools
import shutil
from pathlib import Path

import filelock
import psutil
import pytest

from cnnviz.settings import runs_dir


def pytest_addoption(parser):
    parser.addoption(
        "--renew-golden",
        action="store_true",
        help="write tests/architectures/golden anew instead of comparing with it",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put files with slow tests first: begun last, one of them alone would be waited for."""

    def rank(item):
        marks = {mark.name for mark in item.iter_markers()}
        return 0 if "browser" in marks else 1 if "slow" in marks else 2

    first = {}
    for item in items:
        first[item.path] = min(rank(item), first.get(item.path, 2))
    items.sort(key=lambda item: first[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Two processes a core: the tests of browsers, trainers and clusters mostly wait for these."""
    return min(2 * (psutil.cpu_count() or 1), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests that share a server and a browser to one process, others file by file."""
    from xdist.scheduler import LoadFileScheduling

    class TogetherWithTheirServer(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            own = file.endswith("test_training.py")  # its servers are its own
            return "browser" if file.startswith("tests/e2e/") and not own else file

    return TogetherWithTheirServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def packages_read_once():
    """Let Streamlit read what is installed once, instead of at each `AppTest` (0.4 s each)."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory):
    """A folder that all processes of these tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, common_folder, monkeypatch):
    """Keep every test away from the user's data sets, runs and caches."""
    runs = tmp_path_factory.mktemp("runs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(common_folder / "cache"))  # the rows of `list`
    monkeypatch.setenv("CNNVIZ_RUNS", str(runs))
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path_factory.mktemp("data")))
    yield
    end_runs(runs)


def end_runs(folder: Path) -> None:
    """Kill what still trains in `folder`: a detached run outlives the test that failed."""
    from cnnviz.runs import Run
    from cnnviz.runs.folder import RECIPE

    found = [Run(path.parent) for path in folder.glob(f"*/{RECIPE}")]
    for run in found:  # or the runner would start the next
        if run.status.state == "queued":
            run.write_status(run.status.model_copy(update={"state": "stopped"}))
    for run in found:
        if run.is_active and run.status.pid not in (None, os.getpid()):
            with contextlib.suppress(psutil.Error):
                psutil.Process(run.status.pid).kill()


@pytest.fixture(scope="session")
def trained_folder(common_folder):
    """The folder of a run trained to its end, once for all tests: LeNet-5 on the digits."""
    from cnnviz.runs import create_run, list_runs
    from cnnviz.runs.trainer.worker import execute
    from cnnviz.training.recipe import default_recipe

    folder = common_folder / "trained"
    with filelock.FileLock(f"{folder}.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_RUNS", str(folder))
        for run in list_runs():
            if run.state == "done":  # another process has trained it
                return run.path
        run = create_run(default_recipe("lenet5", "digits", epochs=2, batch_size=64))
        assert execute(run, "cpu") == "done"
    return run.path


@pytest.fixture
def untrained():
    """A network for CIFAR-10 whose only weights are random ones, whatever has been trained."""
    from cnnviz.architectures import list_variants
    from cnnviz.settings import checkpoints_dir
    from cnnviz.training.saved.checkpoints import list_checkpoints

    trained = {checkpoint.card.variant for checkpoint in list_checkpoints(checkpoints_dir())}
    names = [each.name for each in list_variants() if each.edition == "cifar"]
    return next(name for name in names if name not in trained)


@pytest.fixture
def no_checkpoints(tmp_path_factory, monkeypatch):
    """An empty folder of published checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    monkeypatch.setenv("CNNVIZ_CHECKPOINTS", str(folder))
    return folder


@pytest.fixture
def finished(trained_folder, own_folders, no_checkpoints):
    """A finished run among the test's own, and the only trained model there is."""
    from cnnviz.runs import Run

    return Run(shutil.copytree(trained_folder, runs_dir() / trained_folder.name))
