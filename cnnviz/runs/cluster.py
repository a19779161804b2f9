"""Runs on a Ray cluster: each is a Ray job, its folder on storage that every machine sees.

An optional extra (``requirements-ray.txt``). The job's entry point is the command that resumes a
run here too; so its state, its log and a stop go through the folder as on one machine, and the
cluster is only asked whether a job still waits, or died without a word. Every node needs this
project, its Python environment, the runs and the data at the paths they have here.

Source: Ray Jobs API, https://docs.ray.io/en/latest/cluster/running-applications/job-submission/.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

from cnnviz.errors import CnnvizError
from cnnviz.runs.folder import ENDED, HOLD, LOG, STOP, Run
from cnnviz.runs.locks import queue_lock
from cnnviz.runs.ray_client import client_of
from cnnviz.settings import ROOT, checkpoints_dir, data_dir

#: GPUs and CPU cores of a job, by the device that was asked for: the data lies on the GPU, so one
#: core drives it and one is left to checkpoints and evaluation.
NEEDS = {"auto": (1, 2), "cuda": (1, 2), "cpu": (0, 2)}


def check_cluster(address: str = "") -> str:
    """Return the address of the cluster, by default of ``RAY_API_SERVER_ADDRESS``.

    Raises `CnnvizError` where Ray is not installed, and where no cluster answers.
    """
    address = (address or os.environ.get("RAY_API_SERVER_ADDRESS", "")).strip().rstrip("/")
    if not address:
        raise CnnvizError(
            "Which Ray cluster? Name the address of its dashboard: --ray-address http://head:8265."
        )
    client_of(address)
    return address


def submit(run: Run, address: str = "", device: str = "auto") -> None:
    """Submit `run` to the cluster at `address`, which starts it when a node has room.

    `device` is "cpu", or "auto" for one GPU of the cluster's choice. Raises `CnnvizError` where
    the cluster does not take it; the run is then as it was.
    """
    if device not in NEEDS:
        raise CnnvizError(f"The cluster picks the GPU: use --device auto or cpu, not {device}.")
    address = check_cluster(address)
    gpus, cpus = NEEDS[device]
    with queue_lock():
        before = run.status
        if run.state in ("running", "stalled", "stopping", "done"):
            raise CnnvizError(f"The run {run.id} is {run.state} and cannot be started again.")
        job = f"{run.id}-{secrets.token_hex(3)}"
        now = time.time()
        asked = {"state": "queued", "queued": now, "updated": now, "message": "", "eta": None}
        nobody = {"host": "", "pid": None, "pid_started": None, "born": "", "device": device}
        where = {"launcher": "ray", "address": address, "job": job}
        (run.path / STOP).unlink(missing_ok=True)
        (run.path / HOLD).unlink(missing_ok=True)
        run.write_status(before.model_copy(update={**asked, **nobody, **where}))
        try:
            client_of(address).submit_job(
                entrypoint=_entrypoint(run, device, job),
                submission_id=job,
                runtime_env={"env_vars": _environment(run)},
                entrypoint_num_gpus=gpus,
                entrypoint_num_cpus=cpus,
            )
        except Exception as error:
            run.write_status(before)
            if isinstance(error, CnnvizError):
                raise
            raise CnnvizError(
                f"The Ray cluster at {address} did not take the run: {_first_line(error)}."
            ) from error


def _entrypoint(run: Run, device: str, job: str) -> str:
    """The command of the job; what it prints goes where a run's log always is."""
    wanted = "cpu" if device == "cpu" else "auto"  # of Ray's choice: the one GPU that is visible
    command = [sys.executable, "-m", "cnnviz", "runs", "resume", run.id]
    command += ["--device", wanted, "--job", job]
    return f"{shlex.join(command)} >> {shlex.quote(str(run.path / LOG))} 2>&1"


def _environment(run: Run) -> dict[str, str]:
    return {
        "CNNVIZ_RUNS": str(run.path.parent),
        "CNNVIZ_DATA": str(data_dir()),
        "CNNVIZ_CHECKPOINTS": str(checkpoints_dir()),
        "PYTHONPATH": str(ROOT),
    }


def cancel(run: Run) -> None:
    """Take the job of `run` back: one that waits will not start, one that runs is killed.

    A job that the cluster no longer knows is no error. Raises `CnnvizError` where the cluster
    does not answer.
    """
    status = run.status
    client = client_of(status.address)
    try:
        client.stop_job(status.job)
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise CnnvizError(
                f"The Ray cluster at {status.address} did not stop {run.id}: {_first_line(error)}."
            ) from error


def refresh(runs: Sequence[Run]) -> list[str]:
    """Bring the states of those `runs` up to date that are jobs of a cluster and have not ended.

    Returns a sentence for each cluster that does not answer: of its runs is known only what they
    last wrote themselves.
    """
    by_address: dict[str, list[Run]] = {}
    for run in runs:
        status = run.status
        if status.launcher == "ray" and status.state not in ENDED:
            by_address.setdefault(status.address, []).append(run)
    problems = []
    for address, members in by_address.items():
        try:
            jobs = {job.submission_id: job for job in client_of(address).list_jobs()}
        except (CnnvizError, RuntimeError) as error:
            known = "of its runs is known only what they wrote themselves"
            problems.append(f"{str(error).rstrip('.')}; {known}.")
            continue
        for run in members:
            _settle(run, jobs.get(run.status.job), address)
    return problems


def _settle(run: Run, job: Any, address: str) -> None:  # noqa: ANN401 - Ray's JobDetails
    """Write what the cluster knows of a job where the trainer itself could not."""
    with queue_lock():
        status = run.status
        if status.state in ENDED or (job is not None and status.job != job.submission_id):
            return
        begun = status.state != "queued"
        word = "LOST" if job is None else str(getattr(job.status, "value", job.status))
        if word == "PENDING" and not begun:
            _note(run, message=_first_line(job.message or ""))
        elif word == "RUNNING" and not begun:
            _note(run, message="")
        elif word == "LOST":
            lost = f"The Ray cluster at {address} no longer knows its job: resume it."
            _note(run, state="interrupted", message=lost, eta=None)
        elif word == "STOPPED":
            gone = "Its job was stopped on the cluster: resume it."
            _note(run, state="interrupted" if begun else "stopped", message=gone, eta=None)
        elif word == "FAILED":
            last = (run.log_tail().strip().splitlines() or [_first_line(job.message or "")])[-1]
            reason = f"Its job on the cluster failed: {last[:300]}"
            _note(run, state="interrupted" if begun else "failed", message=reason, eta=None)
        elif word == "SUCCEEDED":
            unseen = (
                "Its job ended, but this folder was not written to: CNNVIZ_RUNS must be on storage "
                "that every node of the cluster sees."
            )
            _note(run, state="failed", message=unseen, eta=None)


def _note(run: Run, **fields: Any) -> None:  # noqa: ANN401 - the status's fields
    status = run.status
    if any(getattr(status, name) != value for name, value in fields.items()):
        run.write_status(status.model_copy(update=fields))


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or [""])[0].rstrip(".")[:300]
