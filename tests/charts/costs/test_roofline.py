import math

import pandas as pd
import pytest

from cnnviz.charts.costs import roofline

FLOPS, BANDWIDTH = 100e9, 10e9


@pytest.fixture
def frame():
    rows = [
        # path, op, role, seconds, intensity, achieved
        ("conv1", "conv2d", "conv", 0.002, 40.0, 60e9),
        ("relu", "relu", "activation", 0.001, 0.1, 0.5e9),
        ("conv2", "conv2d", "conv", 0.004, 5.0, 30e9),
        ("flatten", "flatten", "reshape", 0.0005, None, None),
        ("fc", "linear", "linear", 0.0025, 0.5, 4e9),
    ]
    columns = ["path", "op", "role", "seconds", "intensity", "achieved"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["share"] = frame["seconds"] / frame["seconds"].sum()
    frame["roof"] = (frame["intensity"] * BANDWIDTH).clip(upper=FLOPS)
    frame["limit"] = ["arithmetic", "memory", "memory", "", "memory"]
    return frame


def test_points_stand_where_they_were_measured(frame):
    figure = roofline.roofline(frame, FLOPS, BANDWIDTH)
    points = {
        data[0]: (x, y)
        for trace in figure.data[1:]
        for data, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert points == {
        "conv1": (40.0, 60e9),
        "relu": (0.1, 0.5e9),
        "conv2": (5.0, 30e9),
        "fc": (0.5, 4e9),
    }
    assert {trace.name for trace in figure.data[1:]} == {
        "Convolution",
        "Fully connected",
        "Everything else",
    }
    assert len({trace.marker.symbol for trace in figure.data[1:]}) == 3


def test_the_roof_breaks_at_the_ridge(frame):
    roof = roofline.roofline(frame, FLOPS, BANDWIDTH).data[0]
    assert roof.x[1] == 10
    assert roof.y[0] == pytest.approx(roof.x[0] * BANDWIDTH)
    assert roof.y[1] == roof.y[2] == FLOPS


def test_axes_are_logarithmic_and_hold_all_points(frame):
    layout = roofline.roofline(frame, FLOPS, BANDWIDTH).layout
    assert layout.xaxis.type == layout.yaxis.type == "log"
    assert layout.xaxis.range[0] < math.log10(0.1) < math.log10(40) < layout.xaxis.range[1]
    assert layout.yaxis.range[0] < math.log10(0.5e9) < math.log10(FLOPS) < layout.yaxis.range[1]
    assert "byte" in layout.xaxis.title.text
    assert "FLOP/s" in layout.yaxis.title.text


def test_a_network_without_arithmetic_has_a_roof_alone(frame):
    figure = roofline.roofline(frame[frame["path"] == "flatten"], FLOPS, BANDWIDTH)
    assert len(figure.data) == 1


def test_the_sentence(frame):
    sentence = roofline.speed_sentence(frame)
    assert sentence == (
        "2 of 5 operators take 65 % of the 10 ms; of 2 convolution operators, 1 is limited by "
        "arithmetic and 1 by memory"
    )
    frame["limit"] = "arithmetic"
    sentence = roofline.speed_sentence(frame)
    assert sentence.endswith("; arithmetic limits all 2 convolution operators")
    frame["limit"] = "memory"
    assert roofline.speed_sentence(frame).endswith("memory limits all 2 convolution operators")
    one = frame[frame["path"] != "conv2"]
    assert roofline.speed_sentence(one).endswith("; memory limits its convolution")
    # What starting an operator takes is no limit of memory or arithmetic.
    frame["achieved"] = [60e9, 0.5e9, 1e9, None, 4e9]
    sentence = roofline.speed_sentence(frame)
    assert sentence.endswith("operators, 1 is limited by memory and 1 by neither")
    assert roofline.limits_of(frame).tolist() == ["memory", "memory", "neither", "memory", "memory"]
    frame["achieved"] /= 10
    assert roofline.speed_sentence(frame).endswith(
        "; all 2 convolution operators stay far below the roof"
    )
    frame["share"] = [0.1, 0.1, 0.6, 0.1, 0.1]
    assert roofline.speed_sentence(frame).startswith("conv2 alone takes 60 % of the 10 ms")
    assert roofline.speed_sentence(frame[frame["role"] != "conv"]) == (
        "2 of 3 operators take 67 % of the 4 ms"
    )


def test_the_slowest_come_first(frame):
    assert roofline.slowest(frame, 2)["path"].tolist() == ["conv2", "fc"]
