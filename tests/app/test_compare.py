import json

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cnnviz.settings import ROOT
from cnnviz.training.saved.checkpoints import list_checkpoints, save_checkpoint
from cnnviz.ui.compare import rows

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
    assert "Hardest of all classes: 8, 20 % right on average" in [
        item.value for item in opened().subheader
    ]


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
    app = opened(runs="each")
    assert app.dataframe[0].value["model"].tolist() == [finished.id, "again"]
    assert spec(app, 1)["data"][0]["y"] == [finished.id, "again"]
    assert "smaller" not in app.subheader[0].value


def test_a_card_without_classes_measured_leaves_the_heatmap_out(finished, no_checkpoints):
    import shutil

    add(finished, no_checkpoints, "plain", per_class={})
    app = opened(runs="each")
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


def test_a_network_with_other_knobs_says_so_and_is_opened_with_them():
    app = opened(dataset="cifar10", model="alexnet_cifar")
    titles = app.dataframe[0].value.set_index("model")["title"]
    assert titles["alexnet_cifar"] == "AlexNet, width 0.5"  # the data set is chosen above
    found = {link.proto.page: link.proto.query_string for link in app.get("page_link")}
    assert found["explore"] == "variant=alexnet_cifar&width=0.5"


def test_seeds_of_one_recipe_are_one_point_with_their_deviation(finished, no_checkpoints):
    import shutil

    for seed, accuracy in enumerate((0.90, 0.92, 0.97), start=1):
        add(finished, no_checkpoints, f"seed{seed}", seed=seed, accuracy=accuracy)
    shutil.rmtree(finished.path)
    app = opened()
    row = app.dataframe[0].value.iloc[0]
    assert row["accuracy"] == pytest.approx(0.93)
    assert row["sd"] == pytest.approx(0.0360555)  # sqrt((9 + 1 + 16) / 2) per cent
    assert row["seeds"] == 3
    assert row["model"] == "seed1, seed2, seed3"
    (trace,) = spec(app)["data"]
    assert trace["text"] == ["LeNet-5 (1998), 3 seeds"]
    assert trace["error_y"]["array"] == pytest.approx([0.0360555])
    assert app.subheader[0].value == (
        "LeNet-5 (1998) gets 93.0 ± 3.6 % of the test images right (3 seeds, mean ± sd)"
    )
    assert "one standard deviation over the seeds" in app.caption[0].value

    app.toggle(key="compare_runs").set_value(True).run()
    assert app.query_params["runs"] == "each"
    assert app.dataframe[0].value["model"].tolist() == ["seed3", "seed2", "seed1"]
    assert "seeds" not in app.dataframe[0].value


def test_one_run_has_no_deviation_and_nothing_to_switch(finished):
    app = opened()
    assert not app.toggle
    assert "sd" not in app.dataframe[0].value
    assert "seeds" not in app.subheader[0].value


def alone(finished, folder, name, **changes):
    """Publish the card of another network without its weights."""
    add(finished, folder, name, **changes).path.unlink()


def test_seeds_known_by_their_card_alone_count_and_are_named(finished, no_checkpoints):
    own = finished.status.accuracy
    alone(finished, no_checkpoints, "lenet5-seed1", seed=1, accuracy=own - 0.02)
    alone(finished, no_checkpoints, "lenet5-seed2", seed=2, accuracy=own - 0.04)
    app = opened()
    frame = app.dataframe[0].value
    assert frame["seeds"].tolist() == [3]
    assert frame["accuracy"].tolist() == [pytest.approx(own - 0.02)]
    assert frame["sd"].tolist() == [pytest.approx(0.02)]
    said = [item.value for item in app.caption if "by their card alone" in item.value]
    assert said[0].startswith("2 of them by their card alone: lenet5-seed1, lenet5-seed2;")
    (trace,) = spec(app)["data"]
    assert trace["customdata"] == [[finished.id]]  # the one that can be looked into
    one = opened(model="lenet5-seed1")
    pages = {link.proto.page for link in one.get("page_link")}
    assert "explore" in pages
    assert not pages & {"filters", "deconvnet", "predict"}


def test_one_card_alone_is_compared(finished, no_checkpoints):
    import shutil

    alone(finished, no_checkpoints, "lenet5-seed1", seed=1, accuracy=0.5)
    shutil.rmtree(finished.path)
    app = opened()
    assert app.dataframe[0].value["model"].tolist() == ["lenet5-seed1"]
    assert any("1 of them by its card alone" in item.value for item in app.caption)


def test_one_network_is_looked_at_when_chosen(finished):
    app = opened()
    assert len(app.get("plotly_chart")) == 2
    app.selectbox(key="compare_model").set_value(finished.id).run()
    assert app.query_params["model"] == finished.id
    alts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert any("true class against the class given" in alt for alt in alts)
    assert any("accuracy against confidence" in alt for alt in alts)
    linked = opened(model=finished.id)
    assert linked.selectbox(key="compare_model").value == finished.id
    assert len(linked.get("plotly_chart")) == len(alts)


def test_a_model_that_is_not_there_leaves_the_choice_open(finished):
    assert opened(model="nobody").selectbox(key="compare_model").value is None


def test_a_card_without_an_evaluation_says_so(finished, no_checkpoints):
    add(finished, no_checkpoints, "old", confusion=(), calibration=None, per_class={}, seed=5)
    app = opened(model="old")
    assert "train it again" in app.info[0].value


def test_a_title_keeps_its_data_set_where_another_network_has_the_short_one():
    titles = ["AlexNet for CIFAR-10", "AlexNet", "LeNet-5 for CIFAR-10"]
    frame = pd.DataFrame({"title": titles, "model": ["a", "b", "c"]})
    assert list(rows.named(frame, "cifar10")["title"]) == titles
    shorter = rows.named(frame[:1], "cifar10")
    assert list(shorter["title"]) == list(shorter["label"]) == ["AlexNet"]
    assert list(rows.named(frame, "digits")["title"]) == titles
    twice = frame.assign(title="AlexNet for CIFAR-10")
    assert list(rows.named(twice, "cifar10")["label"]) == ["a", "b", "c"]


def test_what_a_link_asks_for_and_is_not_there_is_said(finished):
    app = opened(dataset="mars", cost="money", runs="some", model="no-run")
    said = " ".join(warning.value for warning in app.warning)
    for asked in ("dataset called “mars”", "cost called “money”", "“some”", "called “no-run”"):
        assert asked in said
