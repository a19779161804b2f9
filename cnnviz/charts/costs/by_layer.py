"""Where a network's parameters and multiplications sit: bars in the order of execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from cnnviz.charts.costs import bars

Cost = Literal["params", "macs", "output_bytes"]
COSTS: tuple[Cost, ...] = ("params", "macs")

NOUN = {
    "params": "parameters",
    "macs": "multiplications",
    "output_bytes": "bytes of activations",
}
#: The rows that have some of a cost.
_COSTLY = {
    "params": "layers with weights",
    "macs": "layers",
    "output_bytes": "operators",
}
_NEARLY_ALL = (
    0.8  # of the convolutions: no stage of a ResNet has so many, a VGG's features have all
)
_MANY = 5  # convolutions in a network without modules for its stages; LeNet-5 has three
_ALL = 0.95  # of the parameters: with fewer in the layers of the pass, the others are named
_MUCH = 0.3  # of a cost: a stage with so much is named
_CLOSE = 0.85  # of the largest stage's share: a stage with as much is named beside it
_LETTER = 0.025  # width of a letter, as a fraction of the axis on a phone


def costly_layers(frame: pd.DataFrame, cost: Cost = "params") -> pd.DataFrame:
    """Return the rows of a trace's frame that cost something, in order of execution.

    Those are the rows with parameters, with MACs, or with an output of their own.
    The column ``stage`` is added, from all rows (see `stage_names`).
    """
    frame = whole_layers(frame)
    frame = frame.assign(stage=stage_names(frame))
    if cost == "output_bytes":
        return frame[frame[cost] > 0].reset_index(drop=True)
    macs = frame["macs"].fillna(0)
    return frame[(frame[cost] > 0 if cost == "params" else macs > 0)].reset_index(drop=True)


def whole_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a trace's frame with the parts of a layer (see `Layer.part_of`) as one row.

    It has the layer's name, the operator of the first part, the output of the last, and the sums of
    their costs.
    """
    if not frame["part_of"].any():
        return frame
    keys = frame["part_of"].where(frame["part_of"] != "", frame["index"].astype(str))
    first, last = ("path", "op", "kind", "role", "index", "part_of"), ("output_shape",)
    summed = [name for name in frame if name in _SUMMED]
    how = dict.fromkeys(first, "first") | dict.fromkeys(last, "last") | dict.fromkeys(summed, "sum")
    rows = frame.groupby(keys.to_numpy(), sort=False).agg(how)
    rows["path"] = rows["part_of"].where(rows["part_of"] != "", rows["path"])
    return rows.reset_index(drop=True)


_SUMMED = ("params", "macs", "output_bytes", "params_share", "macs_share")


def stage_names(frame: pd.DataFrame) -> pd.Series:
    """Return the stage of each row of a trace's frame: ``layer3``, ``features.5``, ``block 4``.

    That is the first part of the path, unless one such part has nearly all convolutions. Then its
    own parts are the stages, or, where they are single layers as in VGG, the blocks that end with
    a pool; so they are where many single layers stand in the network itself, as in AlexNet. An
    operator of the network itself, such as a flatten, counts to the stage before it.
    """
    parts = frame["path"].str.split(".")
    first = parts.str[0].copy()
    own = (parts.map(len) == 1) & frame["path"].str.split("#").str[0].eq(frame["op"])
    first = first.mask(own).ffill().bfill().fillna("network")
    convolutions = first[frame["kind"] == "conv"]
    if convolutions.is_unique and len(convolutions) >= _MANY:
        pooled = (frame["kind"] == "pool") & (frame.index > convolutions.index[-1])
        last = pooled.idxmax() if pooled.any() else convolutions.index[-1]
        return _blocks(first, frame, (frame.index <= last) | first.eq(first[last]))
    if convolutions.empty or (convolutions == convolutions.mode()[0]).mean() < _NEARLY_ALL:
        return first
    trunk = convolutions.mode()[0]
    inside = first == trunk
    costly = inside & frame["kind"].isin(("conv", "linear"))
    if (parts[costly].map(len) > 2).any():
        return first.mask(inside, parts.str[:2].str.join("."))
    return _blocks(first, frame, inside)


def _blocks(first: pd.Series, frame: pd.DataFrame, inside: pd.Series[bool]) -> pd.Series:
    """Name what is `inside` after the pools in it, if there are any: block 1, block 2 and so on."""
    pools = (inside & (frame["kind"] == "pool")).astype(int)
    if not pools.any():
        return first
    costly = inside & frame["kind"].isin(("conv", "linear"))
    block = pools.cumsum() - pools + 1  # a pool ends its own block
    block = block.clip(upper=block[costly].max())  # what follows the last layer is no block
    return first.mask(inside, "block " + block.astype(str))


def shares_of(frame: pd.DataFrame, cost: Cost) -> pd.Series:
    """Return each row's share of all `cost` (0 to 1); what is not known counts as nothing.

    A network's own total is in ``params_share`` and ``macs_share``; bytes add up.
    """
    if f"{cost}_share" in frame:
        return frame[f"{cost}_share"].fillna(0).astype(float)
    values = frame[cost].fillna(0).astype(float)
    return values / (values.sum() or 1.0)


@dataclass(frozen=True)
class Focus:
    """Where a cost sits, in a sentence, and the stages that it names, with their shares (0 to 1).

    There are none where it speaks of layers.
    """

    sentence: str
    stages: tuple[tuple[str, float], ...] = ()


def focus(frame: pd.DataFrame, cost: Cost) -> Focus:
    """Find where `cost` sits: in a layer, in some stages, or in the fewest layers with half of it.

    That is half of what the pass reads: other parts may have parameters, too.
    """
    frame = whole_layers(frame)
    shares = shares_of(frame, cost)
    read = shares.sum()
    if read == 0:
        return Focus(f"No layer has {NOUN[cost]}")
    ordered = shares.sort_values(ascending=False)
    costly = int((shares > 0).sum())
    needed = min(int((ordered.cumsum() < 0.5 * read).sum()) + 1, costly)
    amount = f"{whole_percent(ordered.iloc[:needed].sum())} of the {NOUN[cost]}"
    rest = f"; {whole_percent(1 - read)} are in parts that prediction skips" if read < _ALL else ""
    if needed == 1:
        return Focus(f"{frame['path'][ordered.index[0]]} alone holds {amount}{rest}")
    stages = shares.groupby(stage_names(frame), sort=False).sum()
    most = stages[stages > stages.max() * _CLOSE]
    if not (_MUCH <= stages.max() <= 0.9) or (len(most) > 1 and most.sum() < 0.5):
        return Focus(f"{needed} of {costly} {_COSTLY[cost]} hold {amount}{rest}")
    if len(most) == 1:
        held = whole_percent(most.iloc[0])
        sentence = f"{most.index[0]} holds {held} of the {NOUN[cost]}{rest}"
    else:
        sentence = f"{_listed(most.index.tolist())} hold {_range(most)} of the {NOUN[cost]} each"
    return Focus(sentence, tuple((str(name), float(share)) for name, share in most.items()))


def whole_percent(share: float) -> str:
    """Write a share (0 to 1) in whole percent; all and nothing are said only where they are so."""
    if 0.995 <= share < 1 - 1e-9:
        return "more than 99 %"
    return f"{share * 100:.0f} %" if share == 0 or share >= 0.005 else "less than 1 %"


def _range(shares: pd.Series) -> str:
    low, high = (whole_percent(share) for share in (shares.min(), shares.max()))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def cost_sentence(frame: pd.DataFrame, cost: Cost) -> str:
    """Say where `cost` sits, see `focus`."""
    return focus(frame, cost).sentence


def cost_bars(frame: pd.DataFrame, cost: Cost) -> str:
    """Write one bar a layer as HTML: its share of all parameters, MACs or bytes.

    `frame` is `Trace.to_frame()` with the columns ``params_share`` and ``macs_share`` (0 to 1).
    Bars stand in order of execution; the exact number appears under the pointer. The bars of a
    stage that `focus` names are marked with its share.
    """
    rows = costly_layers(frame, cost)
    rows = rows.assign(share=shares_of(rows, cost))
    found, stages = focus(frame, cost), rows["stage"].tolist()
    return bars.bars(
        layer_items(rows, cost),
        stage_starts(stages, [name for name, _ in found.stages] or _with_the_largest(rows)),
        f"Share of {NOUN[cost]}, layers in order of execution",
        f"{found.sentence}. Bars by layer, a table has every number.",
        [_mark(stages, *named) for named in found.stages if stages.count(named[0]) > 1],
    )


def _with_the_largest(rows: pd.DataFrame) -> list[str]:
    """Return the stage of the row with the largest share; none where there are no rows."""
    return rows.nlargest(1, "share")["stage"].tolist()


def _mark(stages: Sequence[str], name: str, share: float) -> bars.Mark:
    places = [index for index, stage in enumerate(stages) if stage == name]
    return bars.Mark(places[0], places[-1] + 1, f"{name}: {whole_percent(share)}")


def layer_items(rows: pd.DataFrame, cost: Cost) -> list[bars.Item]:
    """Return what to draw of each row, which has its ``share``: with its name as the label."""
    return [
        bars.Item(
            share,
            role if role in bars.KINDS else "other",
            f"{path}: {int(value):,} {NOUN[cost]} ({share * 100:.2f} %), {op} → {shape}",
            path,
        )
        for path, role, op, shape, share, value in zip(
            *(rows[name] for name in ("path", "role", "op", "output_shape", "share")),
            rows[cost].fillna(0),
            strict=True,
        )
    ]


def stage_starts(stages: Sequence[str], wanted: Sequence[str] = ()) -> dict[int, str]:
    """Return the index and name of each stage's first layer that has room on a narrow screen.

    Those of the stages that are `wanted` come first.
    """
    first = [i for i, name in enumerate(stages) if i == 0 or name != stages[i - 1]]
    halves = {i: _LETTER * (len(stages[i]) + 2) / 2 * len(stages) for i in first}
    taken: list[int] = []
    for index in sorted(first, key=lambda i: stages[i] not in wanted):
        if all(abs(index - other) >= halves[index] + halves[other] for other in taken):
            taken.append(index)
    return {index: stages[index] for index in sorted(taken)}
