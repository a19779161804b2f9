import pytest

from cnnviz.charts import labels

SIZE = (300.0, 300.0)


def place(points, names):
    """The places of names on one plot, whose points are in pixels here."""
    return labels.place([(x / SIZE[0], y / SIZE[1]) for x, y in points], names, [SIZE])


def boxes(points, names):
    places = place(points, names)
    return [labels._box(*each) for each in zip(places, points, names, strict=True)]


def test_a_name_stands_toward_the_middle():
    points = [(40.0, 100.0), (250.0, 200.0)]
    assert place(points, ["LeNet-5", "VGG-11"]) == ["middle right", "middle left"]


def test_no_point_no_name():
    assert place([], []) == []


def test_a_name_stands_where_it_is_free_on_every_screen():
    points = [(0.5, 0.5), (0.62, 0.5)]  # on a phone the second mark is where the name would end
    assert labels.place(points[:1], ["ResNet-20"], [(900, 300)]) == ["middle right"]
    assert labels.place(points, ["ResNet-20", "x"], [(900, 300)])[0] == "middle right"
    on_both = labels.place(points, ["ResNet-20", "x"], [(900, 300), (280, 300)])
    assert on_both[0] == "middle left"


@pytest.mark.parametrize(
    "points",
    [
        [(200.0, 100.0), (190.0, 104.0)],  # two networks of nearly one accuracy and cost
        [(100.0, 100.0), (130.0, 100.0)],  # one where the other's name would stand
        [(280.0, 50.0 + 20 * i) for i in range(4)],
        [(150.0, 100.0), (150.0, 150.0), (150.0, 125.0)],
    ],
)
def test_names_cover_neither_each_other_nor_a_mark_nor_the_edge(points):
    placed = boxes(points, ["AlexNet, width 0.5"] * len(points))
    for index, box in enumerate(placed):
        assert box.left >= 0
        assert box.right <= SIZE[0]
        assert all(box.shared_with(other) == 0 for other in placed[index + 1 :])
        for other, (x, y) in enumerate(points):
            mark = labels._Box(x - 8, y - 8, x + 8, y + 8)
            assert other == index or box.shared_with(mark) == 0


def test_a_crowd_covers_as_little_as_it_can():
    """More names than there is room for: each still has a place, and most are free."""
    points = [(100.0 + 10 * (i % 3), 100.0 + 9 * i) for i in range(10)]
    placed = boxes(points, [f"network {i}" for i in range(10)])
    covered = sum(
        box.shared_with(other) > 0
        for index, box in enumerate(placed)
        for other in placed[index + 1 :]
    )
    assert covered <= 4
