"""The connection to a Ray cluster, and what is asked of it without knowing any run."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cnnviz.errors import CnnvizError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient


#: How long a cluster may take to answer that it is there (seconds).
ANSWER = 5.0


def client_of(address: str) -> JobSubmissionClient:
    """Return a client of the cluster whose dashboard is at `address`.

    Raises `CnnvizError` where Ray is not installed or the cluster does not answer.
    """
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise CnnvizError(
            "Ray is not installed: `pip install -r requirements-ray.txt` brings it."
        ) from error
    parts = urlsplit(address)
    try:
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("its address is no URL")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # The client itself would wait for minutes for a machine that is switched off.
        socket.create_connection((parts.hostname, port), ANSWER).close()
        return JobSubmissionClient(address)
    except (OSError, ValueError, RuntimeError) as error:
        raise CnnvizError(
            f"The Ray cluster at {address} cannot be reached ({error}): start it, or name its "
            "dashboard's address, as http://head:8265."
        ) from error


def job_log(address: str, job: str) -> str:
    """What the cluster says and keeps of a job; "" where it does not answer."""
    try:
        return str(client_of(address).get_job_logs(job))
    except (CnnvizError, RuntimeError):
        return ""
