"""The panels of the Explore page: what a network is, what it costs, layer by layer, its code."""

from __future__ import annotations

from collections import Counter
from html import escape

import streamlit as st

from cnnviz.anatomy import Trace
from cnnviz.anatomy.compare_traces import describe_ratio
from cnnviz.architectures.published import published
from cnnviz.charts.costs import bars, by_layer
from cnnviz.networks.catalogue import predecessor
from cnnviz.registry import Variant
from cnnviz.settings import checkpoints_dir
from cnnviz.ui.cache.anatomy import cost_charts, networks, source_code
from cnnviz.ui.look import panels, theme
from cnnviz.ui.look.format import count, percent, si, size
from cnnviz.ui.look.glyphs import glyph
from cnnviz.ui.look.panels import Fact
from cnnviz.ui.pick.selection import Selection
from cnnviz.ui.state import links, url


def portrait(selection: Selection) -> None:
    """Write who the network is: drawing, title, idea, and the paper it comes from."""
    variant = selection.variant
    family = variant.family
    set_here = _set_here(selection)
    adjusted = f" Here it is changed: {set_here}." if set_here else ""
    theme.drawing(
        f'<div class="portrait" style="--family:{theme.family_variable(family.name)}">'
        f"{glyph(family.name)}<div><h2>{escape(selection.title)}</h2>"
        f'<p class="muted">{escape(variant.summary)}{escape(adjusted)}</p>'
        f"<p>{escape(family.idea)}</p>"
        f'<p class="muted"><a href="{escape(family.url)}" target="_blank" rel="noopener">'
        f"{escape(family.citation)}</a></p></div></div>"
    )
    known = published(variant)
    if known is not None and selection.is_default:
        st.caption(
            f"Published: torchvision's weights ({known.weights.partition('.')[2]}) reach "
            f"{percent(known.top1)} top-1 and {percent(known.top5)} top-5 on ImageNet's "
            "validation images, by its own account; not measured here.",
        )
    with st.container(horizontal=True):
        if known is not None and selection.has_own_layers:
            links.link("filters", "Filters learnt on ImageNet →", model=f"{variant.name}@imagenet")
        if max(variant.input_size[1:]) <= links.TRAINABLE_SIDE:
            query = selection.to_query()
            knobs = {knob.name: query[knob.name] for knob in variant.knobs if knob.name in query}
            links.train_link(variant, "Train this network →", **knobs)
        if (checkpoints_dir() / f"{variant.name}.json").is_file():
            links.link("deconvnet", "See what its units see →", model=variant.name)


def headline(variant: Variant, trace: Trace) -> None:
    """Write the numbers that matter, each beside its predecessor's on the road."""
    earlier = predecessor(variant)
    reference = None if earlier is None else networks.traced(*Selection(earlier).arguments)
    panels.facts(_facts(trace, reference, "" if earlier is None else _short_title(earlier)))


def _short_title(variant: Variant) -> str:
    """Return a variant's title without what its edition says: "GoogLeNet (2014)"."""
    title = variant.title.removesuffix(" for CIFAR-10")
    return title.partition(" (")[0] if variant.step_from else title


def _facts(trace: Trace, reference: Trace | None, name: str) -> list[Fact]:
    """Return the numbers of `trace`, as multiples of those of `reference`, called `name`, too."""

    def against(value: int | None, key: str) -> str:
        other = None if reference is None else getattr(reference, key)
        if isinstance(other, tuple):
            other = other[0]
        if value is None or not other:
            return ""
        ratio = f"{describe_ratio(value, other)} {name}"
        return f"; {_unbroken(ratio)}"

    unknown = f", without {len(trace.unknown)} operators not known" if trace.unknown else ""
    field, training = trace.receptive_field, trace.training_bytes
    earlier = "" if reference is None else f"; {reference.depth} in {_unbroken(name)}"
    return [
        Fact("Depth", f"{trace.depth} layers", f"in a row, {_weighted(trace)}{earlier}"),
        Fact(
            "Parameters",
            si(trace.params),
            _weights(trace) + against(trace.params, "params"),
            f"{count(trace.params)} parameters, {count(trace.weight_bytes)} bytes",
        ),
        Fact(
            "Multiply–accumulates",
            si(trace.macs, "MACs"),
            f"for one image{unknown}; {si(trace.flops, 'FLOPs')}, counting each as two"
            + against(trace.macs, "macs"),
            f"{count(trace.macs)} MACs",
        ),
        Fact(
            "Activations, inference",
            si(trace.peak_bytes, "B"),
            f"held at once for one image of {_unbroken(size(trace.input_size))}, "
            f"{_unbroken(si(trace.activation_bytes, 'B'))} written in all"
            + against(trace.peak_bytes, "peak_bytes"),
            f"{count(trace.peak_bytes)} of {count(trace.activation_bytes)} bytes",
        ),
        Fact(
            "Activations, training",
            "–" if training is None else si(training, "B"),
            f"kept for the backward pass of one image{against(training, 'training_bytes')}",
            "" if training is None else f"{count(training)} bytes",
        ),
        Fact(
            "Receptive field",
            "–" if field is None else f"{field[0]:,} px",
            f"what one position of the last map sees{_whole(trace)}"
            + against(None if field is None else field[0], "receptive_field"),
        ),
    ]


def _unbroken(text: str) -> str:
    """Keep words on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}").replace("-", "\N{NON-BREAKING HYPHEN}")


def _weighted(trace: Trace) -> str:
    roles = Counter(layer.role for layer in trace.weighted)
    linear = sum(layer.pointwise for layer in trace.weighted)
    written = f" ({linear} of them written as linear layers)" if linear else ""
    return f"of {roles['conv']} convolutions{written} and {roles['linear']} fully connected"


def _weights(trace: Trace) -> str:
    idle = idle_params(trace)
    skipped = f"; {si(idle)} of them in parts that prediction skips" if idle else ""
    return f"{si(trace.weight_bytes, 'B')} in 32-bit floats{skipped}"


def _whole(trace: Trace) -> str:
    field = trace.receptive_field
    whole = field is not None and field[0] >= max(trace.input_size[1:])
    return ": the whole picture" if whole else ""


def share_of(fraction: float) -> str:
    """Write a share (0 to 1) as a percentage; nothing is said only where it is nothing."""
    return percent(fraction) if fraction == 0 or fraction >= 0.0005 else "< 0.1 %"


def idle_params(trace: Trace) -> int:
    """Return how many parameters no operator of the pass reads: those of auxiliary classifiers."""
    return trace.params - sum(layer.params for layer in trace.layers)


def where(selection: Selection) -> None:
    """Draw where parameters and multiplications sit."""
    for column, cost in zip(st.columns(2, gap="large"), by_layer.COSTS, strict=True):
        with column:
            st.subheader(cost_charts.cost_sentence(selection.arguments, cost), anchor=False)
            st.html(bars.STYLE + cost_charts.layer_bars(selection.arguments, cost))


def changes(selection: Selection) -> None:
    """Write what the family changed on the road, and each departure of the network shown."""
    variant = selection.variant
    road, paper = st.columns(2, gap="large")
    with road:
        st.header("What the paper changed", anchor=False)
        st.markdown(variant.family.changed)
    with paper:
        title = "What this step changed" if variant.step_from else "What we changed"
        st.header(title, anchor=False)
        set_here = _set_here(selection)
        if set_here:
            st.markdown(f"Set under **Adjust**: {set_here}.")
        departures = variant.changes_with(dict(selection.arguments[1]))
        if not departures:
            nothing = "Nothing else" if set_here else "Nothing"
            what = (
                "is where the road starts"
                if variant.step_from
                else "is built as its paper describes it"
            )
            st.markdown(f"{nothing}: this network {what}.")
        rows = "".join(
            f"<dt>{escape(change.what)}</dt><dd>{escape(change.why)}</dd>" for change in departures
        )
        if rows:
            st.html(f'<dl class="changes">{rows}</dl>')


def _set_here(selection: Selection) -> str:
    """What is not as the variant has it: "groups 1, without LRN"."""
    return selection.title.removeprefix(selection.variant.title).removeprefix(", ")


@url.fragment
def code(selection: Selection) -> None:
    """Write the class that the variant builds, after what of ours configures or changes it.

    Folded at first, for a browser takes its time to colour a class (`benchmarks/README.md`); the
    URL has ``code`` where it is not.
    """
    name, knobs, _, _ = selection.arguments
    sources = source_code.sources(name, knobs)
    st.header("The code", anchor=False)
    url.follow("code", "explore_code", {"": False, "yes": True})
    places = "; ".join(source.place for source in sources)
    box = st.expander(places, icon=":material/code:", key="explore_code", on_change="rerun")
    if not box.open:
        return
    with box:
        for source in sources:
            st.caption(f"{source.place}, from line {source.line}")
            st.code(source.text, language="python", wrap_lines=True)
