"""The Train page: the table of all runs, requests, the queue, seeds together."""

import pytest

from cnnviz import runs
from cnnviz.runs import About, RunSurvey, folder
from tests.app.train.opened import fine, html_of, labels, new_run, opened, queued, training


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    for place in ("cnnviz.runs.queue", "cnnviz.runs"):
        monkeypatch.setattr(f"{place}.start_next", lambda: None)


def table(app):
    return app.dataframe[0].value


def test_one_run_needs_no_table():
    new_run("stopped")
    assert not opened().dataframe


def test_the_table_has_what_trains_first_then_the_queue_in_its_order():
    old = new_run("done", accuracy=0.75, seconds=90.0, created=1.0)
    third, second = queued(seed=3), queued(seed=2)
    runs.note_run(second, "a note")
    now = training()
    shown = table(opened())
    assert shown["id"].tolist() == [now.id, second.id, third.id, old.id]
    assert shown["state"].tolist() == ["▶ Training", "◷ Queued", "◷ Queued", "✓ Done"]
    assert shown["position"].tolist()[1:3] == [1, 2]
    assert shown["accuracy"].tolist()[3] == 0.75
    assert shown["note"].tolist()[1] == "a note"
    assert shown["time"].tolist()[3] == "1 min 30 s"
    assert shown["epoch"].tolist()[0] == "100 / 400"


def test_columns_in_which_no_run_has_anything_are_left_out():
    first, second = (new_run("stopped", seed) for seed in (0, 1))
    optional = {"position", "held", "accuracy", "note"}
    assert optional.isdisjoint(table(opened()).columns)
    runs.note_run(first, "a note")
    second.write_status(second.status.model_copy(update={"state": "done", "accuracy": 0.5}))
    assert optional & set(table(opened()).columns) == {"accuracy", "note"}


def test_a_queued_run_moves_up_and_down():
    one, two, three = (queued(seed=i) for i in range(3))
    app = opened(run=two.id)
    assert "for cpu: place 2 in the queue" in html_of(app)
    app.button(key="up").click().run()
    assert runs.positions() == {two.id: 1, one.id: 2, three.id: 3}
    assert "Move up" not in labels(fine(app))
    app.button(key="down").click().run()
    app.button(key="down").click().run()
    assert runs.positions() == {one.id: 1, three.id: 2, two.id: 3}
    assert "Move down" not in labels(fine(app))


def test_a_request_is_shown_alone_and_stopped_at_once():
    mine = [queued(seed=i, about=About(request="my-sweep")) for i in range(3)]
    other = queued(seed=9, about=About(request="alone"))
    app = opened(request="my-sweep")
    assert sorted(table(app)["id"]) == sorted(run.id for run in mine)
    assert len(app.selectbox(key="request").options) == 2  # a single run needs no filter
    app.button(key="together").click().run()
    assert fine(app).selectbox(key="run").value == mine[0].id
    assert len(app.multiselect(key="with").value) == 2
    app.button(key="stop-all").click().run()
    assert [run.state for run in mine] == ["stopped"] * 3
    assert other.state == "queued"
    assert "Stop all" not in " ".join(labels(fine(app)))
    app.selectbox(key="request").set_value("every request").run()
    assert len(table(fine(app))) == 4
    assert "request" not in app.query_params


def test_seeds_of_a_recipe_stand_together():
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):
        new_run("done", seed, accuracy=accuracy)
    new_run("stopped", 3)
    app = opened(list="recipes")
    (row,) = table(app).to_dict("records")
    assert row["network"] == "LeNet-5 (1998)"
    assert row["reached"] == "60.00 ± 10.00 %"  # sd with n − 1: 0.1
    assert row["span"] == "50.00 – 70.00 %"
    assert (row["done"], row["pending"]) == (3, 1)
    assert row["changes"] == "epochs 400, batch size 64"


def test_what_does_not_exist_in_the_url_changes_nothing():
    for seed in range(2):
        new_run("stopped", seed)
    app = opened(list="nosuch", request="nosuch")
    assert len(table(app)) == 2


def test_a_damaged_run_that_another_deletes_just_now_is_no_error(monkeypatch):
    gone = RunSurvey([new_run("done")], {"lenet5-gone": "It cannot be used."})
    monkeypatch.setattr("cnnviz.runs.survey_runs", lambda heads_only=False: gone)
    app = opened()
    app.button(key="delete-lenet5-gone").click().run()
    assert "was deleted already" in fine(app).error[0].value


@pytest.mark.parametrize("recipe", ["{", '{"variant": "of another version"}'])
def test_a_damaged_run_is_named_and_can_be_deleted(finished, recipe):
    broken = new_run("failed")
    (broken.path / folder.RECIPE).write_text(recipe)
    app = opened()
    assert broken.id in app.warning[0].value
    assert app.selectbox(key="run").value == finished.id
    app.button(key=f"delete-{broken.id}").click().run()
    assert not broken.path.exists()
    assert not fine(app).warning


def test_a_silent_cluster_is_named_and_the_page_goes_on():
    address = "http://127.0.0.1:9"
    run = new_run("queued", launcher="ray", address=address, job="job-1")
    app = opened()
    assert address in app.warning[0].value
    assert f"on the Ray cluster at {address}" in html_of(app)
    assert app.selectbox(key="run").value == run.id
