"""Training runs: each a folder on disk and, while it trains, a process of its own.

Nothing here needs a server. The app and the command line read the same folders, so a run
survives a reload of the page and a restart of the app, and either can stop or resume it. Names
that need torch are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnviz.runs.folder import (
    METRICS,
    RECIPE,
    About,
    Run,
    RunSurvey,
    State,
    Status,
    find_run,
    list_runs,
    survey_runs,
)
from cnnviz.runs.launch import (
    clone_run,
    create_run,
    delete_run,
    note_run,
    pause_run,
    publish,
    publish_card,
    resume_run,
    stop_run,
)
from cnnviz.runs.metrics import Metrics
from cnnviz.runs.queue import (
    enqueue,
    enqueue_all,
    move_run,
    position,
    positions,
    rows,
    start_next,
    waiting,
)

if TYPE_CHECKING:
    from cnnviz.runs.costs.plan import Assumptions as Assumptions
    from cnnviz.runs.costs.plan import plan_sweep as plan_sweep
    from cnnviz.runs.requests import grid as grid
    from cnnviz.runs.requests import request_runs as request_runs
    from cnnviz.runs.summary import Summary as Summary
    from cnnviz.runs.summary import changes_of as changes_of
    from cnnviz.runs.summary import summarise as summarise

_HOME = {
    "Assumptions": "costs.plan",
    "plan_sweep": "costs.plan",
    "grid": "requests",
    "request_runs": "requests",
    "Summary": "summary",
    "changes_of": "summary",
    "summarise": "summary",
}

__all__ = [
    "METRICS",
    "RECIPE",
    "About",
    "Assumptions",
    "Metrics",
    "Run",
    "RunSurvey",
    "State",
    "Status",
    "Summary",
    "clone_run",
    "create_run",
    "delete_run",
    "enqueue",
    "enqueue_all",
    "find_run",
    "grid",
    "list_runs",
    "move_run",
    "note_run",
    "pause_run",
    "plan_sweep",
    "position",
    "positions",
    "publish",
    "publish_card",
    "request_runs",
    "resume_run",
    "rows",
    "start_next",
    "stop_run",
    "summarise",
    "survey_runs",
    "waiting",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module offers
    if name not in _HOME:
        raise AttributeError(f"module 'cnnviz.runs' has no attribute {name!r}")
    return getattr(import_module(f"cnnviz.runs.{_HOME[name]}"), name)
