import json

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT
from cnnviz.training.checkpoints import list_checkpoints, save_checkpoint

PAGE = str(ROOT / "pages" / "compare.py")


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def add(finished, folder, name, **changes):
    """Publish another network: the run's, with some weights and parts of the card changed."""
    source = list_checkpoints(finished.path)[0]
    model = source.load_model()
    next(model.parameters()).data += 0.01 * (len(list(folder.iterdir())) + 1)
    return save_checkpoint(model, source.card.model_copy(update={"name": name, **changes}), folder)


def spec(app, number=0):
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def test_without_a_trained_network_it_offers_to_train_one(no_checkpoints):
    app = opened()
    assert "No network has been trained yet" in app.info[0].value
    assert app.get("page_link")[0].proto.page == "train"


def test_a_network_without_a_measured_accuracy_is_not_compared(finished, no_checkpoints):
    import shutil

    add(finished, no_checkpoints, "unmeasured", accuracy=None, per_class={})
    shutil.rmtree(finished.path)
    assert "No trained network has a measured accuracy" in opened().info[0].value


def test_a_finished_run_is_in_the_picture_and_the_table(finished):
    app = opened()
    accuracy = finished.status.accuracy
    frame = app.dataframe[0].value
    assert frame["model"].tolist() == [finished.id]
    assert frame["accuracy"].tolist() == [accuracy]
    assert frame["params"].tolist() == [60_000]
    assert frame["macs"].tolist() == [325_680]
    assert frame["latency_ms"].iloc[0] > 0
    (trace,) = spec(app)["data"]
    assert trace["customdata"] == [[finished.id]]
    titles = [item.value for item in app.subheader]
    assert titles[0] == f"LeNet-5 (1998) gets {accuracy * 100:.1f} % of the test images right"
    assert titles[1].startswith("Hardest of all classes: ")


def test_the_hardest_class_is_the_least_recognised(finished, no_checkpoints):
    import shutil

    per_class = {str(digit): 0.9 for digit in range(10)} | {"8": 0.2}
    add(finished, no_checkpoints, "one", per_class=per_class)
    shutil.rmtree(finished.path)
    assert "Hardest of all classes: 8" in [item.value for item in opened().subheader]


def test_charts_have_a_text_for_who_cannot_see_them(finished):
    scatter, heatmap = opened().get("plotly_chart")
    assert "60,000 parameters" in scatter.proto.alt
    assert "Hardest of all classes" in heatmap.proto.alt


def test_the_link_chooses_data_set_and_cost(finished, no_checkpoints):
    add(finished, no_checkpoints, "photos", dataset="cifar10", accuracy=0.5)
    first = opened()
    assert first.dataframe[0].value["model"].tolist() == ["photos"]
    app = opened(dataset="digits", cost="macs")
    assert app.dataframe[0].value["model"].tolist() == [finished.id]
    assert "MACs" in spec(app)["layout"]["xaxis"]["title"]["text"]
    wrong = opened(dataset="mnist", cost="<b>")
    assert wrong.dataframe[0].value["model"].tolist() == ["photos"]
    assert spec(wrong)["layout"]["xaxis"]["title"]["text"] == "parameters"


@pytest.mark.parametrize("cost", ["params", "macs", "latency_ms", "weight_bytes"])
def test_every_cost_can_be_shown(finished, cost):
    (trace,) = spec(opened(cost=cost))["data"]
    assert len(trace["x"]) == 1 or trace["x"]["bdata"]


def test_two_runs_of_one_network_are_told_apart(finished, no_checkpoints):
    add(finished, no_checkpoints, "again", accuracy=0.01)
    app = opened()
    assert app.dataframe[0].value["model"].tolist() == [finished.id, "again"]
    assert spec(app, 1)["data"][0]["y"] == [finished.id, "again"]
    assert "smaller" not in app.subheader[0].value


def test_a_card_without_classes_measured_leaves_the_heatmap_out(finished, no_checkpoints):
    import shutil

    add(finished, no_checkpoints, "plain", per_class={})
    app = opened()
    assert len(app.dataframe[0].value) == 2
    assert spec(app, 1)["data"][0]["y"] == [finished.id]
    shutil.rmtree(finished.path)
    alone = opened()
    assert len(alone.get("plotly_chart")) == 1


def test_damaged_and_unknown_networks_are_named(finished, no_checkpoints):
    damaged = add(finished, no_checkpoints, "damaged")
    damaged.path.write_bytes(damaged.path.read_bytes()[:-1] + b"x")
    add(finished, no_checkpoints, "new", variant="from_the_future")
    app = opened()
    warnings = " ".join(item.value for item in app.warning)
    assert "damaged.safetensors is damaged" in warnings
    assert "from_the_future" in warnings
    assert app.dataframe[0].value["model"].tolist() == [finished.id]
