"""The view "Evolution"."""

from cnnviz.prediction import find_models
from cnnviz.runs.trainer.snapshots import FOLDER, list_snapshots
from tests.app.deconvnet.views import headings, html_of, opened, taken

VIEW = "evolution"


def test_a_run_shows_its_units_epoch_by_epoch(finished):
    (name,) = find_models()
    epochs = list(list_snapshots(finished))
    assert epochs == [1, 2]
    app = opened(VIEW, name)
    page = html_of(app)
    for epoch in epochs:
        assert f"epoch {epoch}</th>" in page
        assert page.count(f"after epoch {epoch}: activation") == 6
    assert page.count("Test image ") == 12
    assert "changed" in headings(app)[0]
    assert not app.error
    assert (finished.path / "scans").is_dir()


def test_units_are_in_the_url_and_images_can_be_hidden(finished):
    app = opened(VIEW, finished.id, units="3-1-99-x", layer="c1")
    assert app.multiselect(key="evolution_units").value == [3, 1]
    page = html_of(app)
    assert page.count('scope="row"') == 2
    assert page.index("Unit 3<") < page.index("Unit 1<")
    app.multiselect(key="evolution_units").set_value([2]).run()
    assert app.query_params["units"] == "2"
    app.toggle(key="evolution_images").set_value(False).run()
    assert not app.exception
    assert "Test image " not in html_of(app)
    assert app.query_params["shown"] == "patterns"
    app.multiselect(key="evolution_units").set_value([]).run()
    assert "Choose one or more units" in app.info[0].value


def test_another_layer_starts_with_its_own_units(finished):
    app = opened(VIEW, finished.id, units="5-12", layer="c3")
    app.selectbox(key="layer").set_value("c1").run()
    assert not app.exception
    assert app.multiselect(key="evolution_units").value == [0, 1, 2, 3, 4, 5]


def test_without_kept_epochs_it_says_why_and_what_to_do(finished):
    for file in (finished.path / FOLDER).iterdir():
        file.unlink()
    app = opened(VIEW, finished.id)
    assert "kept its last weights only" in app.info[0].value
    assert "Train LeNet-5" in app.get("page_link")[0].proto.label
    app = opened(VIEW, "vgg11_cifar@random")
    assert "have not been trained" in app.info[0].value


def test_a_model_without_its_run_names_the_ones_that_have_epochs(finished, monkeypatch):
    monkeypatch.delenv("CNNVIZ_CHECKPOINTS")
    app = opened(VIEW, "lenet5_cifar")
    assert "came without its run" in app.info[0].value
    labels = [link.proto.label for link in app.get("page_link")]
    assert f"{finished.id} →" in labels


def test_pictures_and_numbers_can_be_taken(finished, monkeypatch):
    ((picture, arrays),) = taken(monkeypatch, VIEW, finished.id, units="0-4").values()
    assert arrays["epochs"].tolist() == [1, 2]
    assert arrays["units"].tolist() == [0, 4]
    assert arrays["pixels"].shape == (2, 2, 1, 32, 32)
    assert arrays["jumps"].shape == (2, 2)
    assert picture.ndim == 3
