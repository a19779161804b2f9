import io
import re
import tomllib

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnnviz import build, images
from cnnviz.images import encode_png, sample_photos
from cnnviz.prediction import predict
from cnnviz.runs import publish
from cnnviz.settings import ROOT
from cnnviz.training.saved.checkpoints import list_checkpoints, save_checkpoint

PAGE = str(ROOT / "pages" / "predict.py")
CAT = sample_photos()["cat"]


def opened(**query):
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return fine(app.run())


def fine(app):
    assert not app.exception
    return app


def html_of(app):
    return " ".join(element.proto.body for element in app.get("html"))


def upload(app, *files):
    app.file_uploader[0].set_value([(n, d, "image/png") for n, d in files]).run()
    return fine(app)


def jpeg(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def test_without_a_trained_network_it_offers_to_train_one(no_checkpoints):
    app = opened()
    assert "No network has been trained yet" in app.info[0].value
    (link,) = app.get("page_link")
    assert link.proto.page == "train"
    assert link.proto.query_string == "variant=lenet5&dataset=digits"
    assert not app.file_uploader


def test_a_sample_is_answered_at_once_as_the_library_answers(finished):
    app = opened(sample="cat")
    (expected,) = predict(CAT)
    shown = html_of(app)
    assert f'data-model="{finished.id}"' in shown
    assert f"{expected.probabilities[0] * 100:.1f} %" in shown
    assert f"{finished.status.accuracy * 100:.1f} % on test" in shown
    frame = app.dataframe[0].value
    assert frame["class"].tolist() == list(expected.classes)
    assert frame["probability"].tolist() == pytest.approx(list(expected.probabilities), rel=1e-4)
    assert frame["rank"].tolist() == list(range(1, 11))
    assert "32 × 32, grey" in shown
    assert any("0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in caption.value for caption in app.caption)


def test_a_deep_link_chooses_the_sample(finished):
    assert opened(sample="rocket").selectbox(key="sample").value == "rocket"
    digit = "handwritten digit"  # what the only network reads
    assert opened(sample="nosuch").selectbox(key="sample").value == digit


def test_networks_of_digits_are_asked_about_a_digit_at_first():
    digit = "handwritten digit"
    assert opened(model="lenet5").selectbox(key="sample").value == digit
    assert opened(model="resnet20_cifar").selectbox(key="sample").value == "cat"
    assert opened().selectbox(key="sample").value == "cat"
    assert opened(model="lenet5", sample="cat").selectbox(key="sample").value == "cat"


def test_a_deep_link_chooses_the_model(finished, no_checkpoints):
    other(finished, no_checkpoints)
    app = opened(model="other")
    assert app.multiselect(key="asked").value == ["other"]
    assert app.dataframe[0].value["model"].unique().tolist() == ["other"]
    everyone = opened(model="nosuch")
    assert set(everyone.dataframe[0].value["model"]) == {"other", finished.id}
    everyone.multiselect(key="asked").set_value([finished.id]).run()
    fine(everyone)
    assert everyone.dataframe[0].value["model"].unique().tolist() == [finished.id]


def other(finished, folder, **changes):
    """Publish a network that differs from the run's in one weight."""
    from cnnviz.training.saved.checkpoints import list_checkpoints, save_checkpoint

    source = list_checkpoints(finished.path)[0]
    model = source.load_model()
    next(model.parameters()).data += 0.01
    card = source.card.model_copy(update={"name": "other"} | changes)
    return save_checkpoint(model, card, folder)


def test_a_published_run_answers_once(finished):
    publish(finished, "lenet5")
    app = opened()
    assert app.dataframe[0].value["model"].unique().tolist() == ["lenet5"]
    assert "· lenet5" not in html_of(app)  # its title says as much


def test_what_is_published_under_another_name_is_called_so_and_no_run(finished):
    publish(finished, "lenet5-wide")
    assert "· lenet5-wide</span>" in html_of(opened())


def test_an_uploaded_photo_is_answered_instead_of_the_sample(finished):
    app = opened(sample="cat")
    address = dict(app.query_params)
    photo = encode_png(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    upload(app, ("my photo.png", photo))
    (expected,) = predict(photo)
    frame = app.dataframe[0].value
    assert frame["class"].tolist() == list(expected.classes)
    assert [header.value for header in app.header] == ["Your photo: my photo.png"]
    assert dict(app.query_params) == address
    next(b for b in app.button if b.label == "Drop my photo.png").click().run()
    fine(app)
    assert [header.value for header in app.header] == ["Sample photo: cat"]
    (expected,) = predict(CAT)
    assert app.dataframe[0].value["class"].tolist() == list(expected.classes)


@pytest.mark.parametrize(
    "data", [b"", b"not a picture", CAT[:5000], b"<svg onload=alert(1)></svg>"]
)
def test_a_broken_upload_gets_one_sentence(finished, data):
    app = upload(opened(), ("photo.png", data))
    assert len(app.error) == 1
    assert app.error[0].value.startswith("photo.png ")
    assert not app.dataframe


def test_several_at_once_are_answered_one_by_one(finished):
    dark, light = (encode_png(np.full((32, 32, 3), value, np.uint8)) for value in (10, 240))
    app = upload(opened(), ("dark.png", dark), ("broken.png", b"x"), ("light.png", light))
    assert len(app.dataframe) == 2
    assert len(app.error) == 1
    assert "inverted" in " ".join(caption.value for caption in app.caption)


def test_two_photos_of_one_name_are_no_conflict(finished):
    photo = jpeg(np.full((20, 20, 3), 77, np.uint8))
    app = upload(opened(), ("image.jpg", CAT), ("image.jpg", photo), ("image.jpg", photo))
    assert len(app.dataframe) == 3


def test_a_name_with_markup_is_only_a_name(finished):
    name = '<img src=x onerror="alert(1)">**b** [l](javascript:x).png'
    app = upload(opened(), (name, CAT), ("<b>bad</b>.png", b"x"))
    everything = html_of(app) + " ".join(
        str(element.value) for kind in (app.markdown, app.caption, app.error) for element in kind
    )
    assert "<img src=x" not in everything
    assert "<b>bad" not in everything
    assert "javascript:" not in everything
    (header,) = app.header
    assert "onerror" in header.value
    assert not {"<", "*", "["} & set(header.value)


def deep_grey(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_photo_that_streamlit_cannot_write_is_shown_and_so_are_those_after_it(finished):
    """Pillow cannot save 16-bit grey as Streamlit would; other modes are of that kind."""
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    animated, frames = (
        io.BytesIO(),
        [Image.new("RGB", (40, 40), value) for value in ("red", "blue")],
    )
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    ink = io.BytesIO()
    Image.new("CMYK", (40, 40), (9, 90, 0, 0)).save(ink, "JPEG")
    app = opened()
    upload(
        app,
        ("deep.png", deep_grey(deep)),
        ("moving.gif", animated.getvalue()),
        ("ink.jpg", ink.getvalue()),
        ("cat.png", CAT),
    )
    assert len(app.dataframe) == len(app.header) == len(app.get("image")) == 4
    assert not app.error
    assert "the animation's first frame is used" in " ".join(c.value for c in app.caption)


def test_a_refused_file_leaves_no_answers_of_another_picture(finished):
    app = upload(opened(sample="cat"), ("IMG_1.tif", b"II*\0" + b"\0" * 99))
    assert app.error[0].value.startswith("IMG_1.tif is a TIFF picture")
    assert "save it as JPEG" in app.error[0].value
    assert not app.dataframe
    assert not app.get("image")
    assert not app.header
    next(b for b in app.button if b.label == "Back to the sample photo").click().run()
    assert not fine(app).error
    assert [header.value for header in app.header] == ["Sample photo: cat"]
    upload(app, ("big.jpg", b"\xff\xd8\xff" + b"\0" * images.BYTE_LIMIT))
    assert "40 MB" in app.error[0].value
    assert not app.dataframe
    app.selectbox(key="sample").set_value("coffee").run()  # picking a sample goes on, too
    assert not fine(app).error
    assert [header.value for header in app.header] == ["Sample photo: coffee"]


def test_the_limits_are_said_beside_the_uploader(finished):
    said = " ".join(caption.value for caption in opened().caption)
    assert "up to 40 MB and 64 million pixels" in said
    (uploader,) = opened().file_uploader
    assert not uploader.proto.type  # our sentence refuses, and not a chip without words
    assert uploader.proto.max_upload_size_mb > images.BYTE_LIMIT / 2**20
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxUploadSize"] == uploader.proto.max_upload_size_mb


def test_each_small_picture_says_for_which_networks_it_is():
    """The digit stands on black and is not inverted; a dark one on paper is, for digits only."""
    paper = np.full((64, 64, 3), 240, np.uint8)
    paper[10:54, 28:36] = 20
    app = upload(opened(), ("one.png", encode_png(paper)))
    shown = html_of(app)
    captions = re.findall("<figcaption>([^/]+)</figcaption>", shown.replace("<br>", ", "))
    assert "32 × 32, grey, for networks of handwritten digits" in captions
    assert "32 × 32, colour, for networks of CIFAR-10" in captions
    assert len(captions) == 2
    notes = [c.value for c in app.caption if c.value.startswith("Note ")]
    assert any(n.startswith("Note for networks of handwritten digits: its col") for n in notes)


def test_damaged_models_are_named_and_the_others_answer(finished, no_checkpoints):
    damaged = other(finished, no_checkpoints)
    damaged.path.write_bytes(damaged.path.read_bytes()[:-1] + b"x")
    (no_checkpoints / "torn.safetensors").write_bytes(b"")
    (no_checkpoints / "torn.json").write_text("{")
    app = opened()
    warnings = " ".join(item.value for item in app.warning)
    assert "torn.json is not JSON" in warnings
    assert "other.safetensors is damaged" in warnings
    assert app.dataframe[0].value["model"].unique().tolist() == [finished.id]


def test_networks_known_by_their_card_alone_are_named_and_not_asked(finished, no_checkpoints):
    other(finished, no_checkpoints).path.unlink()
    app = opened(model="other")
    assert "other is known by its card alone and cannot be asked." in [c.value for c in app.caption]
    assert app.dataframe[0].value["model"].unique().tolist() == [finished.id]
    other(finished, no_checkpoints, seed=4).path.rename(no_checkpoints / "moved")
    other(finished, no_checkpoints, name="second").path.unlink()
    captions = [caption.value for caption in opened().caption]
    assert "other and second are known by their card alone and cannot be asked." in captions


def test_a_network_that_this_version_does_not_know_is_named(finished, no_checkpoints):
    other(finished, no_checkpoints, variant="from_the_future")
    app = opened()
    assert "from_the_future" in " ".join(item.value for item in app.warning)
    assert app.dataframe[0].value["model"].unique().tolist() == [finished.id]


def test_of_many_models_the_best_of_each_network_are_drawn(finished, no_checkpoints):
    (cnn,) = list_checkpoints(finished.path)
    model = cnn.load_model()
    for seed in range(14):
        next(model.parameters()).data += 0.01
        card = cnn.card.model_copy(update={"name": f"seed-{seed}", "accuracy": 0.5 + seed / 100})
        save_checkpoint(model, card, no_checkpoints)
    worst = build("lenet_modern", num_classes=10)
    card = cnn.card.model_copy(
        update={"name": "other", "variant": "lenet_modern", "knobs": {}, "accuracy": 0.1}
        | {"input_size": (3, 32, 32), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    )
    save_checkpoint(worst, card, no_checkpoints)
    app = opened()
    drawn = re.findall('data-model="([^"]+)"', html_of(app))
    assert len(drawn) == 12
    assert drawn[-1] == "other"  # the least accurate of 16, and the best of its network
    assert "Drawn: 12 of 16 models" in " ".join(caption.value for caption in app.caption)
    assert app.dataframe[0].value["model"].nunique() == 16
    app.multiselect(key="asked").set_value(["seed-3"]).run()
    assert re.findall('data-model="([^"]+)"', html_of(fine(app))) == ["seed-3"]


def test_titles_leave_out_the_data_set_that_stands_above_them():
    app = opened()
    assert "Trained on CIFAR-10" in [heading.value for heading in app.subheader]
    assert "<strong>ResNet-20</strong>" in html_of(app)


def test_what_a_link_asks_for_and_is_not_there_is_said(finished):
    said = [warning.value for warning in opened(sample="nonsense", model="no-run").warning]
    assert any("no sample called “nonsense”" in text for text in said)
    assert "There is no trained network called “no-run”: left out." in said
