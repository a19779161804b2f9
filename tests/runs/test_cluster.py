"""Runs on a Ray cluster: a real one, of one node, that these tests start and stop."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.runs import cluster
from cnnviz.settings import ROOT
from cnnviz.training.recipe import default_recipe
from tests.ports import free_port

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:1"


def new_run(epochs=1, **changes):
    return runs.create_run(
        default_recipe("lenet5", "digits", epochs=epochs, batch_size=256, **changes)
    )


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


@contextlib.contextmanager
def a_cluster(folder):
    """A cluster of one node with two cores; gives its address. Its processes end with it."""
    port, dashboard, agent, client = (free_port() for _ in range(4))
    options = {
        "port": port,
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "ray-client-server-port": client,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": 2,
        "num-gpus": 0,
        "object-store-memory": 80_000_000,
        "temp-dir": folder,
        "node-ip-address": "127.0.0.1",
        "include-dashboard": "true",
        "include-log-monitor": "false",
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--disable-usage-stats", *(f"--{name}={value}" for name, value in options.items())]
    output = (folder / "start.log").open("wb")
    process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    address = f"http://127.0.0.1:{dashboard}"
    try:
        while True:  # until it answers or is gone: how long it takes is the machine's affair
            try:
                cluster.check_cluster(address)
                break
            except CnnvizError:
                assert process.poll() is None, (folder / "start.log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        end_all(process)
        output.close()


def end_all(process):
    """Kill a cluster's processes: those under its first one, and those of its session."""
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
        for other in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.getsid(other.pid) == process.pid:
                    family.append(other)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(family, timeout=10)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def address():
    # Its sockets lie in the folder, and a socket's name has 107 characters at most: the folders of
    # pytest are too deep where several processes share the tests.
    with (
        tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as own,
        a_cluster(Path(own)) as found,
    ):
        yield found


def test_a_run_waits_trains_and_ends_on_the_cluster(address):
    done, waiting = new_run(), new_run(epochs=400)
    runs.enqueue(done, "cpu", "ray", address)
    assert done.state == "queued"
    assert (done.status.launcher, done.status.address) == ("ray", address)
    assert runs.position(done) is None  # the cluster has a queue of its own
    runs.enqueue(waiting, "cpu", "ray", address)  # both cores are taken
    wait_for(lambda: done.state == "done")
    assert done.status.accuracy is not None
    assert done.status.job.startswith(done.id)
    assert "100%" in done.log_tail() or "lenet5" in done.log_tail()

    wait_for(lambda: waiting.status.step > 0)
    assert cluster.refresh([waiting]) == []
    assert waiting.state == "running"
    held = new_run()
    runs.enqueue(held, "cpu", "ray", address)
    wait_for(lambda: (cluster.refresh([held]), "waiting for resources" in held.status.message)[1])
    assert held.state == "queued"
    runs.pause_run(held)
    assert held.state == "paused"

    runs.pause_run(waiting, wait=True)
    assert waiting.state == "paused"
    stopped_at = waiting.status.step
    runs.resume_run(waiting)  # to the same cluster
    assert (waiting.state, waiting.status.launcher) == ("queued", "ray")
    wait_for(lambda: waiting.status.step > stopped_at)
    psutil.Process(waiting.status.pid).kill()
    wait_for(lambda: waiting.state == "interrupted")
    wait_for(lambda: (cluster.refresh([waiting]), "failed" in waiting.status.message)[1])
    assert waiting.state == "interrupted"
    assert waiting.can_resume
    runs.stop_run(held)
    assert held.state == "stopped"


def test_the_train_page_asks_the_cluster_and_shows_what_came_of_it(address):
    app = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60).run()
    app.selectbox(key="launcher").set_value("ray").run()
    app.text_input(key="address").set_value(address).run()
    app.selectbox(key="device").set_value("cpu").run()
    app.number_input(key="epochs-lenet5-digits").set_value(2).run()
    next(button for button in app.button if button.label == "Start training").click().run()
    assert not app.exception
    assert not app.error
    (run,) = runs.list_runs()
    assert (run.status.launcher, run.status.address, run.recipe.epochs) == ("ray", address, 2)
    wait_for(lambda: run.state == "done")
    shown = " ".join(element.proto.body for element in app.run().get("html"))
    assert not app.exception
    assert f"{100 * run.status.accuracy:.2f} %" in shown


def test_a_job_that_was_taken_back_trains_nothing(address):
    run = new_run()
    runs.enqueue(run, "cpu", "ray", address)
    job = run.status.job
    runs.stop_run(run)
    assert run.state == "stopped"
    ended = subprocess.run(
        [sys.executable, "-m", "cnnviz", "runs", "resume", run.id, "--job", job],
        capture_output=True,
        text=True,
        check=False,
        cwd=cluster.ROOT,
    )
    assert ended.returncode == 1
    assert "taken back" in ended.stderr
    assert run.state == "stopped"


def test_a_job_that_cannot_begin_is_a_failed_run(address, monkeypatch):
    run = new_run()
    monkeypatch.setattr(cluster.sys, "executable", "/nowhere/python")
    runs.enqueue(run, "cpu", "ray", address)
    wait_for(lambda: (cluster.refresh([run]), run.state == "failed")[1])
    assert "/nowhere/python" in run.status.message


def test_a_folder_that_the_cluster_does_not_see_is_said(address, monkeypatch, tmp_path):
    run = new_run()
    monkeypatch.setattr(cluster, "_entrypoint", lambda *_: "echo not shared")
    runs.enqueue(run, "cpu", "ray", address)
    wait_for(lambda: (cluster.refresh([run]), run.state == "failed")[1])
    assert "storage that every node" in run.status.message
    assert "not shared" in run.log_tail()  # from the cluster, where no file is


def test_a_cluster_that_was_started_anew_no_longer_knows_the_job(address):
    run = new_run()
    queued = {"state": "queued", "launcher": "ray", "address": address, "job": "of-another-life"}
    run.write_status(run.status.model_copy(update=queued))
    assert cluster.refresh([run]) == []
    assert run.state == "interrupted"
    assert "no longer knows" in run.status.message
    run.write_status(run.status.model_copy(update=queued))
    runs.stop_run(run)  # there is nothing to take back, and nothing to complain of
    assert run.state == "stopped"


def test_a_lost_cluster_is_said_and_changes_no_state():
    run = new_run()
    queued = {"state": "queued", "launcher": "ray", "address": NOWHERE, "job": "x"}
    run.write_status(run.status.model_copy(update=queued))
    (problem,) = cluster.refresh([run])
    assert NOWHERE in problem
    assert "cannot be reached" in problem
    assert run.state == "queued"
    assert run.log_tail() == ""
    with pytest.raises(CnnvizError, match="cannot be reached"):
        runs.stop_run(run)
    assert run.state == "queued"


def test_what_cannot_be_submitted_leaves_the_run_as_it_was(monkeypatch):
    run = new_run()
    before = run.status
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    for address, device, words in (
        (NOWHERE, "cpu", "cannot be reached"),
        ("head", "cpu", "cannot be reached"),
        ("", "cpu", "Which Ray cluster"),
        (NOWHERE, "cuda:3", "picks the GPU"),
    ):
        with pytest.raises(CnnvizError, match=words):
            runs.enqueue(run, device, "ray", address)
    assert run.status == before


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(CnnvizError, match=r"pip install -r requirements-ray\.txt"):
        runs.enqueue(new_run(), "cpu", "ray", NOWHERE)


def test_a_gpu_is_asked_for_unless_the_cpu_is_named(monkeypatch):
    jobs = []

    class Client:
        def submit_job(self, **job):
            jobs.append(job)

    monkeypatch.setattr(cluster, "client_of", lambda address: Client())
    run = new_run()
    runs.enqueue(run, "auto", "ray", "http://head:8265")
    runs.enqueue(run, "cpu", "ray", "http://head:8265")
    assert [(job["entrypoint_num_gpus"], job["entrypoint_num_cpus"]) for job in jobs] == [
        (1, 2),
        (0, 2),
    ]
    assert jobs[0]["runtime_env"]["env_vars"]["CNNVIZ_RUNS"] == str(run.path.parent)
    assert f"runs resume {run.id} --device auto" in jobs[0]["entrypoint"]
    assert jobs[0]["submission_id"] != jobs[1]["submission_id"]
