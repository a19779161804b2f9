import numpy as np
import pytest

from cnnviz.charts import evaluation

CLASSES = ["cat", "deer", "dog"]
CONFUSION = [[800, 57, 143], [20, 970, 10], [130, 5, 865]]


def part(count, confidence=None, accuracy=None):
    return {"count": count, "confidence": confidence, "accuracy": accuracy}


def test_the_sentence_names_the_most_frequent_confusion():
    assert evaluation.confusion_sentence(CONFUSION, CLASSES) == (
        "“cat” is taken for “dog” most often: in 14.3 % of its 1,000 images"
    )
    # By rate: more images of the large class are mistaken, and yet a smaller share of them.
    uneven = [[950, 50], [10, 40]]
    assert evaluation.confusion_sentence(uneven, ["many", "few"]) == (
        "“few” is taken for “many” most often: in 20.0 % of its 50 images"
    )
    tied = [[8, 2, 0], [0, 10, 0], [0, 2, 8]]
    assert evaluation.confusion_sentence(tied, CLASSES) == (
        "2 pairs of classes are mixed up equally often, in 20.0 % of the images"
    )
    perfect = [[4, 0, 0], [0, 5, 0], [0, 0, 6]]
    assert evaluation.confusion_sentence(perfect, CLASSES) == (
        "Not one of the 15 test images is taken for something else"
    )


def test_the_heatmap_has_true_classes_as_rows_from_the_top():
    figure = evaluation.confusion_heatmap(CONFUSION, CLASSES, dark=False)
    (heat,) = figure.data
    assert np.allclose(heat.z, np.array(CONFUSION) / 1000)
    assert list(heat.x) == list(heat.y) == CLASSES
    assert figure.layout.yaxis.autorange == "reversed"
    assert heat.text[0][2] == "<b>143</b> of 1,000 “cat” are taken for “dog”<br>14.3 %"
    assert heat.text[1][1] == "<b>970</b> of 1,000 “deer” are right<br>97.0 %"
    written = {(a.y, a.x): a.text for a in figure.layout.annotations}
    assert written["cat", "dog"] == "143"
    assert len(written) == 9


def test_zeros_are_not_written_and_many_classes_have_no_numbers():
    figure = evaluation.confusion_heatmap([[3, 0], [1, 2]], ["0", "1"], dark=True)
    assert {(a.y, a.x) for a in figure.layout.annotations} == {
        ("0", "0"),
        ("1", "0"),
        ("1", "1"),
    }
    assert figure.layout.xaxis.type == "category"  # digits are names
    names = [str(i) for i in range(20)]
    many = evaluation.confusion_heatmap(np.eye(20, dtype=int).tolist(), names, dark=True)
    assert not many.layout.annotations


def test_a_class_without_images_is_drawn_as_zero():
    figure = evaluation.confusion_heatmap([[0, 0], [1, 2]], ["a", "b"], dark=False)
    assert list(figure.data[0].z[0]) == [0, 0]


def luminance(colour):
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("percent", [0.1, 1, 5, 10, 20, 30, 40, 50, 60, 80, 100])
def test_a_number_can_be_read_on_its_cell(dark, percent):
    right = int(10 * percent)
    confusion = [[right, 1000 - right], [1000 - right, right]]
    figure = evaluation.confusion_heatmap(confusion, ["a", "b"], dark)
    scale = figure.data[0].colorscale
    stops = np.array([stop for stop, _ in scale])
    cell = scale[int(np.abs(stops - percent / 100).argmin())][1]
    (number,) = [a for a in figure.layout.annotations if (a.x, a.y) == ("a", "a")]
    levels = sorted([luminance(cell), luminance(number.font.color)])
    assert (levels[1] + 0.05) / (levels[0] + 0.05) >= 3.5


def test_reliability_says_whether_it_is_too_sure():
    sure = [part(0), part(500, 0.90, 0.82), part(500, 1.0, 1.0)]
    assert evaluation.reliability_sentence(sure, 0.04) == (
        "It is too sure of itself: 95.0 % sure on average, right 91.0 % of the time"
    )
    modest = [part(10, 0.5, 0.9)]
    assert evaluation.reliability_sentence(modest, 0.4) == (
        "It is better than it thinks: 50 % sure on average, right 90 % of the time"
    )
    exact = [part(10, 0.8, 0.8), part(10, 0.9, 0.905)]
    assert evaluation.reliability_sentence(exact, 0.0025).startswith("Its confidence can be taken")
    both = [part(10, 0.6, 0.8), part(10, 0.9, 0.7)]
    assert evaluation.reliability_sentence(both, 0.2).startswith("Too sure here, not sure enough")
    assert evaluation.reliability_sentence([part(0)], 0.0) == "There are no test images"


def test_the_diagram_holds_the_bins_that_have_images():
    bins = [part(0), part(100, 0.4, 0.3), part(900, 0.95, 0.9)]
    figure = evaluation.reliability_diagram(bins, dark=False)
    marks = figure.data[2]
    assert (list(marks.x), list(marks.y)) == ([0.4, 0.95], [0.3, 0.9])
    assert list(marks.customdata) == ["100 of 1,000 images", "900 of 1,000 images"]
    sizes = [size - 8 for size in marks.marker.size]
    assert sizes[1] / sizes[0] == pytest.approx(3)  # areas by number of images
    gaps = figure.data[1]
    assert list(gaps.x) == [0.4, 0.4, None, 0.95, 0.95, None]
    assert list(gaps.y) == [0.4, 0.3, None, 0.95, 0.9, None]
    assert figure.layout.xaxis.title.text == "confidence"
