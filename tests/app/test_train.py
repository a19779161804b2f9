import time

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import runs
from cnnviz.runs import folder
from cnnviz.settings import ROOT, runs_dir
from cnnviz.training.recipe import default_recipe
from cnnviz.ui.train_panels import duration

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


def new_run(state=None, **fields):
    run = runs.create_run(default_recipe("lenet5", "digits", epochs=400, batch_size=64))
    if state:
        run.write_status(run.status.model_copy(update={"state": state, **fields}))
    return run


def training(**fields):
    """A run that this very process seems to train."""
    me = psutil.Process()
    now = {"pid": me.pid, "pid_started": me.create_time(), "updated": time.time()}
    return new_run("running", **now, step=10, steps=40, epoch=100.0, **fields)


# A new run


def test_without_runs_it_says_how_to_get_one():
    app = opened()
    assert "No run yet" in app.info[0].value
    assert app.selectbox(key="variant").value == "lenet5"
    assert app.selectbox(key="dataset").value == "digits"
    assert labels(app) == ["Start training"]


def test_a_deep_link_chooses_network_and_data():
    app = opened(variant="resnet20_cifar", dataset="cifar10")
    assert app.selectbox(key="variant").value == "resnet20_cifar"
    assert app.number_input(key="epochs-resnet20_cifar-cifar10").value == 40
    assert app.number_input(key="lr-resnet20_cifar-cifar10").value == 0.1
    # 40.55 MMACs on the 45,000 images of the paper's split, 40 epochs, and twice that backward.
    assert "about 219 TMACs" in app.caption[0].value
    assert "download 170 MB" in " ".join(item.value for item in app.info)


def test_names_that_do_not_exist_fall_back_to_the_first_steps():
    app = opened(variant="<script>", dataset="mnist", run="../../etc")
    assert app.selectbox(key="variant").value == "lenet5"
    assert app.selectbox(key="dataset").value == "digits"


def test_the_recipe_follows_the_network():
    app = opened()
    assert app.number_input(key="batch_size-lenet5-digits").value == 32
    app.selectbox(key="variant").set_value("convnext_tiny_cifar").run()
    fine(app)
    assert app.selectbox(key="optimizer-convnext_tiny_cifar-digits").value == "adamw"


def test_more_held_out_images_than_there_are_do_not_make_a_negative_cost():
    app = opened()
    app.number_input(key="holdout-lenet5-digits").set_value(2000).run()
    fine(app)
    assert "-" not in app.caption[0].value
    assert "0 images" in app.caption[0].value


def test_starting_creates_a_run_with_what_was_set_and_trains_it():
    app = opened()
    app.number_input(key="epochs-lenet5-digits").set_value(400)
    app.number_input(key="lr-lenet5-digits").set_value(0.005)
    app.selectbox(key="device").set_value("cpu")
    app.run()
    app.button[0].click().run()
    fine(app)
    (run,) = runs.list_runs()
    try:
        recipe = run.recipe
        assert (recipe.variant, recipe.dataset) == ("lenet5", "digits")
        assert (recipe.epochs, recipe.lr, recipe.batch_size) == (400, 0.005, 32)
        assert app.selectbox(key="run").value == run.id
        deadline = time.monotonic() + 90
        while run.status.step == 0:
            assert time.monotonic() < deadline, run.log_tail()
            time.sleep(0.05)
        fine(app.run())
        assert "— Training" in html_of(app)
        app.button(key="stop").click().run()
        fine(app)
        while run.is_active:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        if run.is_active:
            runs.stop_run(run, wait=True)
    assert run.state == "stopped"
    fine(app.run())
    assert "Stopped and saved" in html_of(app)
    assert {"Resume", "Delete for good"} <= set(labels(app))


def test_a_run_that_cannot_be_made_says_why(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("CNNVIZ_RUNS", str(file))
    app = opened()
    app.button[0].click().run()
    fine(app)
    assert "CNNVIZ_RUNS" in app.error[0].value
    assert not fine(app.run()).error


# Watching


def test_a_deep_link_shows_its_run_and_the_first_is_the_newest(finished):
    newest = new_run("stopped")
    assert opened().selectbox(key="run").value == newest.id
    app = opened(run=finished.id)
    assert app.selectbox(key="run").value == finished.id
    assert "— Done" in html_of(app)
    assert opened(run="nosuchrun").selectbox(key="run").value == newest.id


def test_a_finished_run_shows_its_accuracy_and_leads_on(finished):
    app = opened(run=finished.id)
    shown = html_of(app)
    assert f"{finished.status.accuracy * 100:.2f} %" in shown
    assert "on all test images, once" in shown
    links = {link.proto.page: link.proto.query_string for link in app.get("page_link")}
    assert links["predict"] == f"model={finished.id}"
    assert links["compare"] == "dataset=digits"
    assert "Resume" not in labels(app)
    titles = [item.value for item in app.subheader]
    last = finished.metrics().epochs[-1]
    held = f"{last['val_accuracy'] * 100:.1f} % of held-out images right after epoch 2"
    assert held in titles
    assert app.dataframe[0].value["id"].tolist() == [finished.id]


def test_a_training_run_offers_only_to_stop_it():
    run = training(images_per_second=1234.0, eta=75.0, seconds=25.0)
    app = opened()
    shown = html_of(app)
    assert "— Training" in shown
    assert "1,234" in shown
    assert "1 min 15 s" in shown
    assert "100.0 / 400" in shown
    assert labels(app) == ["Start training", "Stop and save"]
    (run.path / folder.STOP).touch()
    fine(app.run())
    assert "— Stopping" in html_of(app)
    assert app.button(key="stop").disabled


def test_a_run_that_died_is_called_interrupted_and_can_go_on():
    new_run("running", pid=2**22 - 1, pid_started=1.0)
    app = opened()
    assert "— Interrupted" in html_of(app)
    assert "Resume" in labels(app)


def test_a_failed_run_shows_its_message():
    message = "The loss became nan at step 7 (epoch 1): lower the learning rate."
    new_run("failed", message=message)
    app = opened()
    assert "— Failed" in html_of(app)
    assert message in app.error[0].value


def test_resume_starts_the_trainer_again(monkeypatch):
    run = new_run("stopped")
    started = []
    monkeypatch.setattr("cnnviz.runs.launch.enqueue", lambda *a: started.append(a))
    opened().button(key="resume").click().run()
    assert started == [(run, "auto")]


def test_what_is_refused_is_said(monkeypatch):
    run = new_run("stopped")
    app = opened()
    run.write_status(run.status.model_copy(update={"state": "done"}))  # meanwhile, elsewhere
    app.button(key="resume").click().run()
    fine(app)
    assert "cannot be resumed" in " ".join(item.value for item in app.error)


def test_deleting_the_last_run_leaves_the_empty_page():
    run = new_run("stopped")
    (run.path / folder.LOG).write_text("what it printed")
    app = opened()
    assert app.code[0].value == "what it printed"
    app.button(key="delete").click().run()
    fine(app)
    assert not run.path.exists()
    assert "No run yet" in app.info[0].value


def test_deleting_one_run_shows_another():
    kept, gone = new_run("stopped"), new_run("stopped")
    app = opened(run=gone.id)
    app.button(key="delete").click().run()
    fine(app)
    assert app.selectbox(key="run").value == kept.id
    assert not gone.path.exists()


@pytest.mark.parametrize("recipe", ["{", '{"variant": "of another version"}'])
def test_a_damaged_run_is_named_and_can_be_deleted(finished, recipe):
    broken = new_run("failed")
    (broken.path / folder.RECIPE).write_text(recipe)
    app = opened()
    assert broken.id in app.warning[0].value
    assert app.selectbox(key="run").value == finished.id
    app.button(key=f"delete-{broken.id}").click().run()
    fine(app)
    assert not broken.path.exists()
    assert not app.warning


def test_damaged_lines_of_the_metrics_are_counted(finished):
    with (finished.path / folder.METRICS).open("a") as file:
        file.write("not json\n")
    captions = " ".join(item.value for item in opened().caption)
    assert "1 damaged line" in captions


PANEL = """
import streamlit as st
from cnnviz.runs import list_runs
from cnnviz.ui.train_panels import _run_panel

if "drawn" in st.session_state:
    st.write("the whole page again")
    st.stop()
st.session_state["drawn"] = True
_run_panel(list_runs()[0], was_active={was_active})
"""


@pytest.mark.parametrize(("make", "was_active"), [(training, False), (new_run, True)])
def test_a_change_between_training_and_rest_draws_the_whole_page(make, was_active):
    """Within the panel alone the clock would not start (or stop), nor the lists change."""
    run = make()
    if was_active:
        run.write_status(run.status.model_copy(update={"state": "stopped"}))
    app = fine(AppTest.from_string(PANEL.format(was_active=was_active), default_timeout=60).run())
    assert app.markdown[-1].value == "the whole page again"


@pytest.mark.parametrize(("make", "was_active"), [(training, True), (new_run, False)])
def test_no_change_draws_the_panel_alone(make, was_active):
    run = make()
    if not was_active:
        run.write_status(run.status.model_copy(update={"state": "stopped"}))
    app = fine(AppTest.from_string(PANEL.format(was_active=was_active), default_timeout=60).run())
    assert "the whole page again" not in [item.value for item in app.markdown]
    assert len(app.subheader) == 2


def test_no_files_are_made_by_looking():
    opened()
    assert list(runs_dir().iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_times_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_labels_tell_networks_and_runs_apart():
    """Streamlit finds a choice by its label: two of one name would be one choice."""
    for _ in range(3):
        new_run("stopped")
    app = opened()
    for key in ("variant", "run"):
        options = app.selectbox(key=key).options
        assert len(set(options)) == len(options)


def test_a_run_stays_chosen_when_it_ends():
    older, _ = training(), new_run("stopped")
    app = opened(run=older.id)
    older.write_status(older.status.model_copy(update={"state": "done", "accuracy": 0.5}))
    fine(app.run())
    assert app.selectbox(key="run").value == older.id
    assert "50.00 %" in html_of(app)
