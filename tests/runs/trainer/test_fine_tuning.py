"""Fine-tuning: published weights or a run's own, the last layer replaced, the same view of a photo.

The download is replaced by weights of the published names and shapes; nothing needs a network.
"""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as reference

from cnnviz import runs
from cnnviz.errors import CnnvizError
from cnnviz.images import Photo
from cnnviz.networks.subjects import find_subject
from cnnviz.prediction import prepare
from cnnviz.runs.trainer import worker
from cnnviz.runs.trainer.recompute import recompute
from cnnviz.runs.trainer.start import starting_weights
from cnnviz.settings import runs_dir
from cnnviz.training import data, loop
from cnnviz.training.recipe import default_recipe, named_recipes
from cnnviz.training.saved.checkpoints import list_checkpoints

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def digits():
    """A few digits instead of all: the networks here take 64 × 64 pixels and more."""
    every = data.load("digits")
    few = dataclasses.replace(
        every,
        train_images=every.train_images[:48],
        train_labels=every.train_labels[:48],
        test_images=every.test_images[:40],
        test_labels=every.test_labels[:40],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *_, **__: few)
        yield few


@pytest.fixture(scope="module")
def published():
    """Stand in for the download: by name, weights drawn at random, as torchvision builds them."""
    states = {}

    def download(url, **_):
        name = url.rsplit("/", 1)[1].split("-")[0]
        torch.manual_seed(1)
        states[name] = torchvision.models.get_model(name, weights=None).state_dict()
        return dict(states[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "load_state_dict_from_url", download)
        yield states


def chapter(variant, **changes):
    """The chapter's recipe on the digits, which need no download, for a step or two."""
    short = {"dataset": "digits", "batch_size": 8, "holdout": 32, "epochs": 1}
    recipe = named_recipes(variant)["chapter"].changed(precision="fp32", **short)
    return recipe.changed(**changes)


def test_the_chapter_s_alexnet_begins_with_published_weights_and_ten_classes(digits, published):
    recipe = chapter("alexnet")
    trainer = loop.Trainer(recipe, digits, CPU, start=starting_weights(recipe))
    state = trainer.model.state_dict()
    for name, tensor in published["alexnet"].items():
        if not name.startswith("classifier.6."):
            assert torch.equal(state[name], tensor), name
    assert state["classifier.6.weight"].shape == (10, 4096)
    batch = trainer.batches.at(0)
    assert batch.images.shape == (8, 3, 64, 64)
    before = trainer.model.features[0].weight.clone()
    for _ in range(2):
        trainer.train_step()
    assert not torch.equal(trainer.model.features[0].weight, before)
    assert torch.isfinite(trainer._loss)


def test_training_crops_anywhere_and_evaluation_in_the_middle(digits, published):
    trainer = loop.Trainer(chapter("resnet18"), digits, CPU)
    assert (trainer.size, trainer.resized) == ((64, 64), 70)
    images = trainer.data.train_images[:4]
    enlarged = reference.resize(images.float() / 255, [70, 70], antialias=True)
    middle = reference.center_crop(enlarged, [64, 64])
    middle = reference.normalize(middle, list(trainer.data.mean), list(trainer.data.std))
    seen = []
    handle = trainer.final_model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        trainer.evaluate(images, trainer.data.train_labels[:4])
    finally:
        handle.remove()
    torch.testing.assert_close(seen[0], middle, atol=1e-4, rtol=0)


def test_only_the_last_layer_learns_when_the_others_are_frozen(digits, published):
    recipe = chapter("resnet18", freeze=True)
    trainer = loop.Trainer(recipe, digits, CPU, start=starting_weights(recipe))
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train_step()
    changed = {
        name
        for name, tensor in trainer.model.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"fc.weight", "fc.bias"}  # batch norm's statistics stay as well


@pytest.fixture(scope="module")
def fine_tuned_folder(published, tmp_path_factory):
    """The folder of a finished run of the recipe, once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_RUNS", str(tmp_path_factory.mktemp("fine-tuned")))
        run = runs.create_run(chapter("resnet18", snapshots=False))
        assert worker.execute(run, "cpu") == "done"
    return run.path


@pytest.fixture
def fine_tuned(fine_tuned_folder, own_folders, no_checkpoints):
    """The finished run among the test's own."""
    return runs.Run(shutil.copytree(fine_tuned_folder, runs_dir() / fine_tuned_folder.name))


def test_the_card_says_how_a_photo_is_seen_and_prediction_does_it(fine_tuned):
    (checkpoint,) = list_checkpoints(fine_tuned.path)
    card = checkpoint.card
    assert (card.input_size, card.resize) == ((3, 64, 64), 70)
    again = recompute(str(checkpoint.path))
    assert again["accuracy"] == card.accuracy
    assert again["loss"] == card.loss
    pixels = np.random.default_rng(0).integers(0, 200, (50, 50, 3), dtype=np.uint8)
    pixels[0] = 0  # a dark border: digits are light on dark
    pixels[-1] = pixels[:, 0] = pixels[:, -1] = 0
    ours = prepare(Photo(pixels), card)
    small = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
    planes = torch.from_numpy(small.copy()).permute(2, 0, 1)[None].float()
    expected = reference.center_crop(reference.resize(planes, [70, 70], antialias=True), [64, 64])
    seen = torch.from_numpy(ours.seen).permute(2, 0, 1)[None].float()
    torch.testing.assert_close(seen, expected, atol=0.51, rtol=0)
    assert ours.inputs.shape == (1, 3, 64, 64)
    assert find_subject(fine_tuned.id).resize == 70


def test_a_run_begins_with_another_run_s_weights(fine_tuned, digits):
    recipe = chapter("resnet18", weights=fine_tuned.id)
    trainer = loop.Trainer(recipe, digits, CPU, start=starting_weights(recipe))
    theirs = list_checkpoints(fine_tuned.path)[0].load_model().state_dict()
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name  # as many classes: the last layer too
    with pytest.raises(CnnvizError, match=r"is resnet18.*cannot be where resnet34"):
        starting_weights(chapter("resnet34", weights=fine_tuned.id))
    with pytest.raises(CnnvizError, match="no trained model called 'nobody'"):
        starting_weights(chapter("resnet34", weights="nobody"))


def test_a_run_goes_on_without_the_weights_it_began_with(published, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a resumed run needs no download")

    run = runs.create_run(chapter("resnet18", epochs=2, snapshots=False))
    stop = run.path / "stop"
    assert worker.execute(run, "cpu", lambda _: stop.touch()) == "stopped"
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    assert worker.execute(run, "cpu") == "done"


def test_weights_of_another_network_and_inputs_too_small_are_refused(digits, published):
    recipe = chapter("resnet18")
    with pytest.raises(CnnvizError, match="of another network"):
        loop.Trainer(recipe, digits, CPU, start=starting_weights(chapter("resnet34")))
    tiny = chapter("alexnet", resize=20, crop=16)
    with pytest.raises(CnnvizError, match=r"alexnet cannot take inputs of 16 × 16 pixels"):
        loop.Trainer(tiny, digits, CPU)


def test_the_command_line_takes_the_chapter_s_recipe(monkeypatch):
    from cnnviz.cli import main

    made = []
    monkeypatch.setattr(runs, "create_run", lambda recipe: made.append(recipe) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["train", "alexnet", "--recipe", "chapter", "--epochs", "3"])
    (recipe,) = made
    assert recipe == default_recipe("alexnet", recipe="chapter", epochs=3, holdout=recipe.holdout)
    assert main(["train", "lenet5", "--recipe", "chapter"]) == 2
