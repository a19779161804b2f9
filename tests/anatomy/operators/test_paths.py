"""Names, edges and parameters of the rows, and the recorder on a real pass."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from cnnviz.anatomy import OperatorRecorder, trace
from cnnviz.networks.catalogue import inspect_variant
from tests.anatomy.nets import Branches, LayerScale, Shared


def rows(model, size, *names):
    return [tuple(getattr(layer, name) for name in names) for layer in trace(model, size).layers]


def test_paths_of_modules_and_functional_operators():
    assert rows(Branches(), (3, 16, 16), "path", "op") == [
        ("stem", "conv2d"),
        ("relu", "relu"),
        ("left", "conv2d"),
        ("relu#3", "relu"),  # F.relu at the root; `relu` and `relu#2` are the module's calls
        ("right", "conv2d"),
        ("relu#2", "relu"),
        ("add_", "add_"),
        ("cat", "cat"),
        ("mean", "mean"),
        ("head", "linear"),
    ]


def test_a_leaf_with_several_operators_names_each():
    norm = torchvision.models.convnext.LayerNorm2d(3)
    paths = [path for (path,) in rows(nn.Sequential(norm), (3, 4, 4), "path")]
    assert paths == ["0.permute", "0.layer_norm", "0.permute#2"]


def test_paths_are_unique():
    with torch.device("meta"):
        models = [torchvision.models.googlenet(init_weights=False), torchvision.models.swin_t()]
    for model in models:
        paths = [layer.path for layer in trace(model, (3, 224, 224)).layers]
        assert len(set(paths)) == len(paths)


def test_edges_follow_branches_and_in_place_operators():
    found = trace(Branches(), (3, 16, 16))
    sources = {layer.path: layer.inputs for layer in found.layers}
    assert sources["stem"] == (-1,)
    assert sources["left"] == sources["right"] == (1,)
    assert sources["add_"] == (5, 1)
    assert sources["cat"] == (3, 6)
    assert (6, 7) in found.edges


def test_in_place_on_a_view_changes_its_base():
    class Halves(nn.Module):
        def forward(self, x):
            y = x * 2
            y[:, :1].relu_()
            return y + 1

    assert rows(Halves(), (2, 4, 4), "op", "inputs") == [
        ("mul", (-1,)),
        ("getitem", (0,)),
        ("relu_", (1,)),
        ("add", (2,)),
    ]


def test_assignment_to_a_slice():
    class Paste(nn.Module):
        def forward(self, x):
            canvas = torch.zeros(1, 2, 4, 4)
            canvas[:, :, 1:3, 1:3] = x
            return canvas.sum((2, 3))

    assert rows(Paste(), (2, 2, 2), "op", "inputs") == [("setitem", (-1,)), ("sum", (0,))]


def test_a_direct_parameter_belongs_to_the_operator_that_reads_it():
    assert rows(LayerScale(), (3, 4, 4), "path", "params") == [("conv", 24), ("mul", 6)]
    assert trace(LayerScale(), (3, 4, 4)).params == 30


def test_shared_parameters_count_once():
    found = trace(Shared(), (4, 8, 8))
    assert [(layer.path, layer.params) for layer in found.layers] == [
        ("conv", 148),
        ("conv#2", 0),
        ("tied", 4),
    ]
    assert found.params == 152


def test_kinds():
    kinds = dict(rows(Branches(), (3, 16, 16), "path", "kind"))
    assert [kinds[path] for path in ("stem", "relu", "add_", "cat", "mean", "head")] == [
        "conv",
        "activation",
        "merge",
        "merge",
        "pool",
        "linear",
    ]


@pytest.mark.parametrize(
    ("function", "merges"),
    [
        (lambda x, f: x + f(x), ["add"]),
        (lambda x, f: f(x).mul(torch.sigmoid(f(x).mean((2, 3), keepdim=True))), ["mul"]),
        (lambda x, f: torch.cat([x, x], 1), ["cat"]),
        (lambda x, f: f(x) + F.pad(x[:, :, 1:], (0, 0, 1, 0)), ["add"]),
        (lambda x, f: f(x) * torch.ones(3, 1, 1), []),
        # What is spelt out of one layer's output joins nothing: an activation, a normalisation.
        (lambda x, f: (y := f(x)) * torch.sigmoid(y), []),
        (lambda x, f: (y := f(x)) / (y.square()[:, :2].sum(1, keepdim=True) + 1), ["div"]),
        (lambda x, f: (y := f(x)) / (y.square()[:, :1] + y.square()[:, 1:2]), []),
        (lambda x, f: f.weight[:, 0, :1, :1] * f(x), []),  # a part of a parameter is no branch
    ],
)
def test_a_merge_joins_what_different_layers_made(function, merges):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return function(x, self.conv)

    found = trace(Net(), (3, 8, 8))
    assert [layer.op for layer in found.layers if layer.kind == "merge"] == merges


@pytest.mark.parametrize("name", ["lenet5", "alexnet_2012", "zfnet", "mobilenet_v1"])
def test_a_chain_of_layers_has_no_merge_of_element_wise_operators(name):
    layers = inspect_variant(name).layers
    assert [layer.op for layer in layers if layer.kind == "merge"] in ([], ["cat"])  # C3's parts


def test_a_part_of_a_parameter_is_no_input():
    assert inspect_variant("lenet5").layer("s2.mul").input_shapes == ((1, 6, 14, 14),)


def test_recorder_meets_the_same_calls_in_a_real_pass():
    model = torchvision.models.googlenet(init_weights=False).eval()
    layers = trace(model, (3, 64, 64)).layers
    recorder = OperatorRecorder(model)
    with torch.no_grad(), recorder:
        model(torch.zeros(2, 3, 64, 64))
    found = [(call.index, call.module, call.op) for call in recorder.calls]
    assert found == [(layer.index, layer.module, layer.op) for layer in layers]


def test_a_recorder_can_replace_an_output():
    class Silence(OperatorRecorder):
        def on_operator(self, call, args, kwargs, output):
            return torch.zeros_like(output) if call.op == "relu" else output

    class Net(nn.Module):
        def forward(self, x):
            return F.relu(x) + 1

    model = Net()
    with Silence(model):
        assert model(torch.ones(1, 2)).tolist() == [[1.0, 1.0]]
    assert model(torch.ones(1, 2)).tolist() == [[2.0, 2.0]]


def test_normalised_weights_keep_the_hook_that_computes_them():
    model = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)))
    found = trace(model, (3, 8, 8))
    assert found.layers[-1].path == "0.conv2d"
    assert sum(layer.params for layer in found.layers) == found.params == 112


def test_a_compiled_network_is_traced_as_its_original():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert trace(torch.compile(model), (3, 8, 8)) == trace(model, (3, 8, 8))


def test_iteration_over_a_tensor_keeps_the_edges():
    class Split(nn.Module):
        def forward(self, x):
            first, second = x[0]
            return first + second

    assert rows(Split(), (2, 4, 4), "op", "inputs") == [
        ("getitem", (-1,)),
        ("unbind", (0,)),
        ("add", (1,)),
    ]
