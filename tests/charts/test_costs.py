import pandas as pd
import pytest

from cnnviz.charts import costs


@pytest.fixture
def frame():
    rows = [
        ("conv1", "conv2d", "conv", 100, 9000),
        ("relu", "relu", "activation", 0, 0),
        ("block.conv2", "conv2d", "conv", 300, 900),
        ("fc", "linear", "linear", 600, 100),
    ]
    frame = pd.DataFrame(rows, columns=["path", "op", "kind", "params", "macs"])
    frame["macs"] = frame["macs"].astype("Int64")
    frame["output_shape"] = "8×4×4"
    frame["params_share"] = frame["params"] / 1000
    frame["macs_share"] = frame["macs"].astype("Float64") / 10_000
    return frame


def test_bars_hold_the_shares_of_costly_layers(frame):
    figure = costs.cost_bars(frame, "params")
    bars = {
        path[0]: y
        for trace in figure.data
        for path, y in zip(trace.customdata, trace.y, strict=True)
    }
    assert bars == {"conv1": 10, "block.conv2": 30, "fc": 60}
    assert figure.layout.yaxis.ticksuffix == " %"
    assert figure.layout.xaxis.title.text


def test_colours_follow_the_background(frame):
    colours = [costs.cost_bars(frame, "macs", dark).data[0].marker.color for dark in (0, 1)]
    assert colours[0] != colours[1]


def test_the_sentence_names_the_layers_that_make_half(frame):
    assert costs.cost_sentence(frame, "params") == "fc alone holds 60 % of the parameters"
    assert costs.cost_sentence(frame, "macs") == "conv1 alone holds 90 % of the multiplications"
    frame["path"] = ["conv1", "relu", "conv2", "fc"]
    frame["params_share"] = [0.26, 0, 0.25, 0.24]
    assert costs.cost_sentence(frame, "params") == "2 of 3 layers hold 51 % of the parameters"


def test_the_sentence_names_the_stage_that_holds_most(frame):
    frame["path"] = ["stem.conv", "stem.relu", "block.conv", "block.fc"]
    frame["params_share"] = [0.3, 0, 0.3, 0.4]
    assert costs.cost_sentence(frame, "params") == "block holds 70 % of the parameters"


def test_unknown_macs_and_empty_networks(frame):
    frame["macs"] = frame["macs"].mask(frame["path"] == "fc")
    frame["macs_share"] = frame["macs"].astype("Float64") / 9900
    assert [bars.name for bars in costs.cost_bars(frame, "macs").data] == ["Convolution"]
    frame[["params", "params_share"]] = 0
    assert costs.cost_sentence(frame, "params") == "No layer has parameters"


def test_labels_keep_clear_of_one_another(frame):
    many = pd.concat([frame] * 12, ignore_index=True)
    many["path"] = [f"inception{i // 4}.conv{i}" for i in range(len(many))]
    axis = costs.cost_bars(many, "macs").layout.xaxis
    assert 1 < len(axis.ticktext) < 12
    assert axis.ticktext[0] == "inception0"
    assert min(b - a for a, b in zip(axis.tickvals, axis.tickvals[1:], strict=False)) >= 9
