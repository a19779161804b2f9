"""Calibration against its definition, written out image by image."""

import math

import pytest
import torch

from cnnviz.training.calibration import BINS, Tally


def tallied(logits, labels, batch=1000):
    tally = Tally()
    for part, wanted in zip(logits.split(batch), labels.split(batch), strict=True):
        tally.add(part, wanted)
    return tally.calibration()


def as_defined(logits, labels):
    """ECE of Guo et al. 2017, equation 3, and Brier's score, in plain Python."""
    bins = [[] for _ in range(BINS)]
    squares = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(value - max(row)) for value in row)
        p = [math.exp(value - max(row)) / total for value in row]
        confidence = max(p)
        m = next(m for m in range(1, BINS + 1) if (m - 1) / BINS < confidence <= m / BINS)
        bins[m - 1].append((confidence, p.index(confidence) == label))
        squares += sum((value - (k == label)) ** 2 for k, value in enumerate(p))
    count = len(labels)
    ece = sum(
        len(b) / count * abs(sum(r for _, r in b) / len(b) - sum(c for c, _ in b) / len(b))
        for b in bins
        if b
    )
    return ece, squares / count, [len(b) for b in bins]


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_it_is_the_definition(scale):
    drawn = torch.Generator().manual_seed(3)
    logits = scale * torch.randn(700, 10, generator=drawn)
    labels = torch.randint(0, 10, (700,), generator=drawn)
    ours = tallied(logits, labels, batch=96)
    ece, brier, counts = as_defined(logits.double(), labels)
    assert ours.ece == pytest.approx(ece, abs=1e-9)
    assert ours.brier == pytest.approx(brier, abs=1e-9)
    assert [b.count for b in ours.bins] == counts


def test_a_coin_of_two_sides_said_to_be_one():
    """Sure of class 0 with probability 0.9, right half of the time: an error of 0.4."""
    logits = torch.tensor([[math.log(0.9), math.log(0.1)]]).repeat(10, 1)
    result = tallied(logits, torch.tensor([0, 1] * 5))
    assert result.ece == pytest.approx(0.4, abs=1e-6)
    assert result.brier == pytest.approx((2 * 0.1**2 + 2 * 0.9**2) / 2, abs=1e-6)
    (filled,) = [b for b in result.bins if b.count]
    assert result.bins.index(filled) == math.ceil(0.9 * BINS) - 1
    assert (filled.count, filled.accuracy) == (10, 0.5)
    assert filled.confidence == pytest.approx(0.9)


def test_certainty_is_in_the_last_bin_and_right_answers_cost_nothing():
    result = tallied(1000.0 * torch.eye(10), torch.arange(10))
    assert (result.ece, result.brier) == (0.0, 0.0)
    assert result.bins[-1].count == 10
    assert all(b.count == 0 and b.confidence is None for b in result.bins[:-1])
    wrong = tallied(1000.0 * torch.eye(10), (torch.arange(10) + 1) % 10)
    assert (wrong.ece, wrong.brier) == (1.0, 2.0)


def test_even_odds_among_all_classes_lie_in_their_own_bin():
    result = tallied(torch.zeros(30, 15), torch.zeros(30, dtype=torch.long))
    assert sum(b.count for b in result.bins[:2]) == 30  # 1 / 15 is the border of the two
    assert result.brier == pytest.approx(14 / 15)


def test_without_numbers_there_is_no_result():
    assert Tally().calibration() is None
    assert tallied(torch.full((4, 3), float("nan")), torch.zeros(4, dtype=torch.long)) is None
