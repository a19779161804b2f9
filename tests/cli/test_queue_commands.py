"""The commands about many runs: queue, plan, summary, move, clone, note, pause, log."""

import json
import subprocess
import sys

import pytest

import cnnviz.cli
from cnnviz import runs
from cnnviz.runs import folder, queue
from cnnviz.settings import ROOT, runs_dir
from cnnviz.training.recipe import default_recipe

pytestmark = pytest.mark.slow


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


@pytest.fixture(autouse=True)
def nobody_starts(monkeypatch):
    """Runs wait: no runner is woken."""
    monkeypatch.setattr(queue, "_wake", lambda device: None)


DIGITS = ["--dataset", "digits", "--epochs", 1, "--device", "cpu"]


def new_run(**changes):
    return runs.create_run(default_recipe("lenet5", "digits", epochs=1, **changes))


def test_a_grid_is_queued_in_order_with_places(ask, call):
    found = ask(
        *("runs", "queue", "lenet5", "lenet_modern", "--seeds", 3, 5, "--vary", "lr=0.01,0.02"),
        *("--name", "first-sweep", "--note", "as planned", *DIGITS),
    )
    assert found["request"] == "first-sweep"
    rows = found["runs"]
    assert [(row["variant"], row["seed"]) for row in rows] == [
        *[("lenet5", 3), ("lenet5", 5)] * 2,
        *[("lenet_modern", 3), ("lenet_modern", 5)] * 2,
    ]
    assert [row["position"] for row in rows] == list(range(1, 9))
    assert {row["state"] for row in rows} == {"queued"}
    assert {row["note"] for row in rows} == {"as planned"}
    rates = [runs.find_run(row["id"]).recipe.lr for row in rows[:4]]
    assert rates == [0.01, 0.01, 0.02, 0.02]
    listed = ask("runs", "list")
    assert [row["position"] for row in listed] == list(range(8, 0, -1))
    status, out, err = call("runs", "list")
    assert status == 0
    assert "8 in the queue" in err
    assert "first-sweep" in out
    columns = out.splitlines()[0].split()
    assert "seed" in columns
    assert [line.count("lr=0.02") for line in out.splitlines()[1:]] == [1, 1, 0, 0] * 2

    moved = ask("runs", "move", rows[7]["id"], "--to", 1)
    assert moved == {"id": rows[7]["id"], "state": "queued", "position": 1}
    assert ask("runs", "show", rows[0]["id"])["position"] == 2
    assert ask("runs", "pause", rows[7]["id"])["state"] == "paused"
    assert ask("runs", "show", rows[0]["id"])["position"] == 1
    assert ask("runs", "resume", rows[7]["id"], "--detach")["state"] == "queued"
    assert ask("runs", "show", rows[7]["id"])["position"] == 1

    paused = ask("runs", "pause", "first-sweep")  # a request stands for its runs
    assert {row["state"] for row in paused} == {"paused"}
    status, out, err = call("runs", "pause", "first-sweep", "--json")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "all are paused" in err
    assert len(ask("runs", "resume", "first-sweep")) == 8
    runs.stop_run(runs.find_run(rows[0]["id"]))
    left = ask("runs", "stop", "first-sweep")  # those that are left to stop
    assert [row["state"] for row in left] == ["stopped"] * 7
    assert {row["state"] for row in ask("runs", "delete", "first-sweep")} == {"deleted"}
    assert ask("runs", "list") == []


def test_one_number_is_that_many_seeds_and_a_pattern_all_that_fit(ask):
    found = ask("runs", "queue", "lenet5*", "--seeds", 2, "--dataset", "digits", "--device", "cpu")
    seen = [(row["variant"], row["seed"]) for row in found["runs"]]
    assert ("lenet5", 0) in seen
    assert ("lenet5_cifar", 1) in seen
    assert len(seen) % 2 == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("runs queue", "NAME"),
        ("runs queue lenet6", "did you mean 'lenet5'?"),
        ("runs queue lenet5 --weights nobody", "nobody"),
        ("train lenet5 --weights nobody --dataset digits", "nobody"),
        ("train lenet5 --holdout 60000", "60,000 of the 50,000 training images"),
        ("runs queue nothing_*", "No variant fits"),
        ("runs queue lenet5 --seeds 0", "1 to 100"),
        ("runs queue lenet5 --seeds 1 1", "named twice"),
        ("runs queue lenet5 --seeds two", "two"),
        ("runs queue lenet5 --seeds 2 --seed 1", "not both"),
        ("runs queue lenet5 --seeds -1 2", "seed"),
        ("runs queue lenet5 --vary lr", "NAME=VALUE,VALUE"),
        ("runs queue lenet5 --vary lr=0.1,,0.2", "NAME=VALUE,VALUE"),
        ("runs queue lenet5 --vary lr=0.1,0.1", "named twice"),
        ("runs queue lenet5 --vary lr=0.1 --vary lr=0.2", "once"),
        ("runs queue lenet5 --vary seed=1,2", "chosen by itself"),
        ("runs queue lenet5 --vary lr=fast", "lr"),
        ("runs queue lenet5 --vary width=2", "no knob 'width'"),
        ("runs queue lenet5 --device cuda:99", "cuda:99"),
        ("runs queue lenet5 --name ../x", "cannot be a name"),
        ("runs queue lenet5 --epochs 0", "epochs"),
        ("runs queue lenet5 --launcher slurm", "slurm"),
        ("runs queue lenet5 --ray-address http://x:1", "--launcher ray"),
        ("runs queue lenet5 --launcher ray --ray-address http://127.0.0.1:1", "cannot be reached"),
        ("train lenet5 --launcher ray --ray-address nonsense", "cannot be reached"),
        ("runs plan lenet5 --gpus 0", "1 or more"),
        ("runs plan lenet5 --rate 0", "25e12"),
        ("runs plan lenet5 --price -1", "device-hour"),
        ("runs move x", "--to"),
        ("runs move x --to 0", "1 or more"),
        ("runs note", "ID"),
        ("runs pause", "ID"),
    ],
)
def test_a_wrong_argument_exits_with_2_and_one_line(call, arguments, words):
    status, out, err = call(*arguments.split(), "--json")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err
    assert not list(runs_dir().iterdir())


@pytest.mark.parametrize("action", ["log", "pause", "clone", "note", "summary", "move"])
def test_a_run_that_is_none_is_refused(call, action):
    more = ["--to", 1] if action == "move" else []
    status, out, err = call("runs", action, "nosuchrun", *more)
    assert (status, out) == (1, "")
    assert "There is no run 'nosuchrun'" in err


def test_a_clone_has_the_recipe_but_for_the_changes(call, ask):
    source = new_run(seed=7, weight_decay=0.001)
    runs.note_run(source, "the first")
    found = ask("runs", "clone", source.id, "--lr", 0.05, "--no-flip", "--device", "cpu")
    clone = runs.find_run(found["id"])
    assert found["cloned_from"] == source.id
    assert (found["state"], found["position"]) == ("queued", 1)
    assert clone.recipe == source.recipe.changed(lr=0.05, flip=False)
    assert ask("runs", "show", clone.id)["cloned_from"] == source.id
    assert clone.about.note == ""
    before = len(runs.list_runs())
    for arguments, words in ((["--lr", "-1"], "lr"), (["--device", "cuda:99"], "cuda:99")):
        status, out, err = call("runs", "clone", source.id, *arguments)
        assert (status, out) == (2, "")
        assert words in err
    assert len(runs.list_runs()) == before


def test_a_note_is_kept_through_a_resume(call, ask):
    run = new_run()
    assert ask("runs", "note", run.id, "warm-up was too short") == {
        "id": run.id,
        "note": "warm-up was too short",
    }
    assert ask("runs", "resume", run.id, "--device", "cpu")["state"] == "done"
    assert ask("runs", "note", run.id)["note"] == "warm-up was too short"
    assert ask("runs", "list")[0]["note"] == "warm-up was too short"
    assert "warm-up was too short" in call("runs", "show", run.id)[1]
    status, _, err = call("runs", "note", run.id, "x" * 2001)
    assert (status, "2,001 characters" in err) == (1, True)
    assert ask("runs", "note", run.id, "")["note"] == ""
    assert "% on the test images" not in ask("runs", "log", run.id)["log"]  # it went to stderr


def test_a_folder_that_may_only_be_read_is_listed(call, monkeypatch):
    run = new_run()
    runs.enqueue(run, "cpu")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    status, out, err = call("runs", "list", "--json")
    assert status == 0
    assert json.loads(out)[0]["state"] == "queued"
    assert "Read-only file system" in err


def test_the_log_ends_with_what_was_printed_last(call, ask):
    run = new_run()
    (run.path / folder.LOG).write_text("begin\n" + "ä" * 5_000 + "\nthe end\n")
    assert call("runs", "log", run.id)[1].endswith("ä\nthe end\n")
    assert ask("runs", "log", run.id, "--characters", 8)["log"] == "the end\n"


def test_a_run_may_be_asked_for_before_the_run_whose_weights_it_takes_has_ended(ask):
    first = ask("runs", "queue", "lenet5", *DIGITS)["runs"][0]["id"]
    second = ask("runs", "queue", "lenet5", "--weights", first, *DIGITS)["runs"][0]["id"]
    assert runs.find_run(second).recipe.weights == first
    assert ask("runs", "clone", second, "--lr", 0.02, "--device", "cpu")["cloned_from"] == second


def test_a_list_for_people_has_percentages_times_and_reasons(call, ask):
    done, failed = new_run(), new_run()
    reason = "The disk is full: free some space and resume the run. " * 3
    known = {"state": "done", "accuracy": 0.9, "seconds": 7_300.0}
    done.write_status(done.status.model_copy(update=known))
    known = {"state": "failed", "message": reason}
    failed.write_status(failed.status.model_copy(update=known))
    _, out, _ = call("runs", "list")
    assert "90.00%" in out
    assert f"{reason[:77]}…" in out
    _, out, _ = call("runs", "show", failed.id)
    assert reason in out
    _, out, _ = call("runs", "show", done.id)
    assert "2.0 h" in out
    (row,) = (row for row in ask("runs", "list") if row["id"] == done.id)
    assert (row["accuracy"], row["seconds"]) == (0.9, 7_300.0)


def test_the_command_line_and_the_page_hold_out_the_same_images(ask):
    from cnnviz.ui.train.request.recipe_form import Form, own_values

    for name in ("resnet20_cifar", "alexnet"):
        made = ask("runs", "queue", name, "--device", "cpu")["runs"][0]["id"]
        page = own_values(Form((name,), "cifar10", "default"))
        assert page["holdout"] == [runs.find_run(made).recipe.holdout] == [5_000]


def test_a_summary_has_mean_and_deviation(call, ask):
    accuracies = (0.90, 0.92, 0.94)
    for seed, accuracy in enumerate(accuracies):
        run = new_run(seed=seed)
        done = {"state": "done", "accuracy": accuracy}
        run.write_status(run.status.model_copy(update=done))
    other = new_run(lr=0.5)
    (first, second) = ask("runs", "summary")
    assert first["mean"] == pytest.approx(0.92)
    assert first["sd"] == pytest.approx(0.02)  # by hand: the root of (2² + 0 + 2²) / 2, in %
    assert (first["n"], first["low"], first["high"], first["seeds"]) == (3, 0.90, 0.94, [0, 1, 2])
    assert (second["n"], second["mean"], second["sd"], second["pending"]) == (0, None, None, 1)
    assert second["changes"] == {"epochs": 1, "lr": 0.5}
    assert [row["runs"] for row in ask("runs", "summary", other.id)] == [[other.id]]
    status, out, _ = call("runs", "summary")
    assert status == 0
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    "command",
    [
        ("train", "vgg16_cifar", "--crop", 16),
        ("runs", "queue", "resnet20_cifar", "vgg16_cifar", "--vary", "crop=32,16"),
    ],
)
def test_images_too_small_for_a_network_are_a_wrong_argument(call, command):
    status, _, err = call(*command, *DIGITS)
    assert (status, err.count("\n")) == (2, 1)
    assert "vgg16_cifar cannot take inputs of 16 × 16 pixels" in err
    assert not runs.list_runs()


def test_a_plan_starts_nothing(call, ask):
    found = ask("runs", "plan", "lenet5", "--seeds", 4, "--dataset", "digits", "--price", 2)
    assert found["runs"] == 4
    assert found["cost"] == pytest.approx(2 * found["gpu_hours"])
    assert "assumed_rate" in call("runs", "plan", "lenet5", "--dataset", "digits")[1]
    assert not runs.list_runs()


def test_a_list_of_500_runs_is_there_at_once_and_needs_no_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path))
    step = json.dumps({"kind": "step", "step": 1, "epoch": 0.1, "loss": 1.0}) + "\n"
    whole = {"kind": "epoch", "epoch": 3, "step": 9, "train_loss": 1.0, "train_accuracy": 0.5}
    epoch = json.dumps(whole | {"val_accuracy": 0.5}) + "\n"
    recipe = default_recipe("lenet5", "digits", epochs=1).model_dump_json()
    for number in range(500):
        path = tmp_path / f"lenet5-{number:03}"
        path.mkdir()
        (path / folder.RECIPE).write_text(recipe)
        (path / folder.STATUS).write_text(
            folder.Status(state="done", created=number, accuracy=0.9).model_dump_json()
        )
        (path / folder.METRICS).write_text(step * 2_000 + epoch + step * 50 + '{"kind": "ep')
    program = (
        "import sys, time, cnnviz.cli\nassert cnnviz.cli.main(['runs', 'list', '--json']) == 0\n"
        "assert not {'torch', 'numpy', 'streamlit'} & set(sys.modules)\n"
        "print(time.process_time(), file=sys.stderr)"  # of its own: the machine may be busy
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 500
    assert {row["val_accuracy"] for row in rows} == {0.5}
    assert float(done.stderr) < 3
