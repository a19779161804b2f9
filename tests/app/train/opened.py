"""The Train page as its tests open it, and runs in every state."""

import time

import psutil
from streamlit.testing.v1 import AppTest

from cnnviz import runs
from cnnviz.settings import ROOT
from cnnviz.training.recipe import default_recipe

PAGE = str(ROOT / "pages" / "train.py")


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return fine(app.run())


def fine(app):
    assert not app.exception
    return app


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def labels(app):
    return [button.label for button in app.button]


def captions(app):
    return " ".join(item.value for item in app.caption)


def errors(app):
    return " ".join(item.value for item in app.error)


def titles(app):
    return [item.value for item in app.subheader]


def links_of(app):
    """The links by their labels: the page and what it opens with."""
    return {
        link.proto.label: (link.proto.page, link.proto.query_string)
        for link in app.get("page_link")
    }


def new_run(state=None, seed=0, about=None, **fields):
    recipe = default_recipe("lenet5", "digits", epochs=400, batch_size=64, seed=seed)
    run = runs.create_run(recipe, about)
    if state:
        run.write_status(run.status.model_copy(update={"state": state, **fields}))
    return run


def training(seed=0, updated_ago=0.0, **fields):
    """A run that this very process seems to train."""
    me = psutil.Process()
    now = {"pid": me.pid, "pid_started": me.create_time(), "updated": time.time() - updated_ago}
    return new_run("running", seed, **now, step=10, steps=40, epoch=100.0, device="cpu", **fields)


def queued(seed=0, about=None):
    """A run that waits for the CPU."""
    place = 1_000.0 + seed
    return new_run("queued", seed, about, device="cpu", queued=place, created=place)
