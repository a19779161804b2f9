"""Two networks side by side: which layers are paired, and what is said to differ."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from cnnviz.anatomy import trace
from cnnviz.anatomy.compare_traces import compare_traces, describe_ratio, steps
from cnnviz.architectures import list_variants
from cnnviz.networks.catalogue import inspect_variant


def compared(left, right):
    return compare_traces(inspect_variant(left), inspect_variant(right))


def test_zfnet_reads_finer_than_alexnet():
    """Zeiler and Fergus 2014, section 4.1: 11 × 11 stride 4 became 7 × 7 stride 2.

    Their Figure 3 pools before it normalises: nothing is gone, nothing new.
    """
    pairs = compared("alexnet_2012", "zfnet")
    first = pairs[0]
    assert (first.left.path, first.right.path, first.state) == ("conv1", "conv1", "differs")
    assert first.differences[:2] == (("kernel", "11 × 11", "7 × 7"), ("stride", "4", "2"))
    assert first.left.words == "conv2d 11 × 11, stride 4, 96 filters"
    by_path = {pair.left.path: pair for pair in pairs if pair.left and pair.right}
    for number in range(1, 6):
        assert by_path[f"conv{number}"].right.path == f"conv{number}"
    assert by_path["conv3"].state == "same"
    assert by_path["conv4"].differences == (("groups", "2", "1"),)
    assert by_path["classifier.6"].state == "same"
    assert ("place", "after norm1", "before norm1") in by_path["pool1"].differences
    assert by_path["norm2"].differences == (("place", "before pool2", "after pool2"),)
    assert {pair.state for pair in pairs} == {"same", "differs"}


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "resnet50", "convnext_tiny"])
def test_a_network_is_its_own_equal(name):
    assert {pair.state for pair in compared(name, name)} == {"same"}


@pytest.mark.parametrize(
    ("left", "right"),
    [("vgg11", "vgg19_bn"), ("googlenet", "resnet18"), ("lenet5", "convnext_tiny")],
)
def test_every_layer_of_both_comes_once_and_in_order(left, right):
    pairs = compared(left, right)
    ours = [pair.left for pair in pairs if pair.left]
    theirs = [pair.right for pair in pairs if pair.right]
    assert ours == steps(inspect_variant(left))  # none of these has changed places
    assert theirs == steps(inspect_variant(right))
    assert all(pair.left.kind == pair.right.kind for pair in pairs if pair.left and pair.right)


def test_batch_normalisation_is_all_that_is_new():
    pairs = compared("vgg16", "vgg16_bn")
    assert {pair.state for pair in pairs} == {"same", "only right"}
    new = [pair.right.facts["operator"] for pair in pairs if pair.state == "only right"]
    assert new == ["batch_norm"] * 13


def test_stages_stand_beside_stages():
    """Each stage of VGG-16 is one of VGG-11's with more layers: the pools stay paired."""
    pools = [p for p in compared("vgg11", "vgg16") if p.left and p.left.kind == "pool"]
    assert len(pools) == 5  # torchvision's sixth leaves a map of 7 × 7 as it is
    assert all(p.right and p.left.output_shape == p.right.output_shape for p in pools)


def test_alexnet_has_lenets_layers_with_others_between():
    pairs = {
        pair.left.path: pair.right.path
        for pair in compared("lenet5", "alexnet_2012")
        if pair.left and pair.right
    }
    assert pairs["c1"] == "conv1"
    assert pairs["tanh"] == "relu1"
    assert pairs["s2"] == "pool1"
    assert pairs["c3"] == "conv2"  # one layer, though it is written as three convolutions
    assert pairs["s4"] == "pool2"


def test_convolutions_stand_for_their_like():
    """Stem for stem, over space for over space, 1 × 1 for a linear layer at every position."""
    pairs = compared("resnet50", "convnext_tiny")
    assert (pairs[0].left.path, pairs[0].right.path) == ("conv1", "features.0.0")
    both = [pair for pair in pairs if pair.left and pair.right and pair.left.kind == "conv"]
    sides = {
        tuple("1 × 1" if s.facts["kernel"] == "1 × 1" else "wider" for s in (p.left, p.right))
        for p in both
    }
    assert sides == {("1 × 1", "1 × 1"), ("wider", "wider")}
    depthwise = [pair.left for pair in pairs if pair.right and "groups" in pair.right.facts]
    assert len(depthwise) == 18  # ConvNeXt-T's blocks
    # ResNet-50 has a 3 × 3 in each of 16 blocks; three stand beside a down-sampling of 2 × 2.
    assert sum(layer is not None for layer in depthwise) == 15  # the third begins a stage
    assert all(layer.facts["kernel"] == "3 × 3" for layer in depthwise if layer)
    linear = next(p for p in both if p.right.path == "features.1.1.block.5")
    assert ("operator", "conv2d", "linear") in linear.differences
    assert ("filters", "256", "96") in linear.differences
    assert not any("downsample" in p.left.path for p in both)  # ConvNeXt projects no shortcut
    stages = [(p.left.path[:8], p.right.path[:12]) for p in both]
    assert ("layer3.0", "features.5.0") in stages
    assert {right for left, right in stages if left == "layer3.0"} == {"features.5.0"}


@pytest.mark.parametrize(
    ("left", "right", "path"),
    [
        ("resnet18", "mobilenet_v1", "layer2.0.downsample.0"),
        ("resnet18", "mobilenet_v1", "layer2.0.downsample.1"),  # the projection's own norm
        ("vgg16", "googlenet_2014", "classifier.1"),  # an activation of a vector
        ("googlenet_2014", "resnet50", "norm1"),  # a response normalisation joins no branches
    ],
)
def test_what_has_no_like_stays_alone(left, right, path):
    (pair,) = [p for p in compared(left, right) if p.left and p.left.path == path]
    assert pair.right is None


def test_projections_stand_for_projections():
    pairs = {p.left.path: p.right for p in compared("resnet18", "resnet34") if p.left}
    for stage in (2, 3, 4):
        path = f"layer{stage}.0.downsample.0"
        assert pairs[path].path == path


def test_a_stem_keeps_its_activation():
    for left, right in (("zfnet", "vgg16"), ("vgg16", "googlenet_2014")):
        first, second = compared(left, right)[:2]
        assert first.left.stem
        assert first.right.stem
        assert second.left.words == second.right.words == "relu"


def test_biases_and_the_channels_of_a_norm_are_told_apart():
    def net(channels, bias):
        return nn.Sequential(nn.Conv2d(3, channels, 1, bias=bias), nn.BatchNorm2d(channels))

    conv, norm = compare_traces(trace(net(4, True), (3, 6, 6)), trace(net(8, False), (3, 6, 6)))
    assert conv.differences == (("bias", "yes", "none"), ("filters", "4", "8"))
    assert norm.differences == (("channels", "4", "8"),)
    assert conv.right.words == "conv2d 1 × 1, 8 filters, no bias"
    assert norm.left.words == "batch_norm, 4 channels"
    last = next(s for s in steps(inspect_variant("convnext_tiny")) if s.path == "features.0.1")
    assert last.facts["channels"] == "96"  # normalised with the channels last


def test_neighbours_that_changed_places_are_pairs():
    class Net(nn.Module):
        def __init__(self, order):
            super().__init__()
            kinds = {"norm": nn.BatchNorm2d(4), "pool": nn.MaxPool2d(2), "act": nn.ReLU()}
            self.conv, self.end = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
            for name in order:
                self.add_module(name, kinds[name])
            self.order = order

        def forward(self, x):
            x = self.conv(x)
            for name in self.order:
                x = self.get_submodule(name)(x)
            return self.end(x)

    nets = [trace(Net(order), (3, 10, 10)) for order in (("norm", "act"), ("act", "norm"))]
    for left, right in (nets, nets[::-1]):
        pairs = compare_traces(left, right)
        assert len(pairs) == 4
        (moved,) = [pair for pair in pairs if pair.moved]
        assert moved.state == "differs"
        name, ours, theirs = moved.differences[0]
        assert name == "place"
        assert {ours.split()[0], theirs.split()[0]} == {"before", "after"}
    # Two places away is another network's layer.
    far = trace(Net(("act", "pool", "norm")), (3, 10, 10))
    near = trace(Net(("norm", "act", "pool")), (3, 10, 10))
    assert not any(pair.moved for pair in compare_traces(near, far))


@pytest.mark.parametrize(
    ("left", "right", "stems"),
    [
        ("vgg11", "googlenet", ("features.0", "conv1.conv")),
        ("vgg16", "resnet18", ("features.0", "conv1")),
        ("mobilenet_v1", "convnext_tiny", ("stem.0", "features.0.0")),
    ],
)
def test_what_reads_the_image_stands_for_what_reads_the_image(left, right, stems):
    pairs = [(p.left.path, p.right.path) for p in compared(left, right) if p.left and p.right]
    assert pairs[0] == stems


def test_a_pool_without_a_stride_moves_by_its_window():
    named = {step.path: step for step in steps(inspect_variant("lenet5"))}
    # Its maps are half as wide; a weight and a bias for each of six maps.
    assert named["s2"].words == "avg_pool2d 2 × 2, stride 2, 12 trained parameters"
    assert named["tanh"].words == "mul, tanh"  # 1.7159 · tanh(2a/3) is one layer
    assert named["c3"].words == "conv2d 5 × 5, 16 filters, 3 parts"
    pool, moved = nn.MaxPool2d(3), nn.MaxPool2d(3, stride=1)
    (pair,) = compare_traces(trace(pool, (1, 9, 9)), trace(moved, (1, 9, 9)))
    assert pair.differences == (("stride", "3", "1"),)


def test_defaults_are_spelt_out_where_they_differ():
    left = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(6, 5)), (3, 8, 8))
    right = trace(
        nn.Sequential(nn.Conv2d(3, 8, (3, 1), padding=(0, 1), dilation=2), nn.Linear(10, 7)),
        (3, 10, 8),
    )
    conv, linear = compare_traces(left, right)
    assert conv.differences == (
        ("kernel", "3 × 3", "3 × 1"),
        ("padding", "0", "0 × 1"),
        ("dilation", "1", "2"),
        ("filters", "4", "8"),
    )
    assert linear.differences == (("filters", "5", "7"),)


def test_a_module_of_many_operators_is_one_layer():
    class Squared(nn.Module):
        def forward(self, x):
            return (x * x).flatten(1) + 1

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.squared = Squared()
            self.drop = nn.Dropout()

        def forward(self, x):
            return torch.relu(self.drop(self.squared(x)))

    first, second = steps(trace(Net(), (1, 2, 2)))
    assert (first.path, first.words) == ("squared", "mul, add")
    assert first.output_shape == (1, 4)
    assert second.words == "relu"


@pytest.mark.parametrize(
    ("value", "reference", "words"),
    [
        (190, 100, "1.9 ×"),
        (102, 100, "1.02 ×"),
        (5, 100, "0.05 ×"),
        (12_900, 100, "129 ×"),
        (219_300, 100, "2,193 ×"),
        (1, 0, "–"),
    ],
)
def test_ratios_as_people_read_them(value, reference, words):
    assert describe_ratio(value, reference) == words


def test_all_variants_can_be_compared_with_the_next():
    names = [variant.name for variant in list_variants()][::9]
    for left, right in pairwise(names):
        assert compared(left, right)
