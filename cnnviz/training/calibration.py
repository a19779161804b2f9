"""How far a network's confidence can be trusted: reliability, calibration error, Brier score.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), section 2;
Brier, "Verification of forecasts expressed in terms of probability" (Monthly Weather Review, 1950),
in his own form: the squares are summed over all classes, so that the score lies between 0 and 2.
The third of the usual figures, the negative log-likelihood, is the test loss itself.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

#: Guo et al. 2017, section 2: M = 15 intervals of equal width.
BINS = 15

Share = Annotated[float, Field(ge=0, le=1)]


class Bin(BaseModel):
    """The images whose confidence lies in one interval ((m - 1) / M, m / M].

    `confidence` is the mean probability of the class they were given, `accuracy` the fraction of
    them that is right; both are None where there are no images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    count: int = Field(ge=0)
    confidence: Share | None = None
    accuracy: Share | None = None


class Calibration(BaseModel):
    """Confidence against accuracy on labelled images, as a card keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ece: Share = Field(description="expected calibration error, a fraction of one")
    brier: float = Field(ge=0, le=2, description="mean squared error of the probabilities")
    bins: tuple[Bin, ...] = Field(min_length=1, description="intervals of confidence, from 0 to 1")


class Tally:
    """Sums over the batches of one evaluation, from which its `Calibration` follows."""

    def __init__(self) -> None:
        # For each bin: images, sum of their confidences, right answers.
        self._sums = torch.zeros(BINS, 3, dtype=torch.float64)
        self._squares = 0.0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: `logits` (N, classes) and `labels` (N,), both on the CPU."""
        probabilities = logits.double().softmax(1)
        confidence, answer = probabilities.max(1)
        # (m - 1) / M < confidence <= m / M; a confidence that is no number still falls in a bin.
        place = (confidence.nan_to_num(0.0) * BINS).ceil().long().clamp(1, BINS) - 1
        rows = torch.stack(
            [torch.ones_like(confidence), confidence, (answer == labels).double()], dim=1
        )
        self._sums.index_add_(0, place, rows)
        one_hot = torch.zeros_like(probabilities).scatter_(1, labels[:, None], 1.0)
        self._squares += float((probabilities - one_hot).square().sum())

    def calibration(self) -> Calibration | None:
        """Return the result; None without images, or where a network's output is not finite."""
        images = float(self._sums[:, 0].sum())
        if images == 0 or not math.isfinite(self._squares):
            return None
        gaps = (self._sums[:, 1] - self._sums[:, 2]).abs()
        return Calibration(
            ece=min(float(gaps.sum()) / images, 1.0),
            brier=min(self._squares / images, 2.0),
            bins=tuple(_bin(*row) for row in self._sums.tolist()),
        )


def _bin(count: float, confidence: float, right: float) -> Bin:
    if count == 0:
        return Bin(count=0)
    mean = min(confidence / count, 1.0)  # a sum of ones may round above their number
    return Bin(count=int(count), confidence=mean, accuracy=right / count)
