"""How a model errs on the test images and whether its confidence can be trusted, from its card."""

from __future__ import annotations

import streamlit as st

from cnnviz.charts import evaluation
from cnnviz.charts import training as charts
from cnnviz.training.calibration import Calibration
from cnnviz.training.saved.card import Card
from cnnviz.ui.look import theme
from cnnviz.ui.look.panels import chart


def evaluated(card: Card) -> None:
    """Write how a model errs and whether its confidence can be trusted, as its card has it."""
    dark = theme.is_dark()
    left, right = st.columns(2, gap="large")
    if card.confusion:
        with left:
            _confusion(card, dark)
    if card.per_class:
        with right if card.confusion else left:
            _classes(card, dark)
    if card.calibration is not None:
        with right:
            _reliability(card, card.calibration, dark)


def _confusion(card: Card, dark: bool) -> None:
    chart(
        evaluation.confusion_heatmap(card.confusion, card.classes, dark),
        evaluation.confusion_sentence(card.confusion, card.classes),
        key=f"confusion-{card.sha256[:12]}",
        alt="A table of the true class against the class given, with the number of images.",
    )


def _reliability(card: Card, calibration: Calibration, dark: bool) -> None:
    bins = [part.model_dump() for part in calibration.bins]
    chart(
        evaluation.reliability_diagram(bins, dark),
        evaluation.reliability_sentence(bins, calibration.ece),
        key=f"reliability-{card.sha256[:12]}",
        alt="Circles of accuracy against confidence, beside the line where both are equal.",
    )
    st.caption(
        f"Expected calibration error {100 * calibration.ece:.1f} %, Brier score "
        f"{calibration.brier:.3f}.",
        help="Calibration error: how far confidence and accuracy lie apart, averaged over the test "
        "images in 15 intervals of confidence (Guo et al. 2017). Brier score: squared error of the "
        "probabilities, summed over the classes, from 0 to 2 (Brier 1950)",
    )


def _classes(card: Card, dark: bool) -> None:
    chart(
        charts.class_bars(card.per_class, dark),
        charts.class_sentence(card.per_class),
        key=f"classes-{card.sha256[:12]}",
        alt="Bars of the share of each class's test images that is right.",
    )
