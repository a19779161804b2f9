import re
from xml.etree import ElementTree

import pytest

from cnnviz.charts import live
from cnnviz.charts.training import Line

EPOCHS = [
    {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.25, "val_loss": 1.9, "val_accuracy": 0.3},
    {"epoch": 2, "train_loss": 1.5, "train_accuracy": 0.5, "val_loss": 1.6, "val_accuracy": 0.45},
]
STEPS = [{"epoch": 0.5 * i, "loss": 3.0 - 0.5 * i} for i in range(1, 5)]


def parsed(html):
    return ElementTree.fromstring(html)


def polylines(html):
    """The points of each line in shares of the chart: from the left, from the bottom."""
    found = []
    for line in parsed(html).iter("polyline"):
        pairs = [pair.split(",") for pair in line.get("points").split()]
        found.append([(float(x) / 1000, 1 - float(y) / 1000) for x, y in pairs])
    return found


def texts(html, kind):
    return [span.text for span in parsed(html).iter("span") if span.get("class") == kind]


def test_accuracies_stand_where_the_axes_say():
    html = live.accuracy_html(live.accuracies(EPOCHS), 4, "what is seen")
    training, held = polylines(html)
    assert sum(training, ()) == pytest.approx((0.25, 0.25, 0.5, 0.5))
    assert sum(held, ()) == pytest.approx((0.25, 0.3, 0.5, 0.45))
    assert texts(html, "y") == ["0%", "20%", "40%", "60%", "80%", "100%"]
    assert texts(html, "x") == ["0", "1", "2", "3", "4"]
    assert parsed(html).get("aria-label") == "what is seen"


def test_losses_reach_up_to_the_largest():
    html = live.loss_html(live.losses(STEPS, EPOCHS), 2, "")
    batches, training, held = polylines(html)
    assert [len(line) for line in (batches, training, held)] == [4, 2, 2]
    top = 2.5 * 1.03
    assert batches[0] == pytest.approx((0.25, 2.5 / top), abs=1e-4)
    assert held[-1] == pytest.approx((1.0, 1.6 / top), abs=1e-4)
    assert texts(html, "y") == ["0", "0.5", "1", "1.5", "2", "2.5"]
    places = [float(p) for p in re.findall(r'class="y" style="bottom:([\d.]+)%"', html)]
    assert places[2] == pytest.approx(100 / top, abs=0.01)


def test_each_line_ends_in_a_dot_where_it_has_got_to():
    html = live.accuracy_html(live.accuracies(EPOCHS[:1]), 4, "")
    ends = [path.get("d") for path in parsed(html).iter("path")]
    assert ends == ["M250.0 750.0h0", "M250.0 700.0h0"]


def test_before_the_first_report_the_axes_are_there():
    for html in (live.accuracy_html([], 3, ""), live.loss_html(live.losses([], []), 3, "")):
        assert polylines(html) == []
        assert texts(html, "x") == ["0", "1", "2", "3"]


def test_held_out_is_told_by_more_than_colour():
    training, held = live.accuracies(EPOCHS)
    assert (training.name, held.name) == ("training", "held out")
    assert training.dash != held.dash


def test_several_runs_of_a_family_have_colours_of_their_own():
    lines = [Line(f"run {i}", "resnet", EPOCHS, 9) for i in range(8)]
    series = live.several(lines, "accuracy")
    assert len({one.colour for one in series}) == 8
    assert {one.dash for one in series} == {""}
    assert live.several(lines[:1], "accuracy")[0].colour == "var(--family-resnet, var(--muted))"
    assert series[0].points == [(1, 0.3), (2, 0.45)]
    assert [one.name for one in live.several([*lines, Line("new", "vgg", [], 9)], "loss")] == [
        line.name for line in lines
    ]


def test_a_loss_that_is_no_number_is_left_out():
    steps = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": float("nan")}]
    (line,) = polylines(live.loss_html(live.losses(steps, []), 2, ""))
    assert len(line) == 1


def test_names_are_escaped():
    html = live.accuracy_html([live.Series("<b>", "red", "", [(1, 1)])], 2, '"><script>')
    assert "<b>" not in html
    assert "<script>" not in html


@pytest.mark.parametrize("top", [1e-9, 0.007, 0.99, 1.0, 1.04, 7, 30, 40, 3000, 9999])
def test_ticks_are_few_round_and_within(top):
    ticks = live._ticks(top)
    assert 4 <= len(ticks) <= 8
    assert ticks[0] == 0
    assert ticks[-1] <= top * (1 + 1e-9)
    step = f"{ticks[1]:e}"
    assert step.startswith(("1.000", "2.000", "5.000"))
