"""Training runs: each a folder on disk and, while it trains, a process of its own.

Nothing here needs a server. The app and the command line read the same folders, so a run
survives a reload of the page and a restart of the app, and either can stop or resume it.
"""

from cnnviz.runs.folder import (
    METRICS,
    RECIPE,
    Metrics,
    Run,
    RunSurvey,
    State,
    Status,
    find_run,
    list_runs,
    survey_runs,
)
from cnnviz.runs.launch import create_run, delete_run, publish, resume_run, stop_run
from cnnviz.runs.queue import enqueue, start_next, waiting

__all__ = [
    "METRICS",
    "RECIPE",
    "Metrics",
    "Run",
    "RunSurvey",
    "State",
    "Status",
    "create_run",
    "delete_run",
    "enqueue",
    "find_run",
    "list_runs",
    "publish",
    "resume_run",
    "start_next",
    "stop_run",
    "survey_runs",
    "waiting",
]
