"""The roofline: what each operator reaches against what the machine allows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cnnviz.charts.style import ACCENT, BACKGROUND, MUTED, TEXT, Colour, styled

# Role -> its name, colour and symbol: nothing is told by colour alone.
_KINDS = {
    "conv": ("Convolution", ACCENT, "circle"),
    "linear": ("Fully connected", Colour("#b9702a", "#e3a15f"), "square"),
    "other": ("Everything else", MUTED, "cross-thin"),
}


NEAR = 0.25  # of the roof: an operator with less does not feel it


def limits_of(frame: pd.DataFrame) -> pd.Series[str]:
    """Return what limits each operator: "memory", "arithmetic", or "neither" far below the roof.

    `frame` is `Roofline.to_frame()`; its column ``limit`` is the part of the roof above each.
    """
    far = frame["achieved"] < NEAR * frame["roof"]
    return frame["limit"].mask(far, "neither")


def slowest(frame: pd.DataFrame, count: int = 12) -> pd.DataFrame:
    """Return the `count` operators that take longest, the slowest first."""
    return frame.sort_values("seconds", ascending=False, kind="stable").head(count)


def speed_sentence(frame: pd.DataFrame) -> str:
    """Say how few operators take half of the time, and what limits the convolutions.

    `frame` is `Roofline.to_frame()`. What reaches less than `NEAR` of the roof is limited by
    neither part of it.
    """
    shares = frame["share"].sort_values(ascending=False)
    needed = int((shares.cumsum() < 0.5 * shares.sum()).sum()) + 1
    total = 1000 * frame["seconds"].sum()
    took = f"{total:.3g} ms" if total < 999.5 else f"{total / 1000:.3g} s"
    share = f"{shares.iloc[:needed].sum() / shares.sum() * 100:.0f} %"
    first = f"{needed} of {len(frame)} operators take {share} of the {took}"
    if needed == 1:
        first = f"{frame['path'][shares.index[0]]} alone takes {share} of the {took}"
    convolutions = frame[frame["role"] == "conv"]
    if convolutions.empty:
        return first
    limits = limits_of(convolutions).tolist()
    everything = (
        f"all {len(limits)} convolution operators" if len(limits) > 1 else "its convolution"
    )
    if set(limits) == {"neither"}:
        return f"{first}; {everything} {'stay' if len(limits) > 1 else 'stays'} far below the roof"
    if len(set(limits)) == 1:
        return f"{first}; {limits[0]} limits {everything}"
    found = [(name, limits.count(name)) for name in ("arithmetic", "memory", "neither")]
    first_name, *others = [f"{number} by {name}" for name, number in found if number]
    number, _, name = first_name.partition(" ")
    verb = "is" if number == "1" else "are"
    parts = [f"{number} {verb} limited {name}", *others]
    return f"{first}; of {everything[4:]}, {', '.join(parts[:-1])} and {parts[-1]}"


def roofline(frame: pd.DataFrame, flops: float, bandwidth: float, dark: bool = False) -> go.Figure:
    """Draw FLOP/s against FLOPs per byte, both axes logarithmic, under the roof.

    `frame` is `Roofline.to_frame()`; operators without arithmetic are left out. `flops` (FLOP/s)
    and `bandwidth` (bytes/s) are the machine's peaks; they meet at the ridge.
    """
    points = frame[frame["achieved"].notna()]
    kinds = points["role"].where(points["role"].isin(_KINDS), "other")
    ridge = flops / bandwidth
    lowest = min(float(points["intensity"].min()) if len(points) else 0.1, ridge / 4)
    highest = max(float(points["intensity"].max()) if len(points) else 1.0, ridge * 4)
    left, right = lowest / 1.6, highest * 1.6
    figure = go.Figure()
    figure.add_scatter(
        x=[left, ridge, right],
        y=[left * bandwidth, flops, flops],
        mode="lines",
        line={"color": TEXT.on(dark), "width": 2},
        name="The roof",
        hoverinfo="skip",
        showlegend=False,
    )
    for kind in reversed(_KINDS):
        _add_points(figure, points[kinds == kind], kind, dark)
    _label_roof(figure, (left, right), flops, bandwidth, dark)
    styled(figure, dark, height=420)
    figure.update_xaxes(
        type="log",
        title="FLOPs per byte moved",
        range=[math.log10(left), math.log10(right)],
        dtick=1,
        tickformat="~g",
    )
    slowest_point = float(points["achieved"].min()) if len(points) else flops / 100
    bottom = min(slowest_point, left * bandwidth)
    figure.update_yaxes(
        type="log",
        title="FLOP/s reached",
        range=[math.log10(bottom / 2), math.log10(flops * 3)],
        dtick=1,
        tickformat="~s",
    )
    figure.update_layout(legend={"traceorder": "reversed"}, hovermode="closest")
    return figure


def _add_points(figure: go.Figure, rows: pd.DataFrame, kind: str, dark: bool) -> None:
    if rows.empty:
        return
    label, colour, symbol = _KINDS[kind]
    # Area by share of the time, so that what matters is what is seen.
    sizes = 7 + 26 * np.sqrt(rows["share"].to_numpy(float))
    thin = kind == "other"
    figure.add_scatter(
        x=rows["intensity"].tolist(),
        y=rows["achieved"].tolist(),
        mode="markers",
        name=label,
        marker={
            "color": colour.on(dark),
            "symbol": symbol,
            "size": sizes.tolist(),
            "opacity": 0.75,
            "line": {"width": 1.6 if thin else 0, "color": colour.on(dark)},
        },
        customdata=list(
            zip(
                rows["path"],
                rows["op"],
                [f"{1000 * seconds:.3g} ms" for seconds in rows["seconds"]],
                [f"{100 * share:.1f} %" for share in rows["share"]],
                [f"{100 * part:.0f} %" for part in rows["achieved"] / rows["roof"]],
                rows["limit"],
                strict=True,
            )
        ),
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}, %{customdata[2]} "
        "(%{customdata[3]} of the time)<br>%{x:.3~s} FLOPs per byte, %{y:.3~s}FLOP/s<br>"
        "%{customdata[4]} of what %{customdata[5]} allows<extra></extra>",
    )


def _label_roof(
    figure: go.Figure, span: tuple[float, float], flops: float, bandwidth: float, dark: bool
) -> None:
    """Name both parts of the roof: the flat one at its end, the slope in its middle."""
    middle = math.sqrt(span[0] * flops / bandwidth)
    for x, y, text in (
        (span[1], flops, f"arithmetic: {flops / 1e9:.3g} GFLOP/s"),
        (middle, middle * bandwidth, f"memory: {bandwidth / 1e9:.3g} GB/s "),
    ):
        figure.add_annotation(
            x=math.log10(x),
            y=math.log10(y),
            text=text,
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            yshift=4,
            font={"size": 12, "color": TEXT.on(dark)},
            bgcolor=BACKGROUND.on(dark),  # a mark beneath would strike the words through
            opacity=0.85,
        )
