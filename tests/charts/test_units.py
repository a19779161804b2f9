import numpy as np

from cnnviz.charts.units import (
    activation_histogram,
    class_bars,
    histogram_sentence,
    mix_sentence,
)


def test_the_histogram_leaves_zeros_out_and_its_sentence_says_how_many():
    values = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 4.0])
    figure = activation_histogram(values, np.array([4.0, 2.0]))
    assert sum(figure.data[0].y) == 3
    assert list(figure.data[1].x) == [4, 2]
    sentence = histogram_sentence(7, values)
    assert sentence == "50.0 % of 6 images leave unit 7 at zero; the strongest brings it to 4"


def test_what_is_below_zero_is_said_to_be():
    assert "at or below zero" in histogram_sentence(0, np.array([-1.0, 2.0]))
    assert histogram_sentence(3, np.array([1.0, 2.5])) == (
        "Every one of 2 images excites unit 3, the strongest to 2.5"
    )
    assert histogram_sentence(3, np.zeros(5)) == "None of 5 images brings unit 3 above zero"
    assert sum(activation_histogram(np.array([-3.0, -1.0]), np.array([-1.0])).data[0].y) == 2


def test_classes_are_counted_and_the_largest_is_on_top():
    shares, classes = [1 / 9, 0, 6 / 9, 2 / 9], ["cat", "dog", "ship", "truck"]
    (bars,) = class_bars(shares, classes, 9).data
    assert list(bars.y) == ["cat", "truck", "ship"]  # plotly draws from the bottom up
    assert list(bars.x) == [1, 2, 6]
    assert mix_sentence(shares, classes, 9) == "6 of its 9 strongest images are of the class “ship”"
    assert (
        mix_sentence([0.5, 0.5], ["a", "b"], 2)
        == "No two of its 2 strongest images are of one class"
    )


def test_both_themes_have_their_colours():
    drawn = [activation_histogram(np.array([1.0, 2.0]), np.array([2.0]), dark) for dark in (0, 1)]
    assert drawn[0].data[0].marker.color != drawn[1].data[0].marker.color


def test_of_classes_that_tie_all_are_named():
    said = mix_sentence([4 / 9, 4 / 9, 1 / 9], ["cat", "dog", "deer"], 9)
    assert said == "Of its 9 strongest images 4 each are of the classes “cat” and “dog”"
