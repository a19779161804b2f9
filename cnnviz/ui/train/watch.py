"""Watching runs on the Train page: one in full, or several on one chart, live while they train."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from cnnviz import registry, runs
from cnnviz.charts import live
from cnnviz.charts import training as charts
from cnnviz.runs import Metrics, Run
from cnnviz.training.recipe import default_recipe
from cnnviz.ui.cache import run_data
from cnnviz.ui.look import theme
from cnnviz.ui.look.format import percent, si
from cnnviz.ui.look.panels import Fact, chart, facts
from cnnviz.ui.look.recipe_words import setting_label, value_text, within
from cnnviz.ui.look.refusals import left_out, quoted
from cnnviz.ui.look.words import data_name
from cnnviz.ui.state import url
from cnnviz.ui.train import actions, compare, result
from cnnviz.ui.train.request import recipe_form
from cnnviz.ui.train.words import STATES, day_and_time, duration, rate_text, run_label

#: Seconds between two looks at a run that trains.
LOOK = 1.0


def keep_run(found: dict[str, Run]) -> None:
    """Let the URL and the picker of the watched run agree; first it is one that trains.

    `found` is newest first.
    """
    before = url.read("run") or st.session_state.get("run")
    training = next((run_id for run_id, run in found.items() if run.is_training), None)
    url.keep_choice("run", found, training or next(iter(found)))
    if before and before not in (*found, st.session_state.pop(actions.GONE, None)):
        st.info(f"There is no run {quoted(before)} any more: below is another one.")


def show(found: dict[str, Run]) -> None:
    """Write the pickers of the runs to watch, after `keep_run`, and what those do."""
    shown = _pick(found)
    run = shown[0]
    states = tuple(other.state for other in shown)
    _head(run)
    actions.buttons(run, states[0])
    if states[0] == "done":
        result.ways_on(run)
    moving = any(other.is_active for other in shown)
    st.fragment(_live, run_every=LOOK if moving else None)(shown, states)


def _pick(found: dict[str, Run]) -> list[Run]:
    """Write the two pickers and return the runs that they say, the watched one first."""
    labels = {run_id: run_label(run) for run_id, run in found.items()}
    notes = st.container()
    left, right = st.columns(2)
    chosen = left.selectbox("Run", list(found), format_func=labels.__getitem__, key="run")
    others = [run_id for run_id in found if run_id != chosen]
    missing = recipe_form.keep_names("with", others, [], compare.MOST - 1)
    if missing:
        notes.warning(left_out("other run", missing))
    compared = right.multiselect(
        "Compare with",
        others,
        format_func=labels.__getitem__,
        key="with",
        max_selections=compare.MOST - 1,
        select_all=False,
        placeholder="Other runs, on the same chart",
        disabled=not others,
    )
    recipe_form.say_names("with", compared)
    return [found[run_id] for run_id in (chosen, *compared)]


def _head(run: Run) -> None:
    """Write what the run is, and what people say of it."""
    recipe, about = run.recipe, run.about
    variant = registry.get(recipe.variant)
    colour = theme.family_variable(variant.architecture)
    st.html(
        f'<h3 class="badge" style="--family:{colour};font-size:1.3rem;color:inherit;'
        f'white-space:normal;padding:0;margin:.6rem 0 0">{escape(recipe.title)} on '
        f"{data_name(recipe.dataset)}</h3>"
        f'<p class="muted" style="margin:.2rem 0 0">{escape(_changes_text(run))}</p>'
    )
    if about.note:
        st.html(f'<p style="margin:0"><em>{escape(about.note)}</em></p>')


def _changes_text(run: Run) -> str:
    """What the run's recipe has beside the network's own."""
    recipe = run.recipe
    own = default_recipe(recipe.variant, recipe.dataset)
    changed = {
        name: value
        for name in type(recipe).model_fields
        if name not in ("variant", "dataset", "knobs")
        and (value := getattr(recipe, name)) != getattr(own, name)
    }
    changed |= {name: v for name, v in recipe.knobs.items() if v != own.knobs.get(name)}
    said = ", ".join(f"{within(setting_label(n))} {value_text(v)}" for n, v in changed.items())
    own_text = "The network's own recipe"
    return f"{own_text}, but for {said}" if said else own_text


def _live(shown: Sequence[Run], states: tuple[str, ...]) -> None:
    """Write what moves; where a state changed, the whole page is drawn again."""
    run = shown[0]
    now = tuple(other.state if other.exists else "deleted" for other in shown)
    if now != states:
        url.rerun()
    metrics = run_data.metrics_of(run)
    with st.container():  # a message that comes or goes moves nothing below into another place
        _say_state(run)
    begun = bool(metrics.steps or metrics.epochs) or run.is_training
    if begun or run.status.accuracy is not None:
        _progress(run)
        facts(_facts(run, metrics))
    if len(shown) > 1:
        compare.curves(shown)
    elif begun:
        _curves(run, metrics)
    if metrics.damaged:
        lines = "line was" if metrics.damaged == 1 else "lines were"
        st.caption(f"{metrics.damaged:,} damaged {lines} skipped in the metrics.")
    if states[0] == "done":
        result.show(run)
    _details(run, metrics)


def _say_state(run: Run) -> None:
    state, status = run.state, run.status
    words = STATES[state]
    st.html(
        '<p aria-live="polite" style="margin:0">'
        f'<span aria-hidden="true">{words.sign}</span> <strong>{escape(words.text)}</strong>'
        f"{escape(_queue_text(run) if state == 'queued' else '')}</p>"
    )
    if status.message:
        (st.error if state == "failed" else st.warning)(status.message)


def _queue_text(run: Run) -> str:
    """Where a queued run stands; whoever looks also wakes a queue whose last trainer was killed."""
    status = run.status
    if status.launcher == "ray":
        return f" on the Ray cluster at {status.address}"
    runs.start_next()
    place = runs.position(run)
    if place is None:
        return ""
    device = status.device
    return f" for {device}: next" if place == 1 else f" for {device}: place {place} in the queue"


def _progress(run: Run) -> None:
    status = run.status
    share = min(status.step / status.steps, 1.0) if status.steps else 0.0
    text = f"Epoch {status.epoch:.1f} of {run.recipe.epochs:,}"
    if run.state == "running" and status.eta is not None:
        text += f", {duration(status.eta)} left"
    st.progress(share, text)


def _facts(run: Run, metrics: Metrics) -> list[Fact]:
    status = run.status
    last = metrics.epochs[-1] if metrics.epochs else {}
    rate = status.images_per_second
    ended = not run.is_active
    return [
        _accuracy(run, last),
        _loss(last),
        Fact(
            "Images a second",
            rate_text(rate) if rate else "–",
            f"{status.device} {status.precision}".strip(),
            "of the training steps alone, without evaluating and saving" if rate else "",
        ),
        Fact(
            "Time trained" if ended else "Time left",
            duration(status.seconds if ended else status.eta if run.state == "running" else None),
            "" if ended else f"{duration(status.seconds)} so far",
        ),
    ]


def _accuracy(run: Run, last: dict[str, Any]) -> Fact:
    accuracy = run.status.accuracy
    if accuracy is not None:
        note = "on all test images, once"
        return Fact("Test accuracy", percent(accuracy, 2), note, f"{accuracy:.6f}")
    if last.get("val_accuracy") is not None:
        return Fact("Held-out accuracy", percent(last["val_accuracy"]), f"epoch {last['epoch']}")
    if last:
        return Fact("Training accuracy", percent(last["train_accuracy"]), f"epoch {last['epoch']}")
    return Fact("Accuracy", "–", "after the first epoch")


def _loss(last: dict[str, Any]) -> Fact:
    value = last.get("val_loss")
    if value is not None:
        return Fact("Held-out loss", f"{value:.3f}", "cross-entropy, in nats")
    text = f"{last['train_loss']:.3f}" if last else "–"
    return Fact("Training loss", text, "cross-entropy, in nats")


def _curves(run: Run, metrics: Metrics) -> None:
    """Write accuracy and loss by epoch; of a run that trains so that they do not flicker."""
    accuracy, loss = charts.sentence(metrics.epochs)
    left, right = st.columns(2, gap="large")
    dark, total = theme.is_dark(), run.recipe.epochs
    with left:
        alt = "A line of accuracy by epoch."
        if run.is_active:
            html = live.accuracy_html(live.accuracies(metrics.epochs), total, f"{accuracy}. {alt}")
            compare.live_chart(html, accuracy)
        else:
            figure = charts.accuracy_curve(metrics.epochs, total, dark)
            chart(figure, accuracy, key=f"accuracy-{run.id}", alt=alt)
    with right:
        alt = "A line of the loss by epoch."
        if run.is_active:
            series = live.losses(metrics.steps, metrics.epochs)
            compare.live_chart(live.loss_html(series, total, f"{loss}. {alt}"), loss)
        else:
            figure = charts.loss_curve(metrics.steps, metrics.epochs, total, dark)
            chart(figure, loss, key=f"loss-{run.id}", alt=alt)


def _details(run: Run, metrics: Metrics) -> None:
    """Write the other numbers of a run, and what its trainer printed, both folded away."""
    with st.expander("More numbers", icon=":material/speed:", key="train-numbers"):
        facts(_more_facts(run, metrics))
        about = run.about
        origin = f" · request `{about.request}`" if about.request else ""
        origin += f" · a copy of `{about.cloned_from}`" if about.cloned_from else ""
        st.caption(f"Folder `{run.path}`{origin}")
        if run.recipe.tensorboard:
            st.caption("In TensorBoard:")
            st.code(f"tensorboard --logdir {shlex.quote(str(run.path.parent))}", language="bash")
    with st.expander("Log", icon=":material/terminal:", key="train-log"):
        text = run.log_tail()
        with st.container(height=min(400, 60 + 24 * text.count("\n")), border=False):
            st.code(text or "Nothing was printed.", language=None, wrap_lines=True)


def _more_facts(run: Run, metrics: Metrics) -> list[Fact]:
    status = run.status
    last = (metrics.steps or metrics.epochs or [{}])[-1]

    def text(name: str, unit: str = "", form: str = ".4g") -> str:
        value = last.get(name)
        if value is None:
            return "–"
        return si(value, unit) if unit else f"{value:{form}}"

    return [
        Fact("Learning rate", text("lr"), "of the last step"),
        Fact("Gradient norm", text("grad_norm"), "of the last step, before any clip"),
        Fact("Work a second", text("macs_per_second", "MAC/s"), "forward and backward"),
        Fact("Memory", text("memory", "B"), "the most on a GPU; on a CPU the whole process now"),
        Fact("Batch loss", text("loss"), "of the last step"),
        Fact("Step", f"{status.step:,}", f"of {status.steps:,}" if status.steps else ""),
        Fact("Created", day_and_time(status.created), status.host),
    ]
