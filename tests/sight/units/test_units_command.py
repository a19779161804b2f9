"""`python -m cnnviz units`, and the arrays of `deconv`."""

import json

import numpy as np
import pytest
from PIL import Image

import cnnviz.cli
from cnnviz.images import sample_photos
from cnnviz.prediction import find_models


@pytest.fixture
def call(finished, tmp_path, monkeypatch, capsys):
    """Run `units` on the trained model; returns (status, document or None, stderr)."""
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "data"))
    (name,) = find_models()

    def run(*arguments, model=name):
        given = ["units", "--model", model, *arguments, "--output", str(tmp_path / "units.png")]
        try:
            status = cnnviz.cli.main([*given, "--json"])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else None, err

    return run


def test_units_are_drawn_and_written_and_the_scan_is_kept(call, tmp_path):
    arrays = tmp_path / "units.npz"
    status, found, err = call("--layer", "s2", "--unit", "4", "--unit", "1", "--npz", str(arrays))
    assert (status, err) == (0, "")
    assert [unit["unit"] for unit in found["units"]] == [4, 1]
    assert all(len(unit["indices"]) == 9 for unit in found["units"])
    with np.load(arrays) as held:
        assert held["pixels"].shape[:2] == (2, 9)
        assert held["indices"].tolist() == [unit["indices"] for unit in found["units"]]
        assert held["boxes"][1, 2].tolist() == found["units"][1]["boxes"][2]
    assert np.asarray(Image.open(tmp_path / "units.png")).std() > 0
    (kept,) = (tmp_path / "data" / "unit-scans").iterdir()
    written = kept.stat().st_ino
    assert call("--layer", "s2", "--unit", "0")[0] == 0
    assert kept.stat().st_ino == written


def test_without_units_the_strongest_are_drawn_and_that_is_said(call):
    status, found, err = call("--layer", "c1", "--top", "2", "--rule", "gradient")
    assert status == 0
    strongest = [unit["values"][0] for unit in found["units"]]
    assert strongest == sorted(strongest, reverse=True)
    assert len(strongest) == 6 - found["dead_units"]
    assert "units of c1" in err
    assert "strongest" in err
    assert all(len(unit["indices"]) == 2 for unit in found["units"])


def test_a_folder_of_pictures_with_a_broken_one(call, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("cat", "rocket"):
        (folder / f"{name}.png").write_bytes(sample_photos()[name])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    status, found, err = call("--layer", "s2", "--unit", "0", "--images", str(folder))
    assert status == 0
    assert sorted(found["units"][0]["indices"]) == [0, 1]
    assert found["units"][0]["labels"] is None
    assert "broken.png is damaged" in err


def test_random_weights_are_said_to_be_random(call, tmp_path):
    (tmp_path / "photo.png").write_bytes(sample_photos()["cat"])
    status, found, err = call(
        *("--layer", "features.1", "--images", str(tmp_path)), model="vgg11_cifar@random"
    )
    assert status == 0
    assert len(found["units"]) == 16
    assert "the weights of vgg11_cifar@random are random" in err


@pytest.mark.parametrize(
    ("arguments", "model", "status", "message"),
    [
        (["--layer", "s9"], None, 2, "did you mean 's"),
        (["--layer", "s2", "--unit", "6"], None, 2, "choose from 0 to 5"),
        (["--layer", "s2", "--unit", "x"], None, 2, "count from 0"),
        (["--layer", "s2", "--top", "0"], None, 2, "1 or more"),
        (["--layer", "s2", "--images", "nowhere"], None, 2, "nowhere is none"),
        (["--layer", "s2"], "nothing", 1, "no trained model called 'nothing'"),
    ],
)
def test_the_command_refuses(call, tmp_path, arguments, model, status, message):
    got, found, err = call(*arguments, **({"model": model} if model else {}))
    assert (got, found) == (status, None)
    assert message in err
    assert not (tmp_path / "units.png").exists()


def test_without_cifar10_a_network_of_photos_is_shown_photo_crops(call):
    status, found, err = call("--layer", "relu1", model="lenet5_cifar@random")
    assert status == 0
    assert "cifar10 are not on this machine, so these are photo crops" in err
    assert "--images FOLDER" in err
    assert max(max(unit["indices"]) for unit in found["units"]) < 2_000


def test_deconv_writes_its_arrays(finished, tmp_path, capsys):
    (name,) = find_models()
    photo = tmp_path / "cat.png"
    photo.write_bytes(sample_photos()["cat"])
    arguments = ["deconv", str(photo), "--model", name, "--layer", "s2", "--unit", "2", "--json"]
    outputs = ["--output", str(tmp_path / "x.png"), "--npz", str(tmp_path / "x.npz")]
    assert cnnviz.cli.main([*arguments, *outputs]) == 0
    answer = json.loads(capsys.readouterr().out)
    with np.load(tmp_path / "x.npz") as held:
        assert held["pixels"].shape == held["inputs"].shape
        assert held["activation"] == pytest.approx(answer["activation"])
        assert held["position"].tolist() == [answer["row"], answer["column"]]


def test_a_unit_is_drawn_once_and_a_folder_has_to_be_there(call, tmp_path):
    status, found, _ = call("--layer", "s2", "--unit", "4", "--unit", "4", "--top", "2")
    assert status == 0
    assert [unit["unit"] for unit in found["units"]] == [4]
    status, _, err = call("--layer", "s2", "--npz", str(tmp_path / "nowhere" / "a.npz"))
    assert status == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in err
