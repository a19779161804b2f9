"""Photos in, ranked answers out: preparation, ranking, and which models are found."""

import concurrent.futures
import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from cnnviz import architectures
from cnnviz.errors import CnnvizError
from cnnviz.images import Photo, decode, encode_png, enlarge, sample_photos
from cnnviz.prediction import find_models, predict, predict_with, survey_models
from cnnviz.training.saved.card import Card
from cnnviz.training.saved.checkpoints import save_checkpoint

CLASSES = tuple("abcdefghij")


def card(name="net", variant="lenet5_cifar", **changes):
    fields = {
        "name": name,
        "variant": variant,
        "dataset": "cifar10",
        "classes": CLASSES,
        "input_size": (3, 32, 32),
        "mean": (0.4, 0.5, 0.6),
        "std": (0.2, 0.25, 0.3),
        "accuracy": 0.5,
    }
    return Card(**{**fields, **changes})


def photo_of(pixels, **fields):
    return Photo(np.asarray(pixels, dtype=np.uint8), **fields)


class Spy(nn.Module):
    """Keeps what it is given and answers with fixed logits."""

    def __init__(self, logits=range(10)):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([float(value) for value in logits]))
        self.inputs = []
        self.eval()

    def forward(self, x):
        self.inputs.append(x)
        assert torch.is_inference_mode_enabled()
        return self.logits.repeat(len(x), 1)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("checkpoints", "runs"):
        monkeypatch.setenv(f"CNNVIZ_{name.upper()}", str(tmp_path / name))
    return tmp_path


@pytest.fixture
def model():
    torch.manual_seed(0)
    return architectures.build("lenet5_cifar").eval()


def save(model, folder, **fields):
    return save_checkpoint(model, card(**fields), folder)


CAT = sample_photos()["cat"]


# Preparation


def test_the_input_equals_torchvisions_own_transforms():
    """Centre crop, antialiased resize and normalisation against torchvision's, on a real photo."""
    # 450 and not 451 wide: where a pixel is left over, either side is as good.
    photo, spy = photo_of(decode(CAT).pixels[:, :450].copy()), Spy()
    prediction = predict_with(spy, card(), photo)
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.CenterCrop(300),
            v2.Resize((32, 32), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)),
        ]
    )
    expected = transform(photo.pixels)[None]
    # One grey level of 255, divided by the smallest deviation, is 0.02.
    torch.testing.assert_close(spy.inputs[0], expected, rtol=0, atol=0.021)
    seen = (spy.inputs[0][0] * torch.tensor(card().std).view(3, 1, 1)).permute(1, 2, 0)
    seen = (seen + torch.tensor(card().mean)) * 255
    assert np.abs(seen.numpy() - prediction.seen).max() < 0.01


def test_grey_is_pillows_luma():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    one = card(input_size=(1, 32, 32), mean=(0.5,), std=(0.25,))
    spy = Spy()
    seen = predict_with(spy, one, photo_of(pixels)).seen
    assert seen.shape == (32, 32, 1)
    assert spy.inputs[0].shape == (1, 1, 32, 32)
    expected = (pixels @ [0.299, 0.587, 0.114]).round()
    assert np.abs(seen[:, :, 0] - expected).max() <= 1


def test_an_image_of_the_data_sets_size_reaches_the_network_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    prediction = predict_with(Spy(), card(), decode(encode_png(pixels)))
    assert np.array_equal(prediction.seen, pixels)


def test_a_larger_input_is_enlarged_from_the_data_sets_size_as_in_training():
    spy = Spy()
    prediction = predict_with(spy, card(input_size=(3, 224, 224)), decode(CAT))
    small = predict_with(Spy(), card(), decode(CAT)).seen
    assert prediction.seen.shape == (224, 224, 3)
    assert spy.inputs[0].shape == (1, 3, 224, 224)
    again = np.asarray(Image.fromarray(prediction.seen).resize((32, 32), Image.Resampling.BOX))
    assert np.abs(again.astype(int) - small).mean() < 5


def test_an_unknown_data_set_gets_the_networks_own_size():
    square = np.asarray(Image.open(io.BytesIO(CAT)).crop((75, 0, 375, 300)))
    seen = predict_with(Spy(), card(dataset="mine", input_size=(3, 300, 300)), decode(CAT)).seen
    assert np.abs(seen.astype(int) - square).max() <= 1


def test_one_pixel_is_predicted_with_a_warning():
    photo = decode(encode_png(np.full((1, 1, 3), 7, np.uint8)))
    prediction = predict_with(Spy(), card(), photo)
    assert (prediction.seen == 7).all()
    assert "1 × 1" in prediction.notes[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_dark_ink_on_paper_is_inverted_for_digits_only(channels):
    paper = np.full((32, 32, 3), 230, np.uint8)
    paper[10:20, 14:18] = (30, 30, 60)
    size = {"input_size": (channels, 32, 32), "mean": (0.5,) * channels, "std": (0.2,) * channels}
    digits = predict_with(Spy(), card(dataset="digits", **size), photo_of(paper))
    assert digits.seen[0, 0].tolist() == [25] * channels
    assert digits.seen[15, 15, 0] > 190
    assert any("inverted" in note for note in digits.notes)
    photos = predict_with(Spy(), card(**size), photo_of(paper))
    assert photos.seen[0, 0].tolist() == [230] * channels
    assert photos.notes == ()
    dark = predict_with(Spy(), card(dataset="digits", **size), photo_of(255 - paper))
    assert dark.seen[0, 0].tolist() == [25] * channels
    assert not any("inverted" in note for note in dark.notes)


@pytest.mark.parametrize("place", [(10, 20), (60, 480)])
def test_a_small_digit_in_a_corner_is_seen_as_the_data_set_has_it(place):
    """The very digit drawn on a large sheet, noisy, is brought back to where it was."""
    from cnnviz.training.data import load

    data, top, left = load("digits"), *place
    for image in data.test_images[:5]:
        digit = image.permute(1, 2, 0).numpy()
        sheet = np.full((300, 700, 3), 235, np.int32)
        large = enlarge(255 - digit, 5).astype(np.int32)
        sheet[top : top + 160, left : left + 160] -= (255 - large) * 235 // 255
        sheet += np.random.default_rng(0).integers(-6, 7, sheet.shape, dtype=np.int32)
        photo = photo_of(sheet.clip(0, 255))
        answer = predict_with(Spy(), card(dataset="digits"), photo)
        assert any("cropped to the digit and centred" in note for note in answer.notes)
        own = predict_with(Spy(), card(dataset="digits"), photo_of(digit))
        assert own.notes == ()
        assert np.array_equal(own.seen, digit)
        # The data set's own stand up to five pixels beside the middle; these stand in it.
        moved = [np.roll(answer.seen, by, 1).ravel() for by in range(-5, 6)]
        assert max(np.corrcoef(one, digit.ravel())[0, 1] for one in moved) > 0.9
        photos = predict_with(Spy(), card(), photo)
        assert photos.notes == ()  # other data sets see the middle of the sheet


def test_what_reaches_the_edges_is_no_digit_to_crop_to():
    ramp = np.arange(90, dtype=np.uint8)[:, None, None].repeat(60, 1).repeat(3, 2) * 2
    answer = predict_with(Spy(), card(dataset="digits"), photo_of(ramp))
    assert answer.notes == ()
    assert answer.seen[-1].min() > answer.seen[0].max()


def test_a_blank_sheet_has_no_digit_to_crop_to():
    blank = predict_with(Spy(), card(dataset="digits"), photo_of(np.full((90, 60, 3), 240)))
    assert [note for note in blank.notes if "cropped" in note] == []
    assert (blank.seen == 15).all()


# Ranking


def test_classes_are_ranked_and_probabilities_are_the_softmax():
    logits = [0.0, 3.0, 1.0, 2.0]
    four = card(classes=("a", "b", "c", "d"))
    prediction = predict_with(Spy(logits), four, decode(CAT))
    assert prediction.classes == ("b", "d", "c", "a")
    weights = np.exp(sorted(logits, reverse=True))
    assert prediction.probabilities == pytest.approx(weights / weights.sum())
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-12)
    cut = predict_with(Spy(logits), four, decode(CAT), top=2)
    assert cut.classes == ("b", "d")
    assert cut.probabilities == prediction.probabilities[:2]


def test_a_prediction_says_what_it_comes_from():
    photo = photo_of(np.zeros((32, 32, 3)), notes=("from the photo",))
    prediction = predict_with(Spy(), card(), photo, name="run-1")
    assert prediction.model == "run-1"
    assert (prediction.variant, prediction.dataset) == ("lenet5_cifar", "cifar10")
    assert prediction.accuracy == 0.5
    assert prediction.notes == ("from the photo",)
    assert predict_with(Spy(), card(), photo).model == "net"


def test_latency_is_the_median_of_five_passes_after_one(monkeypatch):
    passes = [0.003, 0.001, 0.002, 0.9, 0.004]
    ticks = iter([t for i, span in enumerate(passes) for t in (i * 10, i * 10 + span)])
    monkeypatch.setattr("cnnviz.prediction.time.perf_counter", lambda: next(ticks))
    spy = Spy()
    assert predict_with(spy, card(), decode(CAT)).latency_ms == pytest.approx(3.0)
    assert len(spy.inputs) == 6


def test_a_model_without_a_finite_answer_is_named():
    with pytest.raises(CnnvizError, match="net gives no finite answer"):
        predict_with(Spy([float("nan")] * 10), card(), decode(CAT))


def test_a_model_in_training_mode_is_refused_and_left_alone(model):
    model.train()
    with pytest.raises(ValueError, match="evaluation mode"):
        predict_with(model, card(), decode(CAT))
    assert model.training


def test_threads_that_share_a_model_get_the_same_answers_and_leave_it_unchanged():
    model = architectures.build("resnet20_cifar").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    photos = [decode(data) for data in sample_photos().values()]
    alone = [predict_with(model, card(), photo).probabilities for photo in photos]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: predict_with(model, card(), photo), photos * 4))
    for i, prediction in enumerate(together):
        assert prediction.probabilities == pytest.approx(alone[i % len(photos)], rel=1e-4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.is_grad_enabled()


# Which models


def test_published_models_and_runs_are_found_and_asked(folders, model):
    save(model, folders / "checkpoints")
    other = architectures.build("lenet5_cifar").eval()
    save(other, folders / "runs" / "run-1", name="lenet5_cifar", accuracy=None)
    (folders / "runs" / "run-1" / "recipe.json").write_text("{}")
    (folders / "runs" / "run-2").mkdir()
    (folders / "runs" / "notes.txt").write_text("")
    assert set(find_models()) == {"net", "run-1"}
    answers = predict(CAT)
    assert {answer.model for answer in answers} == {"net", "run-1"}
    assert answers[0].probabilities != answers[1].probabilities
    (run,) = predict(CAT, models=["run-1"], top=3)
    assert (run.model, run.variant, run.accuracy) == ("run-1", "lenet5_cifar", None)
    assert len(run.classes) == 3
    assert [p.model for p in predict(CAT, models=["run-1", "net"])] == ["run-1", "net"]


def test_a_published_run_answers_once(folders, model):
    save(model, folders / "checkpoints")
    save(model, folders / "runs" / "run-1", name="lenet5_cifar")
    assert set(find_models()) == {"net"}


def test_predict_agrees_with_the_network_itself(folders, model):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    checkpoint = save(model, folders / "checkpoints")
    (prediction,) = predict(encode_png(pixels))
    inputs = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    inputs = (inputs - torch.tensor(card().mean).view(3, 1, 1)) / torch.tensor(card().std).view(
        3, 1, 1
    )
    with torch.no_grad():
        expected = checkpoint.load_model()(inputs)[0].softmax(0)
    for name, probability in zip(prediction.classes, prediction.probabilities, strict=True):
        assert probability == pytest.approx(float(expected[CLASSES.index(name)]), rel=1e-4)


def test_without_models_the_message_says_how_to_train_one(folders):
    for models in (None, ["net"]):
        with pytest.raises(CnnvizError, match="python -m cnnviz train lenet5 --dataset digits"):
            predict(CAT, models=models)


def test_an_unknown_model_is_refused_with_the_nearest_name(folders, model):
    save(model, folders / "checkpoints", name="resnet_mine")
    with pytest.raises(CnnvizError, match="'resnet_mine'"):
        predict(CAT, models=["resnet_mime"])
    with pytest.raises(CnnvizError, match="known: resnet_mine"):
        predict(CAT, models=["../../etc/passwd"])
    for number in range(15):
        save(model, folders / "checkpoints", name=f"zz{number:02}")
    with pytest.raises(CnnvizError, match=r"known: zz03, .*, zz14 and others\."):
        predict(CAT, models=["../../etc/passwd"])


def test_broken_models_are_left_out_and_named(folders, model):
    save(model, folders / "checkpoints")
    save(model, folders / "checkpoints", name="torn")
    (folders / "checkpoints" / "torn.json").write_text("{")
    for name in ("one", "two"):
        save(model, folders / "runs" / "double", name=name)
    outside = folders / "outside"
    save(model, outside)
    (folders / "runs" / "linked").symlink_to(outside)
    save(model, folders / "runs" / "Upper")
    survey = survey_models()
    assert set(survey.models) == {"net"}
    assert set(survey.problems) == {"torn", "double", "linked", "Upper"}
    assert [answer.model for answer in predict(CAT)] == ["net"]
    with pytest.raises(CnnvizError, match=r"torn\.json is not JSON"):
        predict(CAT, models=["torn"])


def test_a_card_alone_is_known_and_cannot_be_asked(folders, model):
    save(model, folders / "checkpoints")
    save(architectures.build("lenet5_cifar").eval(), folders / "checkpoints", name="net-seed1")
    (folders / "checkpoints" / "net-seed1.safetensors").unlink()
    survey = survey_models()
    assert (set(survey.models), set(survey.cards), survey.problems) == ({"net"}, {"net-seed1"}, {})
    assert [answer.model for answer in predict(CAT)] == ["net"]
    with pytest.raises(CnnvizError, match="net-seed1 is known by its card alone"):
        predict(CAT, models=["net-seed1"])


def test_a_run_whose_card_was_published_alone_is_known_once(folders, model):
    save(model, folders / "checkpoints", name="net-seed1").path.unlink()
    save(model, folders / "runs" / "run-1", name="net-seed1")
    survey = survey_models()
    assert (set(survey.models), survey.cards) == ({"run-1"}, {})


def test_a_damaged_model_is_named_when_asked(folders, model):
    checkpoint = save(model, folders / "checkpoints")
    data = bytearray(checkpoint.path.read_bytes())
    data[-1] ^= 1
    checkpoint.path.write_bytes(bytes(data))
    with pytest.raises(CnnvizError, match=r"net\.safetensors is damaged"):
        predict(CAT)


@pytest.mark.parametrize("top", [0, -1])
def test_top_must_be_positive(folders, top):
    with pytest.raises(CnnvizError, match="top must be 1 or more"):
        predict(CAT, top=top)


def test_a_picture_that_cannot_be_read_is_refused(folders):
    with pytest.raises(CnnvizError, match="is not a PNG"):
        predict(b"text")


def test_a_network_trained_on_the_digits_reads_an_enlarged_photo_of_them(folders):
    """The whole way: a linear classifier fitted here in closed form, asked through pictures."""
    from cnnviz.training.data import load

    data = load("digits")
    centres = torch.stack(
        [data.train_images[data.train_labels == digit].float().mean(0) for digit in range(10)]
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()
    mean, std = torch.tensor(data.mean).view(3, 1, 1), torch.tensor(data.std).view(3, 1, 1)
    normal = ((centres / 255 - mean) / std).flatten(1)
    with torch.no_grad():  # the nearest centre: argmax of c·x − |c|²/2
        model[1].weight.copy_(normal)
        model[1].bias.copy_(-normal.square().sum(1) / 2)
    digits = card(dataset="digits", classes=data.classes, mean=data.mean, std=data.std)
    right = 0
    for image, label in zip(data.test_images[:60], data.test_labels[:60], strict=True):
        pixels = 255 - enlarge(image.permute(1, 2, 0).numpy(), 5)  # dark ink, 160 × 160
        answer = predict_with(model, digits, decode(encode_png(pixels)))
        right += answer.classes[0] == str(int(label))
    assert right >= 48  # nearest centres read about nine of ten


def test_a_deleted_run_is_gone(folders, model):
    save(model, folders / "runs" / "run-1")
    assert set(find_models()) == {"run-1"}
    shutil.rmtree(folders / "runs" / "run-1")
    assert find_models() == {}
