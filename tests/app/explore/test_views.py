"""The views of Explore that measure, each opened by a link."""

from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torchvision.models import get_weight

from cnnviz import architectures
from cnnviz.anatomy import Opinion
from cnnviz.anatomy.roofline import Peaks
from cnnviz.networks.subjects import Subject
from cnnviz.settings import ROOT
from cnnviz.ui.cache.anatomy import measured, networks
from cnnviz.ui.explore.opinion import verdict

WEIGHTS = "ResNet18_Weights.IMAGENET1K_V1"
PAGE = str(ROOT / "pages" / "explore.py")


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def headings(app: AppTest) -> str:
    return " | ".join(heading.value for heading in app.subheader)


def html_of(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def text_of(app: AppTest) -> str:
    return " ".join(item.value for item in (*app.markdown, *app.caption))


@pytest.fixture
def quick_peaks(monkeypatch):
    """Peaks that need no measuring."""
    peaks = Peaks(flops=1e11, bandwidth=1e10, device="a machine", threads=1)
    monkeypatch.setattr(measured.roofline, "measure_peaks", lambda device: peaks)
    measured._peaks.clear()
    yield
    measured._peaks.clear()


def test_one_machine_has_one_roof(monkeypatch):
    """A peak that an operator surpasses is measured again, and the better one counts everywhere."""
    found = iter([Peaks(1.0, 1e10, "a machine", 1), Peaks(1e15, 1e9, "a machine", 1)])
    monkeypatch.setattr(measured.roofline, "measure_peaks", lambda device: next(found))
    measured._peaks.clear()
    measured._speed.clear()
    try:
        first = measured.speed("lenet5", (), (1, 32, 32), 10)
        assert first.peaks == Peaks(1e15, 1e10, "a machine", 1)
        assert measured.peaks() == first.peaks  # that of every other network, too
    finally:
        measured._peaks.clear()
        measured._speed.clear()


def test_a_layer_on_a_picture():
    app = opened(variant="resnet20_cifar", view="field", layer="layer3.2.add")
    assert not app.warning
    assert "One position of layer3.2.add sees 81 × 81 pixels; half of its gradient" in headings(app)
    assert "layer2.2.conv1 is the first layer" in headings(app)  # 33 pixels of 32
    wide = opened(variant="resnet20_cifar", view="field", input="3x32x64")
    assert "layer3.1.conv2 is the first layer" in headings(wide)  # 65 pixels: not the height alone
    assert "32 × 32 pixels of them inside the picture" in text_of(app)
    assert "The weights are random" in text_of(app)
    assert "cut at the border" in text_of(app)
    assert 'role="img" aria-label="One position of layer3.2.add sees' in text_of(app)
    assert "a large one for layer3.2.add at 81 pixels" in text_of(app)


def test_another_layer_and_photo_go_into_the_url():
    app = opened(variant="lenet5", view="field")
    app.selectbox(key="explore_field_lenet5").set_value("c1").run()
    app.selectbox(key="explore_photo").set_value("rocket").run()
    assert not app.exception
    assert app.query_params["layer"] == "c1"
    assert app.query_params["photo"] == "rocket"
    assert "One position of c1 sees 5 × 5 pixels" in headings(app)
    app = opened(variant="lenet5", view="field", layer="c1", photo="rocket")
    assert app.selectbox(key="explore_photo").value == "rocket"


def test_trained_weights_are_said_to_be_trained(finished):
    app = opened(variant="lenet5", view="field", layer="c3.cat")
    assert "The weights are random" in text_of(app)
    weights = app.selectbox(key="explore_weights_lenet5")
    assert len(weights.options) == 2
    weights.set_value(finished.path.name).run()
    assert not app.exception
    assert "The weights are trained, on Digits" in text_of(app)
    assert app.query_params["weights"] == finished.path.name
    app = opened(variant="lenet5", view="field", weights=finished.path.name)
    assert "The weights are trained, on Digits" in text_of(app)
    app = opened(variant="lenet5_cifar", view="field", weights=finished.path.name)
    assert "is no trained model of this network" in app.warning[0].value
    assert "weights" not in app.query_params


@pytest.mark.parametrize(
    ("layer", "reason"),
    [("nope", "is no layer"), ("output.neg", "has no positions")],
)
def test_a_layer_that_cannot_be_shown(layer, reason):
    app = opened(variant="lenet5", view="field", layer=layer)
    assert len(app.warning) == 1
    assert reason in app.warning[0].value
    shown = app.selectbox(key="explore_field_lenet5").value
    assert f"Showing {shown} instead." in app.warning[0].value
    app.selectbox(key="explore_field_lenet5").set_value("c1").run()
    assert app.query_params["layer"] == "c1"
    assert not app.warning


def test_a_block_chosen_in_the_drawing_shows_its_last_layer():
    app = opened(variant="resnet20_cifar", view="field", layer="layer2.0")
    assert not app.warning
    assert app.selectbox(key="explore_field_resnet20_cifar").value == "layer2.0.relu2"
    assert app.query_params["layer"] == "layer2.0"  # the drawing finds its block again
    app.selectbox(key="explore_photo").set_value("rocket").run()
    assert app.query_params["layer"] == "layer2.0"
    app.selectbox(key="explore_family").set_value("lenet").run()
    assert not app.warning
    assert "layer" not in app.query_params
    app = opened(variant="resnet20_cifar", view="field", layer="layer2.0")
    app.selectbox(key="explore_field_resnet20_cifar").set_value("layer2.0.add").run()
    assert app.query_params["layer"] == "layer2.0.add"
    app = opened(variant="vgg16", view="field", layer="classifier")
    assert "has no positions" in app.warning[0].value


def test_another_variant_forgets_the_layer_without_a_word():
    app = opened(variant="resnet20_cifar", view="field", layer="layer1.0.conv1")
    app.selectbox(key="explore_variant").set_value("resnet18").run()
    assert not app.exception
    assert not app.warning
    assert "One position of" in headings(app)


def test_a_functional_layer_by_its_link():
    app = opened(variant="googlenet_slim_cifar", view="field")
    layers = networks.traced("googlenet_slim_cifar").layers
    path = next(layer.path for layer in layers if layer.op == "cat")
    app = opened(variant="googlenet_slim_cifar", view="field", layer=path)
    assert not app.warning
    assert f"One position of {path} sees" in headings(app)


def test_a_small_network_is_timed_at_once(quick_peaks):
    app = opened(variant="resnet20_cifar", view="speed")
    assert "% of the" in headings(app)
    assert "19 convolution operators" in headings(app)
    assert "100 GFLOP/s" in html_of(app)
    table = app.dataframe[0].value
    assert len(table) == 73  # every operator
    assert "The first 12 of 73 operators take" in text_of(app)
    assert table["ms"].is_monotonic_decreasing
    app.button(key="explore_speed_again").click().run()
    assert not app.exception


def test_a_large_network_is_asked_for_first(quick_peaks):
    app = opened(variant="resnet18", view="speed")
    assert "46.8 MB" in app.info[0].value
    assert not app.subheader
    app.button(key="explore_start_speed").click().run()
    assert not app.exception
    assert "20 convolution operators" in headings(app)


def test_three_counts_side_by_side():
    app = opened(variant="resnet20_cifar", view="opinion")
    assert "agree on the parameters" in headings(app)
    page = html_of(app)
    assert "40,551,040" in page  # this trace
    assert "40,931,968" in page  # fvcore, which adds the batch norms
    assert "batch_norm 376,832" in page
    assert "Agrees on convolutions and matrix products" in page


def test_large_networks_are_counted_when_asked():
    app = opened(variant="vgg11", view="opinion")
    assert "torchinfo" not in html_of(app)
    assert app.button(key="explore_start_opinion").label == "Ask torchinfo and fvcore"
    assert "about 1 second of one core" in opened(variant="googlenet", view="opinion").info[0].value


def test_the_verdict():
    own = Opinion("cnnviz", 100, 1000, "")
    same = Opinion("torchinfo", 100, 1000, "")
    more, fewer = Opinion("fvcore", 100, 1100, ""), Opinion("fvcore", 100, 996, "")
    failed = Opinion("fvcore", None, None, "")
    assert verdict([own, same, same]) == "All agree on the parameters; all agree on the MACs"
    assert verdict([own, same, more]).endswith("; fvcore counts 10 % more MACs than this app")
    assert verdict([own, same, fewer]).endswith("; fvcore counts 0.4 % fewer MACs than this app")
    assert "fvcore cannot count the MACs; the others agree on the MACs" in verdict(
        [own, same, failed]
    )


def test_a_width_of_channels_and_a_width_of_the_input():
    app = opened(variant="vgg11_bn_cifar", view="field", width="0.5", input="3x32x64")
    assert not app.warning
    assert app.number_input(key="explore_vgg11_bn_cifar_width").value == 0.5
    assert app.number_input(key="explore_vgg11_bn_cifar_input_width").value == 64


def test_published_weights_are_offered_and_fetched_when_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # nothing is here yet
    app = opened(variant="resnet18", view="field", weights="resnet18@imagenet")
    assert app.selectbox(key="explore_weights_resnet18").options == [
        "random",
        "ImageNet (45 MB to download)",
    ]
    assert "not on this machine yet" in app.info[0].value
    assert app.button[0].label == "Download them"
    assert not headings(app)


def test_published_weights_that_are_here_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    state = architectures.build("resnet18").state_dict()
    file = tmp_path / "hub" / "checkpoints" / Path(get_weight(WEIGHTS).url).name
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    monkeypatch.setattr(Subject, "key", property(lambda subject: "a test's"))
    app = opened(
        variant="resnet18", view="field", weights="resnet18@imagenet", layer="layer1.0.conv1"
    )
    assert "The weights are trained, on ImageNet by torchvision" in text_of(app)
    assert app.query_params["weights"] == "resnet18@imagenet"


def test_another_input_has_no_published_weights():
    app = opened(variant="resnet18", view="field", input="3x64x64")
    assert [box.key for box in app.selectbox if "weights" in box.key] == []
