import math

import pandas as pd
import pytest

from cnnviz.charts import compare, style

COLUMNS = [
    "model",
    "title",
    "family",
    "family_title",
    "accuracy",
    "test_images",
    "params",
    "weight_bytes",
]


@pytest.fixture
def frame():
    rows = [
        ("r20", "ResNet-20", "resnet", "ResNet", 0.91, 10_000, 270_000, 560_000),
        ("r18", "ResNet-18", "resnet", "ResNet", 0.94, 10_000, 11_174_000, 22_400_000),
        ("l5", "LeNet-5", "lenet", "LeNet", 0.74, 10_000, 62_000, 125_000),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def points(figure):
    return {
        model[0]: (x, y)
        for trace in figure.data
        for model, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def test_every_model_is_a_point_and_every_family_a_trace(frame):
    figure = compare.accuracy_against(frame, "params", dark=False)
    assert points(figure) == {
        "r20": (270_000, 0.91),
        "r18": (11_174_000, 0.94),
        "l5": (62_000, 0.74),
    }
    assert [t.name for t in figure.data] == ["ResNet", "LeNet"]
    assert [list(t.text) for t in figure.data] == [["ResNet-20", "ResNet-18"], ["LeNet-5"]]
    assert figure.data[0].marker.symbol != figure.data[1].marker.symbol
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert low < math.log10(62_000) < math.log10(11_174_000) < high


def test_bytes_are_shown_as_megabytes(frame):
    figure = compare.accuracy_against(frame, "weight_bytes", dark=True)
    assert points(figure)["r20"] == (0.56, 0.91)
    assert "(MB)" in figure.layout.xaxis.title.text


@pytest.mark.parametrize("cost", compare.COSTS)
def test_every_cost_has_an_axis(frame, cost):
    figure = compare.accuracy_against(frame.assign(**{cost: [1.0, 2.0, 3.0]}), cost, dark=False)
    assert figure.layout.xaxis.title.text == compare.COSTS[cost][0]


def test_one_model_stands_inside_its_axes(frame):
    figure = compare.accuracy_against(frame[frame["model"] == "l5"], "params", dark=False)
    assert points(figure) == {"l5": (62_000, 0.74)}
    low, high = figure.layout.xaxis.range
    assert low < math.log10(62_000) < high
    low, high = figure.layout.yaxis.range
    assert low < 0.74 < high


def test_without_models_the_axes_are_empty(frame):
    figure = compare.accuracy_against(frame[:0], "params", dark=False)
    assert list(figure.data) == []
    assert compare.sentence(frame[:0]) == "No network to compare yet"


def test_a_family_without_a_colour_of_its_own_is_drawn(frame):
    other = frame.assign(family="mine", family_title="Mine")
    (trace,) = compare.accuracy_against(other, "params", dark=False).data
    assert trace.name == "Mine"
    assert trace.marker.symbol == "circle"


# The 95 % interval


@pytest.mark.parametrize("images", [1, 10, 360, 10_000])
@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.5, 0.937, 1.0])
def test_the_ends_are_1_96_deviations_from_what_was_measured(accuracy, images):
    """Wilson's interval is every p of which the measurement is at most 1.96 deviations away."""
    low, high = compare.interval(accuracy, images)
    assert -1e-12 <= low <= accuracy + 1e-12
    assert accuracy - 1e-12 <= high <= 1 + 1e-12
    for end in (low, high):
        deviation = math.sqrt(max(end * (1 - end), 0) / images)
        assert abs(accuracy - end) == pytest.approx(1.96 * deviation, abs=1e-7)
    assert high > low


def test_for_many_images_it_is_the_normal_interval():
    # 90 % of 10,000: 1.96 × 0.003
    assert compare.margin(0.9, 10_000) == pytest.approx(0.00588, rel=1e-3)
    assert compare.interval(0.9, 10_000) == pytest.approx((0.894, 0.906), abs=5e-4)


def test_without_images_nothing_is_known():
    assert compare.interval(0.5, 0) == (0, 1)


def test_the_bars_end_at_the_interval(frame):
    frame.loc[2, ["accuracy", "test_images"]] = [1.0, 360]
    trace = compare.accuracy_against(frame, "params", dark=False).data[1]
    low, high = compare.interval(1.0, 360)
    assert trace.y[0] + trace.error_y.array[0] == pytest.approx(high)
    assert trace.y[0] - trace.error_y.arrayminus[0] == pytest.approx(low)
    assert low == pytest.approx(360 / (360 + 1.96**2))  # Wilson's formula for p = 1


# Classes and sentences


def test_the_heatmap_holds_a_row_a_model_and_a_column_a_class():
    table = pd.DataFrame({"cat": [0.5, None], "dog": [0.25, 1.0]}, index=["A", "B"])
    (heatmap,) = compare.accuracy_by_class(table, dark=False).data
    assert list(heatmap.x) == ["cat", "dog"]
    assert list(heatmap.y) == ["A", "B"]
    assert heatmap.z[0].tolist() == [0.5, 0.25]
    assert (heatmap.zmin, heatmap.zmax) == (0.25, 1)
    figure = compare.accuracy_by_class(table, dark=False)
    written = {(note.y, note.x): note.text for note in figure.layout.annotations}
    assert written == {("A", "cat"): "50", ("A", "dog"): "25", ("B", "dog"): "100"}


@pytest.mark.parametrize("dark", [False, True])
def test_the_classes_colours_use_the_whole_scale_and_can_be_read(dark):
    table = pd.DataFrame([[0.52, 0.75, 0.98]], index=["A"], columns=["cat", "dog", "ship"])
    figure = compare.accuracy_by_class(table, dark)
    (heatmap,) = figure.data
    ends = [colour for _, colour in heatmap.colorscale]
    tones = [
        style.mixed((share - heatmap.zmin) / (heatmap.zmax - heatmap.zmin), *ends)
        for share in (0.52, 0.75, 0.98)
    ]
    assert style.contrast(tones[0], tones[2]) > 4  # 52 % and 98 % look nothing like each other
    for tone, note in zip(tones, figure.layout.annotations, strict=True):
        assert style.contrast(tone, note.font.color) >= 4.5


def test_of_classes_that_tie_none_is_the_hardest():
    table = pd.DataFrame({"cat": [0.5, 0.7], "dog": [0.7, 0.5], "ship": [0.9, 0.9]})
    assert compare.class_sentence(table) == "2 classes are equally hard: 60 % right on average"
    assert compare.class_sentence(table[:1]) == "Hardest of all classes: cat, 50 % right on average"
    same = pd.DataFrame({"cat": [1.0], "dog": [1.0]})
    assert compare.class_sentence(same) == "All classes are equally hard: 100 % right on average"


def test_the_sentence_names_the_best_and_the_smallest(frame):
    assert compare.sentence(frame) == (
        "ResNet-18 gets 94.0 % of the test images right; LeNet-5, 180 × fewer parameters, 74.0 %"
    )
    assert "LeNet-5, 4.4 × fewer parameters" in compare.sentence(frame[frame["model"] != "r18"])
    huge = frame.assign(params=[270_000, 350_000_000, 62_000])
    assert "5,645 × fewer parameters" in compare.sentence(huge)


def test_the_sentence_speaks_of_the_cost_that_is_shown(frame):
    costs = frame.assign(latency_ms=[2.0, 9.7, 1.0], macs=[40.6e6, 555e6, 0.65e6])
    said = {cost: compare.sentence(costs, cost).partition("; ")[2] for cost in compare.COSTS}
    assert said == {
        "params": "LeNet-5, 180 × fewer parameters, 74.0 %",
        "macs": "LeNet-5, 854 × fewer MACs, 74.0 %",
        "latency_ms": "LeNet-5, 9.7 × faster, 74.0 %",
        "weight_bytes": "LeNet-5, 179 × smaller on disk, 74.0 %",
    }


def test_of_networks_that_tie_none_is_the_best(frame):
    level = frame.assign(accuracy=[0.94, 0.94, 0.74])
    assert compare.sentence(level) == (
        "2 networks get 94.0 % of the test images right, more than any other"
    )


def test_one_model_or_equal_ones_are_not_compared_with_themselves(frame):
    alone = "LeNet-5 gets 74.0 % of the test images right"
    small = frame[frame["model"] == "l5"]
    assert compare.sentence(small) == alone
    twice = pd.concat([small.assign(model="run", accuracy=0.7), small])
    assert compare.sentence(twice) == alone


def test_a_label_stands_on_the_side_with_more_room(frame):
    figure = compare.accuracy_against(frame, "params", dark=False)
    sides = {
        model[0]: side
        for trace in figure.data
        for model, side in zip(trace.customdata, trace.textposition, strict=True)
    }
    # The axis runs from 10 thousand to 100 million: its middle is a million.
    assert sides == {"l5": "middle right", "r20": "middle right", "r18": "middle left"}


def test_seeds_are_drawn_as_mean_and_deviation(frame):
    seeds = frame.assign(seeds=[3, 1, 1], sd=[0.004, float("nan"), float("nan")])
    resnets, _ = compare.accuracy_against(seeds, "params", dark=False).data
    assert list(resnets.text) == ["ResNet-20, 3 seeds", "ResNet-18"]
    low, high = compare.interval(0.94, 10_000)
    assert list(resnets.error_y.array) == pytest.approx([0.004, high - 0.94])
    assert list(resnets.error_y.arrayminus) == pytest.approx([0.004, 0.94 - low])
    assert compare.sentence(seeds[:1]) == (
        "ResNet-20 gets 91.0 ± 0.4 % of the test images right (3 seeds, mean ± sd)"
    )


def test_the_frontier_leaves_out_what_a_cheaper_network_beats():
    costs = pd.Series([100.0, 10.0, 50.0, 10.0, 200.0])
    accuracies = pd.Series([0.9, 0.5, 0.95, 0.6, 0.97])
    assert compare.frontier(costs, accuracies) == [(10, 0.6), (50, 0.95), (200, 0.97)]
    assert compare.frontier(costs[:0], accuracies[:0]) == []


def test_the_frontier_is_drawn_as_stairs_to_the_edge(frame):
    figure = compare.accuracy_against(frame, "params", dark=False)
    best = compare.frontier(frame["params"], frame["accuracy"])
    assert len(best) == 3
    lines = [(s.x0, s.y0, s.x1, s.y1) for s in figure.layout.shapes]
    flat = [line for line in lines if line[1] == line[3]]
    assert [line[:2] for line in flat] == best
    assert [line[2] for line in flat[:-1]] == [cost for cost, _ in best[1:]]
    assert flat[-1][2] == pytest.approx(10 ** figure.layout.xaxis.range[1])
    steps = [line for line in lines if line[1] != line[3]]
    assert [(x, y) for x, _, _, y in steps] == best[1:]
    assert not compare.accuracy_against(frame[:1], "params", dark=False).layout.shapes


def test_the_axis_of_costs_has_ticks_that_are_round_numbers(frame):
    near = frame.assign(params=[60_000, 270_000, 1_200_000])
    axis = compare.accuracy_against(near, "params", dark=False).layout.xaxis
    assert list(axis.tickvals) == [5e4, 1e5, 2e5, 5e5, 1e6, 2e6]
    assert axis.tickformat == "~s"  # 50k
    far = frame.assign(params=[60_000, 270_000, 120_000_000])
    axis = compare.accuracy_against(far, "params", dark=False).layout.xaxis
    assert list(axis.tickvals) == [1e5, 1e6, 1e7, 1e8]
    axis = compare.accuracy_against(frame, "weight_bytes", dark=False).layout.xaxis
    assert axis.tickformat == "~g"  # megabytes: 0.2, not 200m
