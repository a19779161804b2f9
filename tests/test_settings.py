from pathlib import Path

import pytest

from cnnviz import settings

FOLDERS = {
    "CNNVIZ_DATA": (settings.data_dir, "data"),
    "CNNVIZ_RUNS": (settings.runs_dir, "runs"),
    "CNNVIZ_CHECKPOINTS": (settings.checkpoints_dir, "checkpoints"),
}


def test_the_root_holds_the_app():
    assert (settings.ROOT / "app.py").is_file()


@pytest.mark.parametrize("variable", FOLDERS)
class TestFolders:
    def test_the_environment_decides(self, monkeypatch, tmp_path, variable):
        monkeypatch.setenv(variable, str(tmp_path / "here"))
        assert FOLDERS[variable][0]() == tmp_path / "here"

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_without_it_they_lie_in_the_project(self, monkeypatch, variable, value):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
        folder, name = FOLDERS[variable]
        assert folder() == settings.ROOT / name

    def test_home_and_relative_paths_are_resolved(self, monkeypatch, tmp_path, variable):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv(variable, "~/mine")
        assert FOLDERS[variable][0]() == tmp_path / "mine"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(variable, "there/../here")
        assert FOLDERS[variable][0]() == tmp_path / "here"
        assert FOLDERS[variable][0]().is_absolute()


@pytest.mark.parametrize(
    ("wanted", "cores", "threads"),
    [
        ("3", 8, 3),
        ("", 8, 7),
        ("", 1, 1),
        ("", None, 1),
        ("0", 4, 3),
        ("-2", 4, 3),
        ("many", 4, 3),
    ],
)
def test_one_core_is_left_to_who_watches(monkeypatch, wanted, cores, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    monkeypatch.setattr(settings.psutil, "cpu_count", lambda logical: cores)
    assert settings.cpu_threads() == threads


def test_nothing_is_made_by_asking(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "none"))
    assert isinstance(settings.runs_dir(), Path)
    assert not (tmp_path / "none").exists()
