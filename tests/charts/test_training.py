import numpy as np
import pytest

from cnnviz.charts import training
from cnnviz.charts.style import MUTED

EPOCHS = [
    {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.25, "val_loss": 1.9, "val_accuracy": 0.3},
    {"epoch": 2, "train_loss": 1.5, "train_accuracy": 0.5, "val_loss": 1.6, "val_accuracy": 0.45},
]
STEPS = [{"epoch": 0.5 * i, "loss": 3.0 - 0.5 * i} for i in range(1, 5)]


def traces(figure):
    return {t.name: (list(t.x), list(t.y)) for t in figure.data}


def test_the_loss_curve_holds_batches_and_epochs():
    figure = training.loss_curve(STEPS, EPOCHS, total=5, dark=False)
    assert traces(figure) == {
        "single batches": ([0.5, 1.0, 1.5, 2.0], [2.5, 2.0, 1.5, 1.0]),
        "training": ([1, 2], [2.0, 1.5]),
        "held out": ([1, 2], [1.9, 1.6]),
    }
    assert figure.layout.xaxis.range == (0, 5)
    assert figure.layout.xaxis.title.text == "epoch"
    assert "nats" in figure.layout.yaxis.title.text


def test_the_accuracy_curve_holds_fractions_shown_as_per_cent():
    figure = training.accuracy_curve(EPOCHS, total=2, dark=True)
    assert traces(figure) == {"training": ([1, 2], [0.25, 0.5]), "held out": ([1, 2], [0.3, 0.45])}
    assert figure.layout.yaxis.tickformat == ".0%"


def test_without_held_out_images_there_is_no_such_line():
    alone = [{k: v for k, v in r.items() if not k.startswith("val")} for r in EPOCHS]
    nothing = [{**r, "val_loss": None, "val_accuracy": None} for r in EPOCHS]
    for epochs in (alone, nothing):
        assert set(traces(training.accuracy_curve(epochs, 2, False))) == {"training"}
        assert set(traces(training.loss_curve([], epochs, 2, False))) == {
            "single batches",
            "training",
        }


def test_before_the_first_report_the_axes_are_there():
    assert list(training.accuracy_curve([], 3, False).data) == []
    figure = training.loss_curve([], [], 3, False)
    assert traces(figure) == {"single batches": ([], [])}
    assert figure.layout.xaxis.range == (0, 3)


def test_held_out_is_told_by_more_than_colour():
    lines = {t.name: t for t in training.accuracy_curve(EPOCHS, 2, False).data}
    assert lines["training"].line.dash != lines["held out"].line.dash
    assert lines["training"].marker.symbol != lines["held out"].marker.symbol


def test_colours_follow_the_background():
    light, dark = (training.loss_curve(STEPS, EPOCHS, 2, d).data for d in (False, True))
    assert all(a.line.color != b.line.color for a, b in zip(light, dark, strict=True))


@pytest.mark.parametrize("count", [1, 399, 400, 401, 799, 1201, 20_000])
def test_many_batches_are_averaged_and_nothing_is_lost(count):
    values = np.random.default_rng(count).uniform(0, 5, count)
    steps = [{"epoch": (i + 1) / 100, "loss": float(v)} for i, v in enumerate(values)]
    (batches, *_) = training.loss_curve(steps, [], 1000, False).data
    assert len(batches.x) <= training.MOST_POINTS
    assert batches.x[-1] == steps[-1]["epoch"]
    size = -(-count // training.MOST_POINTS)
    sizes = [min(size, count - start) for start in range(0, count, size)]
    assert np.average(batches.y, weights=sizes) == pytest.approx(values.mean())
    assert batches.y[0] == pytest.approx(values[:size].mean())


def test_a_long_run_has_lines_without_marks():
    long = [{"epoch": i, "train_accuracy": 0.5} for i in range(1, 62)]
    assert training.accuracy_curve(long, 61, False).data[0].mode == "lines"
    assert training.accuracy_curve(long[:60], 61, False).data[0].mode == "lines+markers"


def test_the_sentences_say_where_it_stands():
    assert training.sentence(EPOCHS) == (
        "45.0 % of held-out images right after epoch 2",
        "Held-out loss 1.600 after epoch 2",
    )
    alone = [{"epoch": 7, "train_loss": 0.1234, "train_accuracy": 0.98765}]
    assert training.sentence(alone) == (
        "98.8 % of training images right after epoch 7",
        "Training loss 0.123 after epoch 7",
    )
    assert "first epoch" in training.sentence([])[0]


# Several runs


def run(name, family="resnet", epochs=EPOCHS, total=5):
    return training.Line(name, family, epochs, total)


WITHOUT_HELD = [{"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.9}]


def test_several_runs_are_compared_on_held_out_images_where_all_have_them():
    lines = [run("a"), run("b", total=9)]
    assert traces(training.several_accuracies(lines, False)) == {
        "a": ([1, 2], [0.3, 0.45]),
        "b": ([1, 2], [0.3, 0.45]),
    }
    figure = training.several_losses(lines, False)
    assert traces(figure)["b"] == ([1, 2], [1.9, 1.6])
    assert figure.layout.xaxis.range == (0, 9)
    mixed = [run("a"), run("b", epochs=WITHOUT_HELD), run("c", epochs=[])]
    assert traces(training.several_accuracies(mixed, False)) == {
        "a": ([1, 2], [0.25, 0.5]),
        "b": ([1], [0.9]),
        "c": ([], []),
    }


def test_the_leader_is_named_in_the_titles():
    worse = [{**record, "val_accuracy": 0.1, "val_loss": 0.5} for record in EPOCHS]
    accuracy, loss = training.several_sentences([run("a"), run("b", epochs=worse)])
    assert accuracy == "a is ahead: 45.0\u00a0% of held-out images right"
    assert loss == "b has the lowest held-out loss: 0.500"
    accuracy, _ = training.several_sentences([run("a"), run("b", epochs=WITHOUT_HELD)])
    assert accuracy == "b is ahead: 90.0\u00a0% of training images right"
    assert "first epoch" in training.several_sentences([run("a", epochs=[])])[0]


def test_no_leader_is_named_where_there_is_none():
    level = [run("a"), run("b"), run("c", epochs=[])]
    accuracy, _ = training.several_sentences(level)
    assert accuracy == "2 of them are level: 45.0\u00a0% of held-out images right"
    accuracy, loss = training.several_sentences([run("a"), run("c", epochs=[])])
    assert accuracy.startswith("a is the first: ")
    assert loss.startswith("a has the first held-out loss: ")


def test_runs_have_their_familys_colour_or_where_that_is_one_colours_of_their_own():
    assert training.line_styles(["resnet", "nosuch"]) == [
        ("family-resnet", ""),
        ("family-nosuch", ""),
    ]
    assert len(set(training.line_styles(["resnet", "vgg"] * 8))) == 16
    lines = [run(str(i)) for i in range(9)]
    drawn = [trace.line for trace in training.several_accuracies(lines, True).data]
    assert len({line.color for line in drawn}) == 8
    assert [line.dash for line in drawn] == ["solid"] * 8 + ["8px,4px"]
    unknown = training.several_accuracies([training.Line("x", "nosuch", [], 3)], False).data[0]
    assert unknown.line.color == MUTED.light


# Classes


def test_classes_are_ordered_by_how_often_they_are_right():
    per_class = {"cat": 0.5, "dog": 0.75, "1": 0.25}
    (bars,) = training.class_bars(per_class, False).data
    assert (list(bars.y), list(bars.x)) == (["1", "cat", "dog"], [0.25, 0.5, 0.75])
    assert list(bars.text) == ["25.0 %", "50.0 %", "75.0 %"]
    assert training.class_bars(per_class, True).layout.yaxis.type == "category"
    assert (
        training.class_sentence(per_class) == "“1” is hardest, 25.0 % right; “dog” easiest, 75.0 %"
    )
    several = training.class_sentence({"a": 1.0, "b": 0.5, "c": 1.0})
    assert several == "“b” is hardest, 50.0 % right; 2 others, 100.0 %"
    assert (
        training.class_sentence({"a": 1.0, "b": 1.0}) == "Every class is right 100.0 % of the time"
    )
