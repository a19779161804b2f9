"""The Train page: watching one run or several, and what can be done to them."""

import json
import shutil
import time

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import runs
from cnnviz.runs import folder
from cnnviz.training.recipe import default_recipe
from cnnviz.training.saved.files import atomic_write
from cnnviz.ui.train.words import STATES, differences, duration
from tests.app.train.opened import (
    captions,
    errors,
    fine,
    html_of,
    labels,
    links_of,
    new_run,
    opened,
    queued,
    titles,
    training,
)


def write_metrics(run, count, accuracy=0.5, **fields):
    lines = [
        {"kind": "epoch", "step": 18 * e, "epoch": e, "train_loss": 1 / e, "train_accuracy": 0.5}
        | {"val_loss": 0.9 / e, "val_accuracy": accuracy, "seconds": float(e)}
        | fields
        for e in range(1, count + 1)
    ]
    (run.path / folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))


def changed(run, **fields):
    run.write_status(run.status.model_copy(update=fields))


def figure(app, key):
    """The chart in the element with this key, as Plotly gets it."""
    chart = next(c for c in app.get("plotly_chart") if c.proto.id.endswith(key))
    return json.loads(chart.proto.spec)


# One run


def test_a_deep_link_shows_its_run_and_the_first_is_the_newest(finished):
    newest = new_run("stopped")
    assert opened().selectbox(key="run").value == newest.id
    app = opened(run=finished.id)
    assert app.selectbox(key="run").value == finished.id
    assert "<strong>Done</strong>" in html_of(app)
    app = opened(run="nosuchrun")
    assert app.selectbox(key="run").value == newest.id
    assert "There is no run “nosuchrun” any more" in app.info[0].value


def test_a_run_that_trains_is_shown_before_newer_ones_that_wait():
    now = training()
    queued(seed=1)
    assert opened().selectbox(key="run").value == now.id


def test_a_training_run_shows_how_it_goes_and_can_be_stopped():
    run = training(images_per_second=1234.0, eta=75.0, seconds=25.0)
    more = {"lr": 0.01, "grad_norm": 0.75, "macs_per_second": 3_000_000_000, "memory": 250_000_000}
    write_metrics(run, 2, **more)
    app = opened()
    shown = html_of(app)
    assert "<strong>Training</strong>" in shown
    for text in ("1,234", "1 min 15 s", "50.0 %", "0.450", "0.75", "3.00 GMAC/s", "250 MB"):
        assert text in shown
    assert app.get("progress")[0].proto.text == "Epoch 100.0 of 400, 1 min 15 s left"
    assert {"Stop and save", "Pause", "Clone with changes"} <= set(labels(app))
    assert not {"Resume", "Delete for good"} & set(labels(app))
    (run.path / folder.STOP).touch()
    fine(app.run())
    assert "Stopping" in html_of(app)
    assert app.button(key="stop").disabled
    assert app.button(key="pause").disabled


def test_pausing_holds_a_run_back_and_resuming_lets_it_go(monkeypatch):
    run = queued()
    monkeypatch.setattr("cnnviz.runs.queue.start_next", lambda: None)
    monkeypatch.setattr("cnnviz.runs.start_next", lambda: None)
    app = opened()
    assert "for cpu: next" in html_of(app)
    app.button(key="pause").click().run()
    assert run.state == "paused"
    assert "Paused" in html_of(fine(app))
    assert "Pause" not in labels(app)
    app.button(key="resume").click().run()
    assert run.state == "queued"
    assert "Queued" in html_of(fine(app))


def test_a_run_that_died_is_called_interrupted_and_can_go_on():
    new_run("running", pid=2**22 - 1, pid_started=1.0)
    app = opened()
    assert "Interrupted" in html_of(app)
    assert "Resume" in labels(app)


def test_a_failed_run_shows_its_message():
    message = "The loss became nan at step 7 (epoch 1): lower the learning rate."
    new_run("failed", message=message)
    app = opened()
    assert "<strong>Failed</strong>" in html_of(app)
    assert message in errors(app)


def test_resume_starts_the_trainer_again(monkeypatch):
    run = new_run("stopped")
    started = []
    monkeypatch.setattr("cnnviz.runs.launch.enqueue", lambda *a: started.append(a))
    opened().button(key="resume").click().run()
    assert started == [(run, "auto")]


def test_what_is_refused_is_said():
    run = new_run("stopped")
    app = opened()
    changed(run, state="done")  # meanwhile, elsewhere
    app.button(key="resume").click().run()
    assert "cannot be resumed" in errors(fine(app))
    assert not fine(app.run()).error


def test_of_a_run_whose_folder_is_gone_nothing_is_copied():
    run, other = new_run("done"), new_run("stopped")
    app = opened(run=run.id)
    shutil.rmtree(run.path)
    app.button(key="clone").click().run()
    assert "was deleted already" in errors(fine(app))
    assert not app.toast
    assert app.selectbox(key="run").value == other.id


def test_a_stalled_run_has_no_time_left():
    training(updated_ago=100.0, eta=75.0)
    app = opened()
    assert "Stalled: " in html_of(app)
    assert "1 min 15 s" not in html_of(app) + app.get("progress")[0].proto.text


def test_runs_are_told_apart_in_the_pickers():
    run = runs.create_run(default_recipe("lenet5", "digits", lr=0.25, seed=3))
    app = opened(run=run.id)
    (label,) = app.selectbox(key="run").options
    assert label.startswith("LeNet-5 (1998), learning rate 0.25, seed 3 · ")


def test_deleting_the_last_run_leaves_the_empty_page():
    run = new_run("stopped")
    (run.path / folder.LOG).write_text("what it printed")
    app = opened()
    assert app.code[0].value == "what it printed"
    app.button(key=f"delete-{run.id}").click().run()
    fine(app)
    assert not run.path.exists()
    assert "No run yet" in app.info[0].value


def test_deleting_one_run_shows_another():
    kept, gone = new_run("stopped"), new_run("stopped")
    app = opened(run=gone.id)
    app.button(key=f"delete-{gone.id}").click().run()
    assert fine(app).selectbox(key="run").value == kept.id
    assert not gone.path.exists()


def test_a_note_is_kept_and_shown_as_it_was_written():
    run = new_run("stopped")
    app = opened()
    app.text_area[0].set_value("<b>too slow</b> & noisy").run()
    app.button(key="save-note").click().run()
    assert run.about.note == "<b>too slow</b> & noisy"
    assert "&lt;b&gt;too slow&lt;/b&gt; &amp; noisy" in html_of(fine(app))
    assert opened().text_area[0].value == "<b>too slow</b> & noisy"


def test_damaged_lines_of_the_metrics_are_counted(finished):
    with (finished.path / folder.METRICS).open("a") as file:
        file.write("not json\n")
    assert "1 damaged line" in captions(opened())


def test_tensorboards_command_is_given_where_it_has_files():
    run = new_run("stopped")
    atomic_write(
        run.path / folder.RECIPE, run.recipe.changed(tensorboard=True).model_dump_json().encode()
    )
    assert f"tensorboard --logdir {run.path.parent}" in [item.value for item in opened().code]


def test_a_run_stays_chosen_when_it_ends():
    older, _ = training(), new_run("stopped")
    app = opened(run=older.id)
    changed(older, state="done", accuracy=0.5)
    fine(app.run())
    assert app.selectbox(key="run").value == older.id
    assert "50.00 %" in html_of(app)


# The end


def test_a_finished_run_shows_what_it_reached_and_leads_on(finished):
    app = opened(run=finished.id)
    shown = html_of(app)
    assert f"{finished.status.accuracy * 100:.2f} %" in shown
    assert "on all test images, once" in shown
    here = f"model={finished.id}"
    assert {label: target for label, target in links_of(app).items() if label[:3] != "Tra"} == {
        "Ask it about a photo →": ("predict", f"{here}&sample=handwritten+digit"),
        "See its filters →": ("filters", here),
        "See what its units see →": ("deconvnet", here),
        "See its units evolve →": ("deconvnet", f"{here}&view=evolution"),
        "Find it in the comparison →": ("compare", "dataset=digits"),
    }
    assert not {"Resume", "Stop and save"} & set(labels(app))
    last = finished.metrics().epochs[-1]
    held = f"{last['val_accuracy'] * 100:.1f} % of held-out images right after epoch 2"
    said = " | ".join(titles(app))
    assert held in said
    assert "is taken for" in said
    assert "is hardest" in said
    assert "of the time" in said or "right " in said
    assert "Expected calibration error" in captions(app)


def test_a_run_from_before_the_figures_shows_only_what_it_has(finished):
    path = finished.path / f"{finished.id}.json"
    card = json.loads(path.read_text())
    for name in ("confusion", "calibration"):
        card.pop(name)
    path.write_text(json.dumps(card))
    app = opened()
    said = " | ".join(titles(app))
    assert "is hardest" in said
    assert "is taken for" not in said
    card["per_class"] = {}
    path.write_text(json.dumps(card))
    app = opened()
    assert "On the test images" not in [item.value for item in app.header]
    path.unlink()
    assert "is hardest" not in " | ".join(titles(opened()))


def test_a_published_run_is_linked_by_the_name_other_pages_know(finished, monkeypatch):
    runs.publish(finished, "famous")
    assert links_of(opened())["See its filters →"] == ("filters", "model=famous")


def test_without_kept_epochs_there_is_no_evolution(finished):
    for file in (finished.path / "epochs").iterdir():
        file.unlink()
    assert "See its units evolve →" not in links_of(opened())


# Several runs


def two_runs(first):
    second = new_run("stopped", seed=2)
    write_metrics(first, 3, accuracy=0.75)
    write_metrics(second, 5, accuracy=0.5)
    return first, second


def test_several_runs_stand_on_one_chart():
    first, second = two_runs(new_run("stopped", seed=1))
    app = opened(run=first.id, **{"with": f"{second.id},nosuch"})
    assert app.multiselect(key="with").value == [second.id]
    assert [title.replace("\u00a0", " ") for title in titles(app)] == [
        "LeNet-5 (1998) · seed 1 is ahead: 75.0 % of held-out images right",
        "LeNet-5 (1998) · seed 2 has the lowest held-out loss: 0.180",
    ]
    shown = figure(app, "several-accuracy")
    assert [(line["name"], len(line["x"])) for line in shown["data"]] == [
        ("LeNet-5 (1998) · seed 1", 3),
        ("LeNet-5 (1998) · seed 2", 5),
    ]
    assert shown["layout"]["xaxis"]["range"] == [0, 5]  # they rest: no room for more is kept
    app.multiselect(key="with").set_value([]).run()
    assert "with" not in fine(app).query_params
    assert "right after epoch 3" in titles(app)[0]


def test_several_runs_are_live_while_one_of_them_trains():
    first, second = two_runs(training(seed=1))
    app = opened(run=second.id, **{"with": first.id})
    drawn = [item.value for item in app.markdown if 'class="plot"' in item.value]
    assert [html.count("<polyline") for html in drawn] == [2, 2]
    assert not app.get("plotly_chart")
    assert '<span class="x" style="left:100.00%">400</span>' in drawn[0]
    legend = next(item.value for item in app.markdown if 'class="lines"' in item.value)
    assert "▶ Training, epoch 100<" in legend
    assert "◻ Stopped, epoch 0<" in legend
    assert legend.count("<svg") == 2


def test_runs_are_named_by_what_differs():
    one, two = new_run("stopped", seed=1), new_run("stopped", seed=1)
    other = runs.clone_run(one, lr=0.5, epochs=7)
    assert differences([one, other]) == {
        one.id: "LeNet-5 (1998) · epochs 400 · learning rate 0.01",
        other.id: "LeNet-5 (1998) · epochs 7 · learning rate 0.5",
    }
    assert len(set(differences([one, two]).values())) == 2
    from cnnviz.training.recipe import default_recipe

    net = runs.create_run(default_recipe("convnext_tiny_cifar", "digits"))
    names = differences([one, net])
    assert names[one.id] == "LeNet-5 (1998)"  # recipes of two networks differ in everything


# What stays true


PANEL = """
import streamlit as st
from cnnviz.runs import list_runs
from cnnviz.ui.train.watch import _live

if "drawn" in st.session_state:
    st.write("the whole page again")
    st.stop()
st.session_state["drawn"] = True
_live(list_runs(), {states})
"""


@pytest.mark.parametrize(
    ("make", "states"), [(training, ("queued",)), (lambda: new_run("stopped"), ("running",))]
)
def test_a_change_of_state_draws_the_whole_page(make, states):
    """Within the part alone the clock would not stop, nor the buttons and lists change."""
    make()
    app = fine(AppTest.from_string(PANEL.format(states=states), default_timeout=60).run())
    assert app.markdown[-1].value == "the whole page again"


@pytest.mark.parametrize(
    ("make", "states"), [(training, ("running",)), (lambda: new_run("stopped"), ("stopped",))]
)
def test_no_change_draws_the_part_alone(make, states):
    write_metrics(make(), 1)
    app = fine(AppTest.from_string(PANEL.format(states=states), default_timeout=60).run())
    assert "the whole page again" not in [item.value for item in app.markdown]
    assert len(app.subheader) == 2


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
        (300_000, "3 d 11 h"),
    ],
)
def test_times_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_every_state_has_its_own_sign_and_word():
    from typing import get_args

    assert set(STATES) == set(get_args(folder.State))
    assert len({words.sign for words in STATES.values()}) == len(STATES)


def test_labels_tell_networks_and_runs_apart():
    """Streamlit finds a choice by its label: two of one name would be one choice."""
    for _ in range(3):
        new_run("stopped")
    app = opened()
    for options in (app.multiselect(key="variant").options, app.selectbox(key="run").options):
        assert len(set(options)) == len(options)


def test_looking_is_quick_with_many_runs():
    for seed in range(200):
        write_metrics(new_run("done", seed, accuracy=0.5), 5)
    app = opened()
    began = time.process_time()
    fine(app.run())
    assert time.process_time() - began < 1
