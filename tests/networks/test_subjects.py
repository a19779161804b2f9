"""Networks with the weights they are looked at with."""

import pytest
import torch

from cnnviz import registry
from cnnviz.errors import CnnvizError
from cnnviz.images import decode, sample_photos
from cnnviz.networks.subjects import find_subject, published_subject, random_subject
from cnnviz.prediction import find_models


def test_a_trained_model_is_the_checkpoint_it_names():
    subject = find_subject("resnet20_cifar")
    assert subject.weights == "trained"
    assert subject.key == find_models()["resnet20_cifar"].card.sha256
    assert subject.title == "ResNet-20 for CIFAR-10 · trained on CIFAR-10"
    model = subject.load()
    assert not model.training
    inputs, seen = subject.look_at(decode(sample_photos()["cat"]))
    assert inputs.shape == (1, 3, 32, 32)
    assert seen.shape == (32, 32, 3)
    # What is shown and what is computed on are the same picture.
    back = inputs[0] * torch.tensor(subject.std)[:, None, None]
    back = (back + torch.tensor(subject.mean)[:, None, None]) * 255
    assert (back.permute(1, 2, 0) - torch.from_numpy(seen.copy())).abs().max() < 0.51


def test_random_weights_are_the_same_twice_and_leave_the_generator_alone():
    subject = find_subject("vgg11_cifar@random")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = subject.load(), subject.load()
    assert torch.equal(torch.rand(3), expected)
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_knobs_decide_the_random_network_and_its_input():
    subject = random_subject(registry.get("mobilenet_v1"), {"width": 0.25, "resolution": 128})
    assert subject.input_size == (3, 128, 128)
    inputs, _ = subject.look_at(decode(sample_photos()["cat"]))
    assert subject.load()(inputs).shape == (1, 1000)


def test_published_weights_come_with_the_names_of_their_classes(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    subject = find_subject("alexnet@imagenet")
    assert subject == published_subject(registry.get("alexnet"))
    assert len(subject.classes) == subject.num_classes == 1000
    assert "tabby" in subject.classes
    assert 200 < subject.megabytes < 250  # torchvision's documentation: 233.1 MB
    assert not subject.is_here
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    assert subject.is_here


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet20_cifr", "did you mean 'resnet20_cifar'"),
        ("lenet5@imagenet", "lenet5 has no published weights; these have: alexnet"),
        ("alexnt@random", "did you mean 'alexnet'"),
        ("alexnet@mars", "write alexnet@imagenet or alexnet@random"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(name, sentence):
    with pytest.raises(CnnvizError, match=sentence):
        find_subject(name)
