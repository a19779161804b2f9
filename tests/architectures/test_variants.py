"""What holds for every registered variant, and the knobs one by one."""

import copy

import pytest
import torch

from cnnviz import registry
from cnnviz.anatomy.compare_traces import compare_traces
from cnnviz.architectures import build, list_variants
from cnnviz.errors import CnnvizError
from cnnviz.networks.catalogue import inspect_variant
from tests.architectures.counting import count

ALL = [variant.name for variant in list_variants()]
SMALL = [variant.name for variant in list_variants() if variant.input_size[1] == 32]


def build_on_meta(name, *args, **knobs):
    with torch.device("meta"):
        return build(name, *args, **knobs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_answers_for_any_number_of_classes(name):
    variant = registry.get(name)
    images = torch.empty(2, *variant.input_size, device="meta")
    for classes in (None, 1, 7):
        network = copy.deepcopy(build_on_meta(name, classes)).eval()
        assert network(images).shape == (2, classes or variant.num_classes)


@pytest.mark.parametrize("name", ALL)
def test_documents_itself(name):
    variant = registry.get(name)
    assert variant.summary.endswith(".")
    assert variant.title
    if variant.edition == "cifar":
        assert name.endswith("_cifar")
        assert variant.input_size == (3, 32, 32)
        assert variant.changes
        assert variant.num_classes == 10
    assert all(change.what and change.why for change in variant.changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_weight_gets_a_finite_gradient(name):
    torch.manual_seed(0)
    variant = registry.get(name)
    network = build(name)
    images = torch.randn(4, *variant.input_size)
    logits = network(images)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert logits.shape == (4, variant.num_classes)
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "knob", [(v.name, knob) for v in list_variants() for knob in v.knobs], ids=lambda k: str(k[0])
)
def test_every_knob_builds_at_its_ends(knob):
    name, knob = knob
    for value in knob.choices or ((knob.low, knob.high) if knob.low else (True, False)):
        network = build_on_meta(name, **{knob.name: value}).eval()
        size = registry.get(name).input_for(**{knob.name: value})
        images = torch.empty(1, *size, device="meta")
        assert network(images).shape == (1, registry.get(name).num_classes)


@pytest.mark.parametrize(
    ("name", "knobs", "reason"),
    [
        ("mobilenet_v1", {"width": 0}, "width must lie between 0.125 and 1, not 0"),
        ("mobilenet_v1", {"width": float("nan")}, "width must be a number, not nan"),
        ("mobilenet_v1", {"resolution": 100}, "resolution must be one of 128, 160, 192, 224"),
        ("alexnet_2012", {"groups": 3}, "groups must be one of 1, 2, not 3"),
        ("alexnet_2012", {"lrn": "maybe"}, "lrn must be true or false"),
        ("resnet18", {"shortcut": "D"}, "shortcut must be one of A, B, C, not 'D'"),
        ("resnet18", {"width": 2}, "resnet18 has no knob 'width'; its knobs: shortcut"),
    ],
)
def test_impossible_knobs_are_refused_with_the_reason(name, knobs, reason):
    with pytest.raises(CnnvizError, match=reason):
        build(name, **knobs)


def test_families_follow_the_road():
    assert [family.name for family in registry.list_architectures()] == [
        *("lenet", "alexnet", "zfnet", "vgg", "googlenet", "resnet", "mobilenet", "convnext")
    ]
    assert [family.year for family in registry.list_architectures()] == [
        *(1998, 2012, 2013, 2014, 2014, 2015, 2017, 2022)
    ]


@pytest.mark.parametrize("family", registry.list_architectures(), ids=lambda f: f.name)
def test_families_cite_their_papers(family):
    assert str(family.year) in family.citation + family.url or family.year in (2013, 2014, 2015)
    assert family.url.startswith("https://")
    assert family.idea.count(". ") == 1, "the idea takes two sentences"
    assert family.changed
    assert len(family.motto.split()) <= 9


@pytest.mark.parametrize("name", ["vgg11_bn_cifar", "googlenet_cifar", "alexnet_cifar"])
def test_half_the_width_takes_about_a_quarter_of_the_work(name):
    assert count(name, width=0.5)[1] / count(name)[1] == pytest.approx(0.25, abs=0.01)


def test_the_slim_googlenet_is_a_quarter_as_wide():
    assert count("googlenet_slim_cifar") == count("googlenet_cifar", width=0.25)


@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014"])
def test_auxiliary_heads_answer_while_training_only(name):
    network = build_on_meta(name, 5, aux=True)
    images = torch.empty(2, 3, 224, 224, device="meta")
    logits, aux2, aux1 = network.train()(images)
    assert logits.shape == aux2.shape == aux1.shape == (2, 5)
    assert network.eval()(images).shape == (2, 5)


def test_what_torchvision_does_otherwise_is_listed():
    model = registry.get("googlenet").build()
    assert (model.maxpool4.kernel_size, model.dropout.p) == (2, 0.2)  # the paper: 3 and 0.4
    said = [change.what for change in registry.get("googlenet").changes]
    assert "The fourth max-pool is 2 × 2, not 3 × 3, and dropout 0.2, not 0.4" in said
    for name, listed in (("resnet18", True), ("resnet18_cifar", True), ("resnet34", False)):
        assert any("option B" in c.what for c in registry.get(name).changes) is listed, name
    assert not registry.get("plain18").changes


@pytest.mark.parametrize("name", ["alexnet_2012", "zfnet"])
def test_dropout_follows_the_hidden_layers_as_published(name):
    """Krizhevsky et al. 2012, section 4.2: the outputs of the first two fully connected layers."""
    kinds = [type(module).__name__ for module in registry.get(name).build().classifier]
    assert kinds == [*("Linear", "ReLU", "Dropout") * 2, "Linear"]
    assert "Dropout" not in said(name)
    for other in ("alexnet", "alexnet_cifar", "zfnet_cifar"):
        first = next(iter(registry.get(other).build().classifier))
        assert type(first).__name__ == "Dropout"
        assert "Dropout before the first two" in said(other)


def test_a_step_of_the_road_changes_something_and_the_first_one_nothing():
    steps = [v for v in list_variants("convnext") if v.step_from]
    assert [len(v.changes) for v in steps] == [0, *[1] * 11, 2, 1, 1, 3]
    # What the last step's list says beside its title.
    before, after = (inspect_variant(f"convnext_road_{n}") for n in (14, 15))
    assert not any("scale" in layer.path or layer.op == "mul" for layer in before.layers)
    assert sum(layer.op == "mul" for layer in after.layers) == 18  # LayerScale of each block


def said(name, **knobs):
    variant = registry.get(name)
    return " ".join(c.what for c in variant.changes_with(variant.check_knobs(knobs)))


def test_departures_follow_the_settings():
    assert "No local response" in said("alexnet_cifar")
    assert "No local response" not in said("alexnet_cifar", lrn=True)
    assert "2 × 2 pools" in said("alexnet_cifar")
    assert "2 × 2 pools" not in said("alexnet_cifar", overlap=True)
    assert "padded by one" in said("alexnet_cifar", overlap=True)
    assert "stem of 2 × 2" in said("convnext_tiny_cifar")
    assert "stem of 1 × 1" in said("convnext_tiny_cifar", patch=1)
    assert "stem of 2 × 2" not in said("convnext_tiny_cifar", patch=1)
    assert "option B" in said("resnet18")
    assert "option B" not in said("resnet18", shortcut="A")
    assert "No auxiliary" in said("googlenet_2014")
    assert not said("googlenet_2014", aux=True)


@pytest.mark.parametrize("name", ALL)
def test_departures_name_knobs_that_are_there(name):
    variant = registry.get(name)
    knobs = variant.check_knobs({})
    assert {n for change in variant.changes for n in change.only} <= knobs.keys()
    assert len(variant.changes_with(knobs)) <= len(variant.changes)


def test_the_road_starts_at_resnet50():
    first, resnet = inspect_variant("convnext_road_00"), inspect_variant("resnet50")
    for cost in ("params", "macs", "activation_bytes", "peak_bytes", "training_bytes", "depth"):
        assert getattr(first, cost) == getattr(resnet, cost)
    assert {pair.state for pair in compare_traces(resnet, first)} == {"same"}
