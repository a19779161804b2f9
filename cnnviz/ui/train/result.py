"""What a finished run reached: how it errs and whether its confidence can be trusted."""

from __future__ import annotations

import streamlit as st

from cnnviz.charts import evaluation
from cnnviz.charts import training as charts
from cnnviz.runs import Run
from cnnviz.runs.trainer.snapshots import list_snapshots
from cnnviz.training.calibration import Calibration
from cnnviz.training.saved.checkpoints import Card
from cnnviz.ui.cache import run_data
from cnnviz.ui.look import theme
from cnnviz.ui.look.panels import chart
from cnnviz.ui.pick import photo_picker
from cnnviz.ui.state import links


def ways_on(run: Run) -> None:
    """Write links to where the model of a finished run can be looked at."""
    name = run_data.model_name(run)
    with st.container(horizontal=True, gap="medium"):
        shown = photo_picker.for_dataset(run.recipe.dataset)
        links.link("predict", "Ask it about a photo →", model=name, **shown)
        links.link("filters", "See its filters →", model=name)
        links.link("deconvnet", "See what its units see →", model=name)
        if list_snapshots(run):
            links.link("deconvnet", "See its units evolve →", model=name, view="evolution")
        links.link("compare", "Find it in the comparison →", dataset=run.recipe.dataset)


def show(run: Run) -> None:
    """Write the evaluation on the test images, as far as the run's card has it."""
    card = run_data.card_of(run)
    if card is None or not (card.confusion or card.calibration or card.per_class):
        return
    st.header("On the test images", anchor=False)
    evaluated(card)


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
