"""Mixup against its equations: Zhang, Cisse, Dauphin and Lopez-Paz 2018, section 2."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnnviz.training import data
from cnnviz.training.batches import Batches
from cnnviz.training.devices.distributed import World
from cnnviz.training.optim import batch_loss
from cnnviz.training.recipe import default_recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return data.load("digits").for_channels(1)


def batches(digits, world=None, **changes):
    recipe = default_recipe("lenet5", "digits", batch_size=100, **changes)
    return Batches(recipe, digits, torch.arange(1000), CPU, world or World())


def test_each_image_is_blended_with_another_of_the_batch(digits):
    plain, mixed = batches(digits).at(3), batches(digits, mixup=0.5).at(3)
    assert 0.5 <= mixed.share <= 1
    # The pairs are found again by their labels and pixels, not by the draws that made them.
    for blend, own, theirs in zip(mixed.images, mixed.labels, mixed.partners, strict=True):
        ours, others = plain.images[plain.labels == own], plain.images[plain.labels == theirs]
        pairs = mixed.share * ours[:, None] + (1 - mixed.share) * others[None]
        assert (pairs - blend).abs().amax((2, 3, 4)).min() < 1e-5
    assert torch.equal(mixed.labels.sort().values, plain.labels.sort().values)
    assert torch.equal(mixed.partners.sort().values, plain.labels.sort().values)


def test_shares_are_drawn_anew_each_step_from_the_beta_distribution(digits):
    drawn = batches(digits, mixup=0.4)
    shares = [drawn.at(step).share for step in range(300)]
    # The larger of lambda and 1 - lambda, lambda ~ Beta(0.4, 0.4): against numpy's own sample.
    sample = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert np.mean(shares) == pytest.approx(np.maximum(sample, 1 - sample).mean(), abs=0.03)
    assert len(set(shares)) == 300
    assert drawn.at(7).share == shares[7]


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_parts_of_a_batch_are_those_of_the_whole(digits, mixup):
    whole = batches(digits, mixup=mixup, cutout=4, flip=True).at(5)
    for rank in range(3):
        part = batches(digits, World(rank, 3), mixup=mixup, cutout=4, flip=True).at(5)
        assert part.divided
        assert (part.count, part.share) == (100, whole.share)
        assert torch.equal(part.images, whole.images[rank::3])
        assert torch.equal(part.labels, whole.labels[rank::3])
        if mixup:
            assert torch.equal(part.partners, whole.partners[rank::3])


def test_a_batch_too_small_to_be_divided_is_everybodys(digits):
    recipe = default_recipe("lenet5", "digits", batch_size=100, mixup=0.5)
    small = Batches(recipe, digits, torch.arange(103), CPU, World(1, 2))
    assert small.per_epoch == 2
    last = small.at(1)
    assert (len(last.images), last.count, last.divided) == (3, 3, False)


def test_the_loss_is_that_of_the_blended_target():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 5, generator=generator)
    own, theirs = torch.randint(0, 5, (2, 8), generator=generator)
    target = 0.7 * F.one_hot(own, 5) + 0.3 * F.one_hot(theirs, 5)
    expected = F.cross_entropy(logits, target, label_smoothing=0.1)
    loss, _ = batch_loss(logits, own, 0.1, theirs, 0.7)
    torch.testing.assert_close(loss, expected)
