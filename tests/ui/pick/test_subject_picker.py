import pytest
from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from cnnviz.ui.pick import subject_picker

if not st.session_state.get("elsewhere"):
    subject = subject_picker.pick_subject(st.container())
    subject_picker.say_weights(subject)
    st.write(subject.name)
"""


@pytest.fixture
def app():
    return AppTest.from_string(SCRIPT, default_timeout=60)


def shown(app):
    assert not app.exception
    return app.markdown[0].value


def test_the_most_accurate_network_on_photos_is_first(app):
    assert shown(app.run()) == "resnet20_cifar"
    assert app.query_params["model"] == "resnet20_cifar"
    assert app.selectbox[0].options[0].endswith("· trained")
    assert any(option.endswith("· untrained") for option in app.selectbox[0].options)


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        (("alexnet",), "alexnet_cifar"),
        (("mobilenet-to-come", "lenet"), "lenet_modern"),  # the best on photos, none on digits
        (("to-come",), "resnet20_cifar"),  # none is trained
    ],
)
def test_a_page_may_begin_with_a_family(families, expected):
    app = AppTest.from_string(
        SCRIPT.replace("st.container())", f"st.container(), {families!r})"), default_timeout=60
    )
    assert shown(app.run()) == expected
    app.query_params["model"] = "resnet20_cifar"
    assert shown(app.run()) == "resnet20_cifar"


def test_another_network_is_in_the_url_and_random_weights_say_so(app):
    app.run()
    app.selectbox(key="subject-network").set_value("vgg11_cifar").run()
    assert app.query_params["model"] == "vgg11_cifar@random"
    assert "These weights are random" in app.info[0].value


def test_a_link_names_a_model_or_a_network(app, untrained):
    app.query_params["model"] = "lenet5@random"
    app.run()
    assert app.query_params["model"] == "lenet5@random"
    app.query_params["model"] = untrained
    app.run()
    assert app.query_params["model"] == f"{untrained}@random"


def test_an_unknown_model_is_said_and_what_is_said_is_shown(app):
    app.query_params["model"] = "lenet5"
    app.run()
    app.query_params["model"] = "nothing"
    app.run()
    assert "There is no model called “nothing”. Showing ResNet-20" in app.warning[0].value
    assert app.query_params["model"] == "resnet20_cifar"


def test_published_weights_that_are_not_here_are_offered(app, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    app.query_params["model"] = "alexnet"
    app.run()
    assert not app.exception
    assert app.query_params["model"] == "alexnet@imagenet"
    assert "are not on this machine yet" in app.info[0].value
    assert app.button[0].label == "Download them"
    assert not app.markdown  # the page ends there


def test_the_choice_is_remembered_on_the_way_back(app):
    app.query_params["model"] = "lenet5"
    app.run()
    app.session_state["elsewhere"] = True
    app.run()
    app.session_state["elsewhere"] = False
    del app.query_params["model"]
    assert shown(app.run()) == "lenet5"


@pytest.mark.parametrize(("name", "offered"), [("zfnet_cifar", True), ("vgg16", False)])
def test_training_is_offered_for_networks_of_the_data_sets_size(app, name, offered):
    app.query_params["model"] = f"{name}@random"
    app.run()
    assert "These weights are random" in app.info[0].value
    assert bool(app.get("page_link")) == offered
