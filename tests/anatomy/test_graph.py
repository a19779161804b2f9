import pytest
import torch
from torch import nn

from cnnviz.anatomy import trace
from cnnviz.anatomy.graph import INPUT, OUTPUT, Graph
from cnnviz.networks.catalogue import inspect_variant
from tests.anatomy.nets import Branches, LayerScale, Shared

NOTHING: frozenset[str] = frozenset()


def graph_of(variant):
    return Graph(inspect_variant(variant, None, None, {}))


def ids(nodes):
    return [node.id for node in nodes]


def test_lenet_is_a_chain_of_its_layers():
    graph = graph_of("lenet5_cifar")
    names = ["c1", "relu1", "s2", "c3", "relu3", "s4", "c5", "relu5", "flatten", "f6", "relu6"]
    names += ["output"]
    assert ids(graph.visible(NOTHING)) == names
    assert graph.edges(NOTHING) == list(zip([INPUT, *names], names, strict=False))


def test_a_squashing_written_as_three_operators_is_one_node():
    graph = graph_of("lenet5")
    shown = graph.visible(NOTHING)
    assert [node.name for node in shown[:4]] == ["c1", "mul · tanh · mul", "s2", "mul · tanh · mul"]
    assert shown[1].kind == "activation"
    opened = graph.visible({shown[1].id})
    assert ids(opened[1:4]) == ["mul", "tanh", "mul#2"]


def test_the_published_c3_reads_three_groups_of_maps_and_joins_them():
    graph = graph_of("lenet5")
    edges = set(graph.edges({"c3"}))
    parts = ["c3.reads_three", "c3.reads_four", "c3.reads_all"]
    assert {source for source, target in edges if target == "c3.cat"} == set(parts)


def test_a_resnet_block_keeps_its_shortcut():
    graph = graph_of("resnet20_cifar")
    shown = {node.id: node for node in graph.visible({"layer1", "layer2"})}
    assert shown["layer1.0 – layer1.2"].repeats == 3
    assert shown["layer2.1 – layer2.2"].repeats == 2
    block = graph.nodes["layer2.0"]
    edges = graph.inner_edges(block)
    assert (INPUT, "layer2.0.conv1") in edges
    assert (INPUT, "layer2.0.shortcut") in edges
    assert ("layer2.0.bn2", "layer2.0.add") in edges
    assert ("layer2.0.shortcut", "layer2.0.add") in edges
    assert ("layer2.0.relu2", OUTPUT) in edges
    plain = graph.inner_edges(graph.nodes["layer1.1"])
    assert (INPUT, "layer1.1.add") in plain


def test_an_identity_shortcut_ends_at_the_node_before_the_block():
    graph = graph_of("resnet20_cifar")
    opened = {"layer1", "layer1.0 – layer1.2", "layer1.1"}
    edges = graph.edges(opened)
    assert ("layer1.0", "layer1.1.conv1") in edges
    assert ("layer1.0", "layer1.1.add") in edges


def test_the_four_branches_of_an_inception_join_in_one_concatenation():
    graph = graph_of("googlenet")
    branches = [f"inception3a.branch{n}" for n in (1, 2, 3, 4)]
    edges = graph.edges({"inception3a"})
    assert [target for source, target in edges if source == "maxpool2"] == branches
    assert [source for source, target in edges if target == "inception3a.cat"] == branches
    assert ("inception3a.cat", "inception3b") in edges


@pytest.mark.parametrize(
    ("variant", "repeats"),
    [  # He et al. 2015, Table 1; Liu et al. 2022, section 2.2: the first of a ResNet stage differs
        ("resnet50", [2, 3, 5, 2]),
        ("resnet152", [2, 7, 35, 2]),
        ("convnext_tiny", [3, 3, 9, 3]),
        ("convnext_large", [3, 3, 27, 3]),
        ("mobilenet_v1", [5]),
    ],
)
def test_equal_blocks_in_a_row_are_one_node(variant, repeats):
    nodes = graph_of(variant).nodes.values()
    assert [node.repeats for node in nodes if node.repeats > 1] == repeats


def test_blocks_of_other_widths_are_not_equal():
    def block(wide, narrow):
        return nn.Sequential(nn.Conv2d(wide, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, wide, 1))

    blocks = nn.Sequential(*(block(4, narrow) for narrow in (8, 8, 6, 8)))
    graph = Graph(trace(nn.Sequential(blocks, nn.Flatten()), (4, 8, 8)))
    assert [node.repeats for node in graph.nodes[graph.root.id].children[0].children] == [2, 1, 1]


@pytest.mark.parametrize(
    "variant", ["lenet5", "alexnet_2012", "vgg16_bn", "googlenet", "resnet152", "convnext_large"]
)
def test_costs_add_up_and_edges_end_at_what_is_shown_however_it_is_folded(variant):
    graph = graph_of(variant)
    everything = graph.trace
    half = frozenset(sorted(graph.operators())[::2])
    for opened in (NOTHING, graph.stages(), graph.blocks(), half, graph.operators()):
        shown = graph.visible(opened)
        assert sum(node.params for node in shown) == everything.params
        assert sum(node.macs for node in shown) == everything.macs
        assert sum(node.operators for node in shown) == len(everything.layers)
        order = {name: place for place, name in enumerate([INPUT, *ids(shown)])}
        assert len(order) == len(shown) + 1  # ids are unique
        edges = graph.edges(opened)
        assert edges
        assert all(order[source] < order[target] for source, target in edges)
    paths = [layer.path for layer in everything.layers]
    whole = {(paths[a], paths[b]) for a, b in everything.edges if a >= 0}
    assert whole == {(source, target) for source, target in edges if source != INPUT}


@pytest.mark.parametrize(
    "variant",
    ["lenet5", "alexnet", "vgg19_bn", "googlenet", "resnet18", "resnet152", "convnext_large"],
)
def test_a_first_view_has_about_8_to_30_nodes(variant):
    graph = graph_of(variant)
    assert 8 <= len(graph.visible(graph.blocks())) <= 30
    assert 4 <= len(graph.visible(graph.stages())) <= len(graph.visible(graph.blocks()))
    assert len(graph.visible(graph.operators())) == len(graph.trace.layers)


def test_the_first_view_shows_one_block_with_branches():
    assert "inception3a" in graph_of("googlenet").blocks()
    assert "layer1.0" in graph_of("resnet50").blocks()


def test_a_flat_sequence_is_cut_behind_its_poolings():
    graph = graph_of("vgg16")
    stages = graph.nodes["features"].children
    assert [node.operators for node in stages] == [5, 5, 7, 7, 7]
    assert [node.name for node in stages] == [f"block {n}" for n in range(1, 6)]  # as in the charts
    assert all(stage.children[-1].kind == "pool" for stage in stages)
    assert len(graph_of("alexnet").visible(graph_of("alexnet").stages())) == 6  # three blocks


def test_what_follows_the_last_pooling_is_in_no_block():
    graph = graph_of("alexnet_2012")  # its layers stand side by side, its norms are groups
    names = [node.name for node in graph.visible(graph.stages())]
    assert names == ["block 1", "block 2", "block 3", "flatten", "classifier"]
    whole = {"conv1", "relu1", "norm1", "pool1"}
    assert {node.id for node in graph.root.children[0].children} == whole


@pytest.mark.parametrize("module", [Branches, LayerScale, Shared])
def test_a_module_called_again_makes_no_cycle(module):
    size = {Branches: (3, 16, 16), LayerScale: (3, 8, 8), Shared: (4, 8, 8)}[module]
    graph = Graph(trace(module(), size))
    for opened in (NOTHING, graph.operators()):
        order = {name: place for place, name in enumerate([INPUT, *ids(graph.visible(opened))])}
        assert all(order[source] < order[target] for source, target in graph.edges(opened))


def test_a_module_called_at_two_places_is_two_nodes():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1))
            self.between = nn.MaxPool2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.pair(self.between(self.pair(x)))

    graph = Graph(trace(Twice(), (2, 8, 8)))
    assert ids(graph.visible(NOTHING)) == ["pair", "between", "pair#2"]
    assert graph.ancestors(graph.nodes["pair#2"].children[0].id)[0] == "pair#2"
