"""Several runs on one chart of the Train page, with one legend for both charts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from cnnviz import registry
from cnnviz.charts import live
from cnnviz.charts import training as charts
from cnnviz.runs import Run
from cnnviz.ui.cache import run_data
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import percent
from cnnviz.ui.look.panels import chart
from cnnviz.ui.train.words import STATES, differences

#: Runs on one chart.
MOST = 8

_STYLE = """<style>
.lines { list-style: none; margin: 0 0 1rem; padding: 0 !important; display: grid; gap: .1rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
.lines li { display: grid; grid-template-columns: 44px 1fr auto; gap: .7rem; align-items: center;
  margin: 0; padding: .15rem 0; font-size: .92rem; }
.lines svg { display: block; }
.lines .value { font-variant-numeric: tabular-nums; color: var(--muted); white-space: nowrap; }
.lines .name { overflow-wrap: anywhere; }
</style>"""


def lines_of(shown: Sequence[Run]) -> list[charts.Line]:
    """Return runs as lines of a chart, named by what tells them apart."""
    names = differences(shown)
    lines = []
    for run in shown:
        recipe = run.recipe
        family = registry.get(recipe.variant).architecture
        epochs = run_data.metrics_of(run).epochs
        rests = bool(epochs) and not run.is_active
        total = epochs[-1]["epoch"] if rests else recipe.epochs
        lines.append(charts.Line(names[run.id], family, epochs, total))
    return lines


def live_chart(html: str, sentence: str) -> None:
    """Write a chart of `cnnviz.charts.live` under the sentence that it shows."""
    st.subheader(sentence, anchor=False)
    theme.drawing(live.STYLE + html)


def curves(shown: Sequence[Run]) -> None:
    """Write the accuracies and the losses of several runs, and which line is whose."""
    dark = theme.is_dark()
    lines = lines_of(shown)
    accuracy, loss = charts.several_sentences(lines)
    legend = "The list below has every run."
    total = max(line.total for line in lines)
    moving = any(run.is_active for run in shown)
    left, right = st.columns(2, gap="large")
    with left:
        if moving:
            series = live.several(lines, "accuracy")
            html = live.accuracy_html(series, total, f"{accuracy}. {legend}", legend=False)
            live_chart(html, accuracy)
        else:
            figure = charts.several_accuracies(lines, dark)
            chart(figure, accuracy, key="several-accuracy", alt=legend)
    with right:
        if moving:
            series = live.several(lines, "loss")
            live_chart(live.loss_html(series, total, f"{loss}. {legend}", legend=False), loss)
        else:
            chart(charts.several_losses(lines, dark), loss, key="several-loss", alt=legend)
    theme.drawing(_STYLE + _legend(shown, lines))


def _legend(shown: Sequence[Run], lines: Sequence[charts.Line]) -> str:
    styles = charts.line_styles([line.family for line in lines])
    items = []
    for run, line, (colour, dash) in zip(shown, lines, styles, strict=True):
        stroke = f'stroke-dasharray="{dash}"' if dash else ""
        items.append(
            '<li><svg width="44" height="10" aria-hidden="true"><line x1="0" y1="5" x2="44" y2="5" '
            f'stroke-width="2.5" style="stroke:var(--{colour}, var(--muted))" {stroke}/></svg>'
            f'<span class="name">{escape(line.name)}</span>'
            f'<span class="value">{escape(_value(run))}</span></li>'
        )
    return f'<ul class="lines">{"".join(items)}</ul>'


def _value(run: Run) -> str:
    """What a run has reached: on the test images, or where it stands."""
    status = run.status
    if status.accuracy is not None:
        return f"test {percent(status.accuracy, 2)}"
    words = STATES[run.judge(status)]
    return f"{words.sign} {words.word}, epoch {int(status.epoch):,}"
