"""The command line: what it prints where, and how it exits."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import cnnviz.cli
from cnnviz import runs
from cnnviz.cli.output import print_json
from cnnviz.images import sample_photos
from cnnviz.networks import catalogue
from cnnviz.registry import list_variants
from cnnviz.runs import folder
from cnnviz.settings import ROOT, runs_dir
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow

COMMANDS = [
    "list",
    "inspect",
    "data",
    "train",
    "zoo",
    "evaluate",
    "predict",
    "deconv",
    "units",
    "compare",
]
ACTIONS = [
    *("list", "show", "queue", "plan", "summary", "move", "clone", "note"),
    *("stop", "pause", "resume", "delete", "publish"),
]


@pytest.fixture
def call(capsys):
    """Run a command in this process; returns (status, stdout, stderr)."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = cnnviz.cli.main([str(a) for a in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def ask(call):
    """Run a command that succeeds, with --json; returns the document."""

    def run(*arguments):
        status, out, err = call(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def cat(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(sample_photos()["cat"])
    return path


def new_run(epochs=400):
    return runs.create_run(default_recipe("lenet5", "digits", epochs=epochs, batch_size=64))


def refused(answer, status, *words):
    """One line on stderr that has all `words`, nothing on stdout."""
    got, out, err = answer
    assert got == status
    assert out == ""
    assert err.startswith("cnnviz")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


# Help, wrong arguments, failures


@pytest.mark.parametrize(
    "command", [[], *([c] for c in COMMANDS), ["runs"], *(["runs", a] for a in ACTIONS)]
)
def test_every_command_has_help(call, command):
    status, out, err = call(*command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: " + " ".join(["cnnviz", *command]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["COMMAND"]),
        ("lsit", ["lsit"]),
        ("list --yaml", ["--yaml"]),
        ("inspect", ["NAME"]),
        ("inspect resnet51", ["did you mean 'resnet50'?"]),
        ("inspect lenet5 --input 32", ["3x224x224"]),
        ("inspect lenet5 --input 1x4x4", ["too small"]),
        ("inspect vgg16 --input 3x16x16", ["too small for vgg16: its fifth pool"]),
        ("inspect lenet5 --input 3x32x32", ["does not fit lenet5"]),
        ("inspect lenet5 --input 0x0x0", ["0"]),
        ("inspect lenet5 --classes 0", ["num_classes"]),
        ("inspect lenet5 --classes many", ["many"]),
        ("inspect lenet5 --width 2", ["no knob 'width'"]),
        ("inspect mobilenet_v1 --set width", ["NAME=VALUE"]),
        ("inspect mobilenet_v1 --set resolution=100", ["128, 160, 192, 224"]),
        ("data mnist", ["cifar10", "digits"]),
        ("train", ["NAME"]),
        ("train lenet6", ["did you mean 'lenet5'?"]),
        ("train lenet5 --dataset mnist", ["cifar10", "digits"]),
        ("train lenet5 --epochs 0", ["epochs"]),
        ("train lenet5 --epochs few", ["few"]),
        ("train lenet5 --lr nan", ["lr"]),
        ("train lenet5 --device abacus", ["abacus", "auto, cpu, cuda:0"]),
        ("train lenet5 --device cuda:99", ["cuda:99 is not on this machine"]),
        ("runs", ["ACTION"]),
        ("runs show", ["ID"]),
        ("evaluate", ["CHECKPOINT"]),
        ("zoo nosuch", ["'nosuch'", "resnet20_cifar-seed1"]),
        ("zoo lenet5 --device abacus", ["abacus"]),
        ("predict", ["IMAGE"]),
        ("predict x.png --top 0", ["--top"]),
        ("predict x.png --top -1", ["--top"]),
    ],
)
def test_a_wrong_argument_exits_with_2_and_one_line(call, arguments, words):
    refused(call(*arguments.split()), 2, *words)
    assert not list(runs_dir().iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("runs show nosuchrun", ["nosuchrun", "runs list"]),
        ("runs stop ../x", ["cannot be a name"]),
        ("runs delete nosuchrun", ["nosuchrun"]),
        ("runs resume nosuchrun", ["nosuchrun"]),
        ("runs publish nosuchrun", ["nosuchrun"]),
        ("evaluate nosuch", ["nosuch.json"]),
        ("evaluate model.pt", ["can hold code"]),
        ("predict nosuch.png", ["nosuch.png cannot be read"]),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_failure_exits_with_1_and_one_line(call, arguments, words, form):
    refused(call(*arguments.split(), *form), 1, *words)


def test_a_file_that_cannot_be_used_is_named(call, monkeypatch):
    def refuse(heads_only=False):
        raise PermissionError(13, "Permission denied", "/somewhere/runs")

    monkeypatch.setattr(runs, "survey_runs", refuse)
    refused(call("runs", "list"), 1, "/somewhere/runs cannot be used (Permission denied)")


def test_the_runs_folder_must_be_one(call, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("CNNVIZ_RUNS", str(file))
    answer = call("train", "lenet5", "--dataset", "digits")
    refused(answer, 1, str(file), "CNNVIZ_RUNS")


# Imports, and the module as a program


def python(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_importing_cnnviz_stays_light():
    done = python(
        "import sys, cnnviz; assert not {'torch', 'streamlit', 'numpy'} & set(sys.modules)"
        "\nassert 'trace' in dir(cnnviz)"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("arguments", "status"), [("--help", 0), ("lsit", 2)])
def test_help_and_wrong_arguments_do_not_wait_for_torch(arguments, status):
    done = python(
        f"import runpy, sys\nsys.argv = ['cnnviz', {arguments!r}]\n"
        "try:\n    runpy.run_module('cnnviz', run_name='__main__')\n"
        f"except SystemExit as end:\n    assert end.code == {status}\n"
        "assert 'torch' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_as_a_program_it_survives_a_reader_that_has_gone():
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cnnviz", "runs", "list", "--json"],
            cwd=ROOT,
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


# list, inspect, data


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """A cache folder in which nothing can be kept."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


def test_list_names_every_variant(ask, monkeypatch, no_cache):
    traced = catalogue.inspect_variant("lenet5")
    monkeypatch.setattr(catalogue, "inspect_variant", lambda *_: traced)
    assert [row["name"] for row in ask("list")] == [v.name for v in list_variants()]


def test_list_prints_json_csv_or_a_table(call, ask, monkeypatch, no_cache):
    few = [v for v in list_variants() if v.name in ("lenet5", "resnet50", "resnet20_cifar")]
    monkeypatch.setattr("cnnviz.architectures.list_variants", lambda: few)
    rows = {row["name"]: row for row in ask("list")}
    assert rows["resnet50"] == {
        "name": "resnet50",
        "family": "ResNet",
        "year": 2015,
        "edition": "paper",
        "input_size": [3, 224, 224],
        "num_classes": 1000,
        "params": 25_557_032,
        "macs": 4_089_184_256,
    }
    _, out, _ = call("list", "--csv")
    read = list(csv.DictReader(io.StringIO(out)))
    assert [row["name"] for row in read] == [v.name for v in few]
    assert list(read[0]) == list(rows["lenet5"])
    assert read[0]["input_size"] == "1x32x32"
    assert (read[0]["year"], read[0]["params"]) == ("1998", "60000")
    _, out, err = call("list")
    assert err == ""
    header, *lines = out.splitlines()
    assert header.split() == list(rows["lenet5"])
    assert len(lines) == 3
    assert "1998" in lines[0]  # a year is no quantity
    assert "60,000" in lines[0]
    assert len({line.rindex(line.split()[-1]) + len(line.split()[-1]) for line in lines}) == 1


LAYER_KEYS = {
    "path",
    "op",
    "input_shape",
    "output_shape",
    "params",
    "macs",
    "receptive_field",
    "jump",
}


def test_inspect_prints_the_documented_document(ask):
    found = ask("inspect", "resnet50")
    assert found["params"] == 25_557_032
    assert found["macs"] == 4_089_184_256
    # By hand, strides on the 3 × 3 convolutions: 11 after the pool, then 24, 56, 176 and 160 more.
    assert found["receptive_field"] == {"size": 11 + 24 + 56 + 176 + 160, "jump": 32}
    assert found["activation_bytes"] > 4 * 112 * 112 * 64
    assert found["training_bytes"] > 0
    assert all(set(layer) >= LAYER_KEYS for layer in found["layers"])
    first = found["layers"][0]
    assert (first["path"], first["op"]) == ("conv1", "conv2d")
    assert first["output_shape"] == [1, 64, 112, 112]
    assert (first["params"], first["macs"]) == (9408, 9408 * 112 * 112)
    assert (first["receptive_field"], first["jump"]) == (7, 2)
    assert sum(layer["macs"] for layer in found["layers"]) == found["macs"]


def test_inspect_says_what_is_published(ask, call):
    assert ask("inspect", "resnet18")["published"]["top1"] == pytest.approx(0.69758)  # torchvision
    assert ask("inspect", "resnet18", "--classes", 10)["published"] is None
    assert ask("inspect", "lenet5")["published"] is None
    last = call("inspect", "alexnet")[1].splitlines()[-1]
    assert "not measured here: AlexNet_Weights.IMAGENET1K_V1, 56.522 % top-1" in last


def test_inspect_takes_input_classes_and_knobs(ask):
    # He et al.'s ResNet-18 with ten classes: 990 rows of 512 weights and a bias fewer.
    smaller = ask("inspect", "resnet18", "--classes", 10, "--input", "3X64x64")
    assert smaller["params"] == 11_689_512 - 990 * 513
    assert smaller["layers"][0]["input_shape"] == [1, 3, 64, 64]
    # Howard et al. 2017, table 7: 0.5 MobileNet-160 has 1.3 million parameters, 77 million MACs.
    narrow = ask("inspect", "mobilenet_v1", "--width", 0.5, "--set", "resolution=160")
    assert narrow["layers"][0]["input_shape"] == [1, 3, 160, 160]
    assert narrow["params"] == pytest.approx(1.3e6, rel=0.03)
    assert narrow["macs"] == pytest.approx(77e6, rel=0.02)


def test_inspect_as_csv_has_every_operator(call, ask):
    layers = ask("inspect", "lenet5")["layers"]
    status, out, err = call("inspect", "lenet5", "--csv")
    assert (status, err) == (0, "")
    read = list(csv.DictReader(io.StringIO(out)))
    assert set(read[0]) == LAYER_KEYS
    assert [row["path"] for row in read] == [layer["path"] for layer in layers]
    assert sum(int(row["params"]) for row in read) == 60_000
    assert sum(int(row["macs"]) for row in read) == 325_680
    assert read[0]["output_shape"] == "1x6x28x28"


def test_inspect_as_a_table_ends_with_the_sums(call, monkeypatch):
    _, out, _ = call("inspect", "lenet5")
    before, last = out.splitlines()[-2:]
    assert before == "4 layers in a row · 240,000 bytes of weights"
    assert "60,000 parameters · 325,680 MACs (651,360 FLOPs)" in last
    assert "197,488 bytes of activations, 38,928 at once in inference" in last
    traced = catalogue.inspect_variant("lenet5")
    monkeypatch.setattr(
        catalogue, "inspect_variant", lambda *_: replace(traced, training_bytes=None)
    )
    status, out, _ = call("inspect", "lenet5")
    assert status == 0
    assert "– kept for training" in out


def test_data_describes_the_digits(ask):
    found = ask("data", "digits")
    assert (found["train_images"], found["test_images"]) == (1437, 360)
    assert found["image_size"] == [3, 32, 32]
    assert found["classes"] == [str(digit) for digit in range(10)]


def test_data_without_a_network_says_how_to_get_it(call, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    refused(call("data", "cifar10"), 1, "no route to host", "python -m cnnviz data cifar10")


# train and runs


def test_train_to_the_end_prints_its_folder(call):
    status, out, err = call("train", "lenet5", "--dataset", "digits", "--epochs", 1, "--seed", 3)
    assert status == 0
    (run,) = runs.list_runs()
    assert out == f"{run.path}\n"
    assert run.state == "done"
    assert run.recipe.seed == 3
    assert "epoch   1/1" in err
    assert f"{run.status.accuracy:.2%} on the test images" in err


def test_train_as_json_prints_one_document(ask):
    options = ["--epochs", 1, "--batch-size", 256, "--holdout", 0, "--no-flip", "--device", "cpu"]
    found = ask("train", "lenet5", "--dataset", "digits", *options)
    (run,) = runs.list_runs()
    assert found == {
        "id": run.id,
        "path": str(run.path),
        "state": "done",
        "accuracy": run.status.accuracy,
    }
    assert (run.recipe.batch_size, run.recipe.flip, run.status.steps) == (256, False, 6)


def test_a_training_that_fails_says_why_and_is_kept(call, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    answer = call("train", "lenet5_cifar", "--json")
    refused(answer, 1, "python -m cnnviz data cifar10")
    (run,) = runs.list_runs()
    assert run.state == "failed"
    assert run.status.message in answer[2]


def test_a_stopped_run_is_resumed_to_its_end(call, ask):
    run = new_run(epochs=1)
    (run.path / folder.STOP).touch()
    status, out, err = call("runs", "resume", run.id, "--json")
    assert status == 143
    assert json.loads(out)["state"] == "stopped"
    assert json.loads(out)["accuracy"] is None
    assert f"python -m cnnviz runs resume {run.id}" in err
    (run.path / folder.STOP).touch()  # left behind, as by a trainer that was killed
    assert ask("runs", "resume", run.id)["state"] == "done"
    refused(call("runs", "resume", run.id), 1, "done")
    refused(call("runs", "stop", run.id), 1, "nothing to stop")


def test_detached_runs_are_stopped_resumed_and_deleted(call, ask):
    found = ask("train", "lenet5", "--dataset", "digits", "--epochs", 400, "--detach")
    run = runs.find_run(found["id"])
    assert found.pop("state") in ("queued", "starting")
    assert found == {"id": run.id, "path": str(run.path), "accuracy": None}
    wait_for_steps(run, 0)
    assert ask("runs", "show", run.id)["state"] == "running"
    refused(call("runs", "delete", run.id), 1, "stop it before")
    refused(call("runs", "resume", run.id, "--detach"), 1, "running and cannot be resumed")
    refused(call("runs", "resume", run.id), 1, "running and cannot be resumed")
    assert run.state == "running"
    assert ask("runs", "stop", run.id) == {"id": run.id, "state": "stopped"}
    steps = run.status.step
    status, out, _ = call("runs", "resume", run.id, "--detach")
    assert (status, out) == (0, f"{run.path}\n")
    wait_for_steps(run, steps)
    assert ask("runs", "stop", run.id)["state"] == "stopped"
    assert ask("runs", "delete", run.id) == {"id": run.id, "state": "deleted"}
    assert not run.path.exists()


def wait_for_steps(run, steps):
    deadline = time.monotonic() + 90
    while run.status.step <= steps:
        assert time.monotonic() < deadline, run.log_tail()
        time.sleep(0.05)


def test_runs_are_listed_and_shown(call, ask, finished):
    waiting = new_run()
    rows = ask("runs", "list")
    assert [row["id"] for row in rows] == [waiting.id, finished.id]
    done = rows[1]
    assert (done["variant"], done["dataset"], done["state"]) == ("lenet5", "digits", "done")
    assert (done["epoch"], done["epochs"]) == (2, 2)
    assert done["accuracy"] == finished.status.accuracy
    status, out, _ = call("runs", "list")
    assert status == 0
    assert len(out.splitlines()) == 3
    shown = ask("runs", "show", finished.id)
    assert shown.items() >= done.items()
    assert shown["recipe"]["epochs"] == 2
    assert [row["epoch"] for row in shown["history"]] == [1, 2]
    _, out, _ = call("runs", "show", finished.id)
    assert f"{finished.id}" in out.splitlines()[0]


def test_without_runs_the_list_is_empty(call, ask):
    assert ask("runs", "list") == []
    assert call("runs", "list")[:2] == (0, "")


@pytest.mark.parametrize("recipe", ["{", "[]", '{"variant": "of another version"}'])
def test_a_damaged_run_does_not_hide_the_others(call, finished, recipe):
    broken = new_run()
    (broken.path / folder.RECIPE).write_text(recipe)
    status, out, err = call("runs", "list", "--json")
    assert status == 0
    assert [row["id"] for row in json.loads(out)] == [finished.id]
    assert err.count("\n") == 1
    assert broken.id in err
    refused(call("runs", "show", broken.id), 1, "delete the run")
    broken.write_status(broken.status.model_copy(update={"state": "failed"}))
    assert call("runs", "delete", broken.id)[0] == 0
    assert not broken.path.exists()


def test_a_loss_that_overflowed_is_null(capsys):
    print_json({"loss": float("inf"), "history": [{"loss": float("nan")}, (1, 0.5)]})
    found = json.loads(capsys.readouterr().out)
    assert found == {"loss": None, "history": [{"loss": None}, [1, 0.5]]}


def test_publish_puts_a_finished_run_beside_the_checkpoints(call, ask, finished, no_checkpoints):
    found = ask("runs", "publish", finished.id, "--name", "my-lenet")
    assert found["checkpoint"] == "my-lenet"
    assert found["path"] == str(no_checkpoints / "my-lenet.safetensors")
    card = read_checkpoint(found["path"]).card
    assert card.accuracy == finished.status.accuracy
    refused(call("runs", "publish", finished.id, "--name", "../x"), 1, "cannot be a name")
    refused(call("runs", "publish", new_run().id), 1, "only a finished run")


def test_publish_without_weights_leaves_the_card_alone(call, ask, finished, no_checkpoints):
    found = ask("runs", "publish", finished.id, "--card-only", "--name", "lenet5-seed1")
    assert found["path"] == str(no_checkpoints / "lenet5-seed1.json")
    assert [path.name for path in no_checkpoints.iterdir()] == ["lenet5-seed1.json"]
    ask("runs", "publish", finished.id, "--name", "whole")
    again = call("runs", "publish", finished.id, "--card-only", "--name", "whole")
    refused(again, 1, "whole has weights")


# evaluate, predict, compare


def test_evaluate_recomputes_the_cards_accuracy(ask, finished):
    path = finished.path / f"{finished.id}.safetensors"
    card = read_checkpoint(path).card
    for given in (path, path.with_suffix(".json")):
        found = ask("evaluate", given)
        assert found["accuracy"] == card.accuracy == finished.status.accuracy
        assert found["per_class"] == card.per_class
        assert (found["images"], found["dataset"]) == (360, "digits")


def test_evaluate_all_is_content_where_every_card_says_what_the_weights_reach(
    call, ask, finished, no_checkpoints
):
    runs.publish(finished, "lenet5")
    runs.publish_card(finished, "lenet5-seed1")  # without weights: nothing to recompute
    (row,) = ask("evaluate", "--all")
    assert row["checkpoint"] == "lenet5"
    assert row["accuracy"] == row["card_accuracy"] == finished.status.accuracy
    assert row["same"]


def test_evaluate_all_fails_with_a_line_for_each_difference(call, finished, no_checkpoints):
    for name in ("damaged", "other", "right"):
        runs.publish(finished, name)
    card = no_checkpoints / "other.json"
    card.write_text(card.read_text().replace(str(finished.status.accuracy), "0.123"))
    weights = no_checkpoints / "damaged.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    status, out, err = call("evaluate", "--all", "--json")
    assert status == 1
    assert [(row["checkpoint"], row["same"]) for row in json.loads(out)] == [
        ("damaged", False),
        ("other", False),
        ("right", True),
    ]
    first, second = err.splitlines()
    assert "damaged.safetensors is damaged" in first
    reached = f"{finished.status.accuracy:.2%}"
    assert second == f"cnnviz: other reaches {reached}, and its card says 12.30%."


def test_evaluate_takes_one_checkpoint_or_all(call):
    refused(call("evaluate"), 2, "--all")
    refused(call("evaluate", "x", "--all"), 2, "--all")


def test_evaluate_refuses_damaged_weights(call, finished):
    path = finished.path / f"{finished.id}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    refused(call("evaluate", path), 1, "damaged")


def test_predict_ranks_the_classes_of_a_photo(call, ask, finished, cat):
    (found,) = ask("predict", cat, "--top", 4)
    assert (found["image"], found["model"]) == (str(cat), finished.id)
    assert len(found["classes"]) == 4
    assert set(found["classes"]) <= set("0123456789")
    assert found["probabilities"] == sorted(found["probabilities"], reverse=True)
    assert 0 < sum(found["probabilities"]) <= 1
    assert found["latency_ms"] > 0
    _, out, _ = call("predict", cat)
    assert f"{found['classes'][0]} {found['probabilities'][0]:.1%}" in out


def test_predict_asks_the_models_that_are_named_about_every_image(ask, call, finished, cat):
    other = shutil.copy(cat, cat.with_name("other.png"))
    ask("runs", "publish", finished.id, "--name", "published")
    rows = ask("predict", cat, other, "--model", "published", "--top", 1)
    assert [(row["image"], row["model"]) for row in rows] == [
        (str(cat), "published"),
        (str(other), "published"),
    ]
    refused(call("predict", cat, "--model", "publisht"), 1, "did you mean 'published'?")


def test_predict_names_the_bad_file_among_good_ones(call, finished, cat):
    bad = cat.with_name("notes.png")
    bad.write_text("not a picture")
    refused(call("predict", cat, bad), 1, "notes.png is not a PNG")
    refused(call("predict", cat.parent), 1, "cannot be read")


def test_predict_without_models_says_how_to_train_one(call, no_checkpoints, cat):
    refused(call("predict", cat), 1, "python -m cnnviz train lenet5 --dataset digits")


COMPARED = {
    "model",
    "variant",
    "dataset",
    "accuracy",
    "params",
    "macs",
    "weight_bytes",
    "activation_bytes",
    "latency_ms",
    "epochs",
    "training_seconds",
    "training_device",
}


def test_compare_has_a_row_a_model(call, ask, finished):
    (row,) = ask("compare")
    assert set(row) > COMPARED
    assert (row["model"], row["variant"]) == (finished.id, "lenet5")
    assert row["accuracy"] == finished.status.accuracy
    assert (row["params"], row["macs"]) == (60_000, 325_680)
    status, out, err = call("compare", "--csv")
    assert (status, err) == (0, "")
    (read,) = csv.DictReader(io.StringIO(out))
    assert set(read) == COMPARED | {"card_only"}
    assert float(read["accuracy"]) == row["accuracy"]
    assert int(read["activation_bytes"]) == row["activation_bytes"]
    _, out, _ = call("compare")
    assert "60,000" in out


def test_compare_by_recipe_has_mean_and_sd(call, ask, finished, no_checkpoints):
    runs.publish_card(finished, "seed1")
    path = no_checkpoints / "seed1.json"
    card = json.loads(path.read_text())
    card |= {"seed": 1, "accuracy": card["accuracy"] - 0.1, "sha256": "0" * 64}
    path.write_text(json.dumps(card))
    (row,) = ask("compare", "--seeds")
    assert (row["model"], row["models"], row["seeds"]) == (finished.id, [finished.id, "seed1"], 2)
    assert row["accuracy"] == pytest.approx(finished.status.accuracy - 0.05)
    assert row["sd"] == pytest.approx(0.1 / 2**0.5)
    _, out, _ = call("compare", "--seeds", "--csv")
    (read,) = csv.DictReader(io.StringIO(out))
    assert set(read) == COMPARED | {"sd", "seeds"}


def test_compare_without_models_is_empty(call, ask, no_checkpoints):
    assert ask("compare") == []
    status, out, _ = call("compare", "--csv")
    assert status == 0
    assert len(out.splitlines()) == 1
