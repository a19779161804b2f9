import pytest
import torch

from cnnviz import architectures, registry
from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from cnnviz.networks.catalogue import inspect_variant, variant_rows


def test_a_variant_is_traced_as_the_network_itself():
    ours = inspect_variant("resnet20_cifar")
    built = trace(architectures.build("resnet20_cifar"), (3, 32, 32))
    assert ours == built
    assert ours.params == 269_722  # He et al. 2015, section 4.2: 0.27 million


def test_no_weight_is_allocated(monkeypatch):
    devices = []
    build = registry.Variant.build

    def spy(variant, *arguments, **knobs):
        model = build(variant, *arguments, **knobs)
        devices.append({p.device.type for p in model.parameters()})
        return model

    monkeypatch.setattr(registry.Variant, "build", spy)
    assert inspect_variant("vgg16").params == 138_357_544  # torchvision's own count
    assert devices == [{"meta"}]
    assert torch.empty(1).device.type == "cpu"


def test_sizes_classes_and_knobs_count():
    assert inspect_variant("resnet18", (3, 64, 64), 10).params == 11_689_512 - 990 * 513
    assert inspect_variant("resnet18", (3, 64, 64)).input_size == (3, 64, 64)
    small = inspect_variant("mobilenet_v1", knobs={"resolution": 128, "width": 0.25})
    assert small.input_size == (3, 128, 128)
    given = inspect_variant("mobilenet_v1", (3, 96, 96), knobs={"resolution": 128})
    assert given.input_size == (3, 96, 96)
    # Howard et al. 2017, section 3.3: the cost falls with the square of the resolution, but for
    # the classifier's 1,024,000.
    full, half = inspect_variant("mobilenet_v1"), inspect_variant("mobilenet_v1", (3, 112, 112))
    fc = 1_024_000
    assert full.macs - fc == pytest.approx(4 * (half.macs - fc), rel=0.06)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet19",), "did you mean"),
        (("lenet5", (1, 4, 4)), "too small"),
        (("lenet5", None, 0), "num_classes"),
        (("lenet5", None, 10, {"width": 2}), "no knob"),
        (("mobilenet_v1", None, None, {"resolution": 100}), "resolution must be one of"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(CnnvizError, match=message):
        inspect_variant(*arguments)
    assert torch.empty(1).device.type == "cpu"


def test_rows_keep_the_order_they_are_asked_in():
    chosen = [registry.get("resnet20_cifar"), registry.get("lenet5")]
    resnet, lenet = variant_rows(chosen)
    assert lenet == {
        "name": "lenet5",
        "family": "LeNet",
        "year": 1998,
        "edition": "paper",
        "input_size": [1, 32, 32],
        "num_classes": 10,
        "params": 60_000,
        "macs": 325_680,
    }
    assert (resnet["name"], resnet["edition"]) == ("resnet20_cifar", "cifar")
    assert variant_rows([]) == []
