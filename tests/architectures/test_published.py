"""torchvision's published weights, with the download replaced: nothing here needs a network."""

from urllib.error import HTTPError, URLError

import pytest
import torch
import torchvision

from cnnviz import build, registry
from cnnviz.architectures import list_variants
from cnnviz.architectures.published import published
from cnnviz.errors import CnnvizError

PUBLISHED = [variant.name for variant in list_variants() if variant.weights]


def published_state(name):
    """A state dict of the published names and shapes, one shared number for all of a tensor."""
    arguments = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None, **arguments)
    return {
        key: torch.full((), 0.5, dtype=value.dtype).expand(value.shape)
        for key, value in theirs.state_dict().items()
    }


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the download; holds the addresses asked for."""
    asked = []

    def download(url, **options):
        asked.append((url, options))
        name = url.rsplit("/", 1)[1].rsplit("-", 1)[0].removesuffix("-owt")
        return published_state(name)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    return asked


def test_every_class_of_torchvision_has_weights():
    ours = {"alexnet", "googlenet", "convnext_tiny", "convnext_small", "convnext_base"}
    ours |= {"convnext_large", *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))}
    ours |= {f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")}
    assert set(PUBLISHED) == ours


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_load(name, hub):
    model = build(name, weights="imagenet")
    ((url, options),) = hub
    assert url == torchvision.models.get_weight(registry.get(name).weights).url
    assert options["progress"]
    assert options["check_hash"]
    assert options["weights_only"]
    for key, value in model.state_dict().items():
        assert value.device.type == "cpu", key
        if value.is_floating_point():
            assert value.flatten()[0] == 0.5, key
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_googlenet_reads_inputs_as_its_weights_expect(hub):
    """torchvision's own builder sets this with the weights (googlenet.py, `googlenet`)."""
    model = build("googlenet", weights="imagenet")
    assert model.transform_input
    assert model.aux1 is None
    assert not build("googlenet").transform_input


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("zfnet", {}, "zfnet has no published weights; these have: alexnet, vgg11"),
        ("resnet18_cifar", {}, "has no published weights"),
        ("resnet18", {"num_classes": 10}, "are for 1000 classes, not 10"),
        ("resnet18", {"shortcut": "C"}, "need shortcut to be B, not C"),
        ("googlenet", {"aux": True}, "need aux to be False, not True"),
        ("resnet18", {"width": 2}, "has no knob 'width'"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_download(name, arguments, reason, hub):
    with pytest.raises(CnnvizError, match=reason):
        build(name, weights="imagenet", **arguments)
    assert not hub


def test_other_weights_are_refused(hub):
    with pytest.raises(CnnvizError, match='weights must be "imagenet" or None'):
        build("resnet18", weights="places365")


def test_knobs_at_their_published_value_fit(hub):
    assert build("resnet18", 1000, weights="imagenet", shortcut="B").fc.out_features == 1000


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (URLError("Name or service not known"), "could not be downloaded"),
        (HTTPError("https://x", 503, "Service Unavailable", None, None), "Service Unavailable"),
        (TimeoutError("timed out"), "timed out"),
        (RuntimeError('invalid hash value (expected "a", got "b")'), "arrived broken"),
    ],
)
def test_without_a_network_one_sentence_says_so(error, words, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    with pytest.raises(CnnvizError) as caught:
        build("vgg16", weights="imagenet")
    message = str(caught.value)
    assert words in message
    assert "vgg16" in message
    assert "\n" not in message
    assert message.endswith(".")


def test_a_file_of_another_network_is_refused(monkeypatch):
    monkeypatch.setattr(
        torch.hub, "load_state_dict_from_url", lambda *_, **__: published_state("resnet34")
    )
    with pytest.raises(CnnvizError, match="does not fit resnet18: delete it"):
        build("resnet18", weights="imagenet")


def test_what_torchvision_says_of_its_weights():
    known = published(registry.get("resnet50"))
    assert (known.weights, known.top1) == ("ResNet50_Weights.IMAGENET1K_V1", pytest.approx(0.7613))
    assert known.top5 == pytest.approx(0.92862)
    assert published(registry.get("lenet5")) is None
    named = [published(v) for v in registry.list_variants() if v.weights]
    assert all(0.5 < one.top1 < one.top5 < 1 and one.megabytes > 10 for one in named)
