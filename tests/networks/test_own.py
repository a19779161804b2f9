"""Networks from outside the registry, from the command line: torchvision's and one's own."""

import json
import sys

import pytest
import torchvision

import cnnviz.cli
from cnnviz.errors import CnnvizError
from cnnviz.networks.own import build_torchvision, inspect_network, load_own

SOURCE = """
import torch
from torch import nn

print("importing")

class Tiny(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))

def grey():
    print("building")
    return Tiny(1)

class Shelf:
    tiny = Tiny

ready = Tiny()
number = 7

def with_argument(classes):
    return Tiny()

def leaves():
    raise SystemExit(3)

def fails():
    raise ValueError("no luck\\nsecond line")

class Hasty(nn.Module):
    def __init__(self):
        self.size = 3

class Pair(nn.Module):
    def forward(self, x, y):
        return x + y

class Moody(Tiny):
    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else super().forward(x)

def video():
    return nn.Conv3d(3, 4, 3)

def no_network():
    return {"a": 1}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory with a package of networks, forgotten afterwards."""
    package = tmp_path / "ownnets"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tiny.py").write_text(SOURCE)
    (package / "broken.py").write_text("def f(:\n")
    (package / "needy.py").write_text("import no_such_library\n")
    (package / "rude.py").write_text("raise SystemExit('bye')\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield tmp_path
    assert sys.path == before
    for name in [name for name in sys.modules if name.split(".")[0] == "ownnets"]:
        del sys.modules[name]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "place", ["ownnets.tiny:Tiny", "ownnets.tiny:ready", "ownnets.tiny:Shelf.tiny"]
)
def test_a_class_a_network_or_a_nested_name(place):
    trace = inspect_network(place, (3, 8, 8))
    assert trace.params == 4 * 27 + 4
    assert trace.macs == 4 * 27 * 36


@pytest.mark.usefixtures("here")
def test_the_command_prints_one_document(capsys):
    assert cnnviz.cli.main(["inspect", "ownnets.tiny:grey", "--input", "1x8x8", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["params"] == 40
    assert "building" in err, "what the code prints must not get into the document"


@pytest.mark.usefixtures("here")
def test_the_input_is_224_pixels_wide_by_default():
    assert inspect_network("ownnets.tiny:Tiny").input_size == (3, 224, 224)


@pytest.mark.usefixtures("here")
def test_a_network_of_one_channel_says_what_to_add():
    with pytest.raises(CnnvizError) as caught:
        inspect_network("ownnets.tiny:grey")
    assert str(caught.value) == (
        "The input 3x224x224 does not fit ownnets.tiny:grey: its layer conv (conv2d) expects 1 "
        "channel and would get 3; name the size that it reads with --input, as in --input 1x28x28."
    )
    assert inspect_network("ownnets.tiny:grey", (1, 28, 28)).params == 40


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("ownnets.tiny:Nope", "ownnets.tiny has no 'Nope'"),
        ("ownnets.tiny:Shelf.big", "has no 'Shelf.big'"),
        ("ownnets.tiny:number", "is a int: name a class or a function"),
        ("ownnets.tiny:with_argument", "without arguments failed (TypeError"),
        ("ownnets.tiny:leaves", "failed (SystemExit: 3)"),
        ("ownnets.tiny:fails", "failed (ValueError: no luck)"),
        ("ownnets.tiny:no_network", "must return a torch.nn.Module, not a dict"),
        ("ownnets.tiny:Hasty", "Hasty is not ready: call super().__init__() first"),
        ("ownnets.tiny:Pair", "'y'; wrap it in a module whose forward takes one batch of images."),
        ("ownnets.tiny:video", "reads videos or volumes, not images"),
        ("ownnets.broken:f", "Importing ownnets.broken failed (SyntaxError"),
        ("ownnets.needy:f", "No module named 'no_such_library'"),
        ("ownnets.rude:f", "failed (SystemExit: bye)"),
        ("ownnets.absent:f", "There is no module 'ownnets.absent'"),
        ("absent:f", "There is no module 'absent'"),
        ("ownnets/tiny.py:Tiny", "write package.module:factory"),
        (":Tiny", "write package.module:factory"),
        ("ownnets.tiny:", "write package.module:factory"),
    ],
)
def test_every_failure_is_one_sentence(place, words, capsys):
    assert cnnviz.cli.main(["inspect", place]) == 2
    out, err = capsys.readouterr()
    message = err.splitlines()[-1]
    assert out == ""
    assert message.startswith("cnnviz: ")
    assert words in message
    assert "Traceback" not in err


@pytest.mark.usefixtures("here")
def test_a_path_that_depends_on_values_is_said_to(capsys):
    arguments = ["inspect", "ownnets.tiny:Moody", "--input", "3x8x8", "--json"]
    assert cnnviz.cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["by_values"] is True
    assert "this is the one for a black image" in err
    assert cnnviz.cli.main([*arguments[:1], "ownnets.tiny:Tiny", *arguments[2:]]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["by_values"] is False
    assert "black image" not in err


def test_a_torchvision_model_that_computes_with_its_widths():
    assert inspect_network("regnet_y_400mf").params == 4_344_144  # torchvision's table


@pytest.mark.usefixtures("here")
def test_knobs_and_classes_belong_to_variants():
    with pytest.raises(CnnvizError, match="has no knobs"):
        inspect_network("ownnets.tiny:Tiny", knobs={"width": 2})
    with pytest.raises(CnnvizError, match="let its factory decide"):
        inspect_network("ownnets.tiny:Tiny", num_classes=10)


def test_a_module_is_not_looked_for_elsewhere(here, monkeypatch):
    monkeypatch.chdir(here / "ownnets")
    with pytest.raises(CnnvizError, match="There is no module 'ownnets'"):
        load_own("ownnets.tiny:Tiny")


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "densenet121", "swin_t"])
def test_torchvision_models_have_their_published_parameters(name):
    enum = torchvision.models.get_model_weights(name)
    assert inspect_network(name).params == enum.DEFAULT.meta["num_params"]


def test_torchvision_models_take_classes_and_sizes():
    trace = inspect_network("mobilenet_v2", (3, 96, 96), 10)
    assert trace.input_size == (3, 96, 96)
    assert trace.layers[-1].output_shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("inception_v3", (3, 299, 299)),
        ("efficientnet_b0", (3, 224, 224)),
        ("vit_b_16", (3, 224, 224)),
        ("fcn_resnet50", (3, 224, 224)),  # takes any
    ],
)
def test_a_torchvision_model_reads_what_its_weights_were_made_for(name, size):
    found = inspect_network(name)
    assert found.input_size == size
    assert found.training_bytes  # inception_v3's auxiliary head fits no smaller input


def test_nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", None)
    model = build_torchvision("fcn_resnet50")  # its default is a backbone with weights
    # ResNet-50 without its classifier, and torchvision's FCNHead: 3 × 3 to 512, norm, 1 × 1 to 21.
    expected = 25_557_032 - 2_049_000 + 9 * 2048 * 512 + 2 * 512 + 513 * 21
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mobilenet_v2", None, 0), "num_classes must be"),
        (("mobilenet_v2", None, None, {"width": 1}), "has no knobs"),
        (("r3d_18",), "r3d_18 reads videos or volumes, not images"),
        (("raft_small",), "cannot run"),
        (("inception_v3", (3, 32, 32)), "too small for inception_v3: its 27th convolution"),
        (("efficientnet_b99",), "There is no variant called 'efficientnet_b99'"),
    ],
)
def test_what_does_not_fit_torchvision_is_one_sentence(arguments, words):
    with pytest.raises(CnnvizError) as caught:
        inspect_network(*arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_variant_keeps_its_own_size():
    assert inspect_network("alexnet_2012").input_size == (3, 227, 227)
