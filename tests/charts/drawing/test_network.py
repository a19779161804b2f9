import re
import time
from xml.etree import ElementTree

import pytest

from cnnviz.anatomy.graph import Graph
from cnnviz.charts.drawing import network
from cnnviz.charts.drawing.layered import Size, arrange
from cnnviz.charts.drawing.nested import HEADER, lay_out
from cnnviz.charts.drawing.network import Caption
from cnnviz.charts.style import TEXT
from cnnviz.networks.catalogue import inspect_variant
from cnnviz.ui.explore.drawing.picture import operator_words

SVG = "{http://www.w3.org/2000/svg}"


def plain(node):
    return Caption(node.name, node.kind, "1×2×3", "4 MACs", f"{node.id} in words", 0.03)


def graph_of(variant):
    return Graph(inspect_variant(variant, None, None, {}))


def drawn(graph, opened, **settings):
    return network.svg(lay_out(graph, opened), plain, "input", title="A network", **settings)


def overlap(a, b):
    return (
        a.x < b.x + b.width
        and b.x < a.x + a.width
        and a.y < b.y + b.height
        and b.y < a.y + a.height
    )


def holds(frame, box):
    return (
        frame.x <= box.x
        and frame.y + HEADER <= box.y
        and box.x + box.width <= frame.x + frame.width
        and box.y + box.height <= frame.y + frame.height
    )


@pytest.mark.parametrize("variant", ["lenet5", "alexnet_2012", "googlenet", "resnet50"])
@pytest.mark.parametrize("level", ["stages", "blocks", "operators"])
def test_boxes_do_not_overlap_and_frames_hold_what_they_unfold(variant, level):
    graph = graph_of(variant)
    opened = getattr(graph, level)()
    drawing = lay_out(graph, opened)
    boxes = [box for box in drawing.boxes if not box.framed]
    frames = {box.node.id: box for box in drawing.boxes if box.framed}
    assert {box.node.id for box in boxes} == {node.id for node in graph.visible(opened)}
    for index, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[index + 1 :])
        around = set(graph.ancestors(box.node.id)) & set(frames)
        assert all(holds(frames[name], box) for name in around)
        assert not any(overlap(box, frame) for name, frame in frames.items() if name not in around)
        assert 0 <= box.x <= box.x + box.width <= drawing.width
        assert 0 <= box.y <= box.y + box.height <= drawing.height


def test_edges_go_down_and_touch_the_boxes_they_join():
    graph = graph_of("googlenet")
    drawing = lay_out(graph, {"inception3a"})
    boxes = {box.node.id: box for box in drawing.boxes}
    cat = boxes["inception3a.cat"]
    top = (cat.x + cat.width / 2, cat.y)
    arriving = [edge for edge in drawing.edges if edge.route[-1] == pytest.approx(top)]
    assert len(arriving) == 4
    starts = {round(edge.route[0][0]) for edge in arriving}
    branches = [boxes[f"inception3a.branch{n}"] for n in (1, 2, 3, 4)]
    assert starts == {round(box.x + box.width / 2) for box in branches}
    for edge in drawing.edges:
        heights = [y for _, y in edge.route]
        assert heights == sorted(heights)


def test_a_shortcut_passes_beside_the_chain_it_skips():
    graph = graph_of("resnet20_cifar")
    drawing = lay_out(graph, graph.operators())
    boxes = {box.node.id: box for box in drawing.boxes}
    chain = [boxes[f"layer1.1.{name}"] for name in ("conv1", "bn1", "relu1", "conv2", "bn2")]
    assert len({box.x for box in chain}) == 1
    add = boxes["layer1.1.add"]
    ends = (add.x + add.width / 2, add.y)
    long = max(
        (edge for edge in drawing.edges if edge.route[-1] == pytest.approx(ends)),
        key=lambda edge: len(edge.route),
    )
    lane = {x for x, y in long.route if chain[0].y <= y <= chain[-1].y + chain[-1].height}
    assert len(lane) == 1
    assert lane.pop() > chain[0].x + chain[0].width


def test_a_layout_without_edges_or_nodes():
    assert arrange({}, []).height == 0
    two = arrange({"a": Size(10, 5, 5), "b": Size(10, 5, 5)}, [])
    assert abs(two.corners["a"][0] - two.corners["b"][0]) >= 10


@pytest.mark.parametrize("dark", [None, True, False])
@pytest.mark.parametrize("colour_by", ["kind", "share"])
def test_the_picture_is_xml_with_a_title_and_text_for_each_node(dark, colour_by):
    graph = graph_of("googlenet")
    opened = graph.blocks()
    tree = ElementTree.fromstring(drawn(graph, opened, dark=dark, colour_by=colour_by))
    groups = [
        g for g in tree.iter(f"{SVG}g") if {"node", "frame"} & set(g.get("class", "").split())
    ]
    shown = {node.id for node in graph.visible(opened)} | opened
    assert {g.find(f"{SVG}title").text for g in groups} == {f"{name} in words" for name in shown}
    assert all(g.find(f"{SVG}text").text for g in groups)
    assert tree.get("aria-label") == tree.find(f"{SVG}title").text == "A network"


def test_in_the_page_nodes_are_buttons_and_in_a_file_they_are_not():
    graph = graph_of("resnet20_cifar")
    page = ElementTree.fromstring(drawn(graph, graph.blocks(), chosen="fc"))
    buttons = [g for g in page.iter(f"{SVG}g") if g.get("role") == "button"]
    assert {b.get("data-node") for b in buttons if b.get("tabindex") == "0"} == {"fc"}
    folds = {b.get("data-node"): b.get("aria-expanded") for b in buttons}
    assert (folds["stem"], folds["layer1"], folds["fc"]) == ("false", "true", None)
    file = drawn(graph, graph.blocks(), chosen="fc", dark=True)
    assert "button" not in file
    assert "light-dark" not in file
    assert "Convolution" in file  # its legend goes along


def test_words_are_escaped():
    graph = graph_of("lenet5_cifar")
    evil = "<script>&\"'"

    def caption(node):
        return Caption(evil, evil, evil, evil, evil)

    for dark in (None, False):
        text = network.svg(lay_out(graph, set()), caption, evil, title=evil, dark=dark)
        assert "<script" not in text
        assert ElementTree.fromstring(text).get("aria-label") == evil


@pytest.mark.parametrize(
    ("detail", "shown"),
    [("13 operators of the network", ""), ("TableConvolution of the network", "TableConvol")],
)
def test_a_number_of_operators_is_whole_or_not_there(detail, shown):
    def words(node):
        return Caption(node.name, detail, "1×2×3", "4 MACs", "")

    graph = graph_of("zfnet_cifar")
    picture = network.svg(lay_out(graph, {"features"}), words, "input", title="A network")
    (aside,) = re.findall(r'class="aside"[^>]*>([^<]*)<', picture) or [""]
    assert aside[: len("TableConvol")] == shown


@pytest.mark.parametrize("variant", ["lenet5", "alexnet_2012", "googlenet", "resnet50"])
def test_what_an_operator_is_can_be_read_in_a_file(variant):
    """A file has no words on hover, and may be shown in wide letters."""
    graph = graph_of(variant)

    def words(node):
        layer = None if node.children else graph.trace.layers[node.start]
        says = operator_words(layer) if layer else ""
        return Caption(node.name.split("#")[0], says, "1×2×3", "4 MACs", "")

    drawing = lay_out(graph, graph.operators())
    picture = network.svg(drawing, words, "input", title="A network", dark=False)
    assert "max pool 3×3 / 2" in picture or variant == "lenet5"
    assert "…" not in "".join(re.findall(r'<text class="end"[^>]*>([^<]*)<', picture))


def test_what_joins_three_branches_stands_in_the_middle():
    graph = graph_of("lenet5")
    boxes = {box.node.id: box for box in lay_out(graph, {"c3"}).boxes}
    assert boxes["c3.cat"].x == pytest.approx(boxes["c3.reads_four"].x)


def test_the_chosen_node_is_marked_once():
    graph = graph_of("lenet5_cifar")
    assert drawn(graph, set(), chosen="c3").count("node k-conv chosen") == 1
    assert 'chosen"' not in drawn(graph, set(), chosen="no such")


def test_shares_fall_into_growing_classes():
    shares = [0.0, 0.004, 0.03, 0.07, 0.15, 0.6, 1.0]
    classes = [network.share_class(share) for share in shares]
    assert classes == [0, 1, 2, 3, 3, 4, 4]


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_on_every_share():
    # WCAG 2.2, 1.4.3
    for index in range(len(network.SHARES)):
        for text, fill in zip(TEXT, network.share_colour(index), strict=True):
            dim, bright = sorted((_luminance(text), _luminance(fill)))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5


@pytest.mark.parametrize("variant", ["convnext_large", "resnet152"])
def test_the_largest_network_is_drawn_within_the_budget(variant):
    trace = inspect_variant(variant, None, None, {})
    took = []
    for _ in range(3):
        start = time.process_time()  # of its own: the machine may be busy
        graph = Graph(trace)
        drawn(graph, graph.operators())
        took.append(time.process_time() - start)
    assert min(took) < 0.2
