"""Names that are refused, and writes that leave the old file or the new one."""

from pathlib import Path

import pytest

from cnnviz.errors import CnnvizError
from cnnviz.training.saved import files


def refused(function, word):
    with pytest.raises(CnnvizError) as caught:
        function()
    assert word in str(caught.value)


UNSAFE = [
    "../x",
    "/etc/x",
    "",
    ".",
    "..",
    "a..b",
    ".hidden",
    "a/b",
    "a\\b",
    "a\0b",
    "LeNet",
    "é",
    "a\n",
    "a" * 101,
    "c:x",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_refused(name, tmp_path):
    refused(lambda: files.safe_name(name), "cannot be a name")
    refused(lambda: files.inside(tmp_path, name), "cannot be a name")


@pytest.mark.parametrize(
    "name", ["a", "resnet20_cifar", "20260131-120000-lenet5", "x0.5", "a" * 100]
)
def test_ordinary_names_stay_as_they_are(name, tmp_path):
    assert files.inside(tmp_path, name, ".json") == tmp_path.resolve() / f"{name}.json"


def test_atomic_write_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "new" / "file"
    for content in (b"old", b"new"):
        files.atomic_write(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_really_full_device_says_so():
    with (
        Path("/dev/full").open("wb", buffering=0) as file,
        pytest.raises(OSError, match="No space") as caught,
    ):
        file.write(b"x")
    assert "disk is full" in str(files._not_written(Path("x"), caught.value))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    refused(lambda: files.atomic_write(tmp_path / "file" / "x", b""), "file/x")


def test_sweeping_takes_only_what_atomic_write_left(tmp_path):
    (tmp_path / ".net.json.abc.tmp").write_bytes(b"half")
    for kept in ("net.json", "mine.tmp", ".net.safetensors.previous"):
        (tmp_path / kept).write_bytes(b"")
    assert files.sweep_temporaries(tmp_path) == 1
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".net.safetensors.previous", "mine.tmp", "net.json"]
