"""A trace as a Markdown table, for a report or an issue."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.anatomy.result import Layer, Trace, format_shape

_COLUMNS = (
    *("layer", "operator", "output", "parameters", "of all", "MACs", "of all"),
    *("bytes", "receptive field", "jump"),
)
_NUMBERS = 7  # the last columns are numbers, aligned to the right


def to_markdown(
    trace: Trace, title: str | None = None, layers: Sequence[Layer] | None = None
) -> str:
    """Return the trace as Markdown: title, totals, and a table with a row for each operator.

    Shapes are channels × height × width of one image, bytes those of the output; "–" stands for
    what is not known. `title`
    defaults to the network's class; `layers` are those to list, all of them if None; where some are
    left out, it says so.
    """
    names = [*("---" for _ in _COLUMNS[:-_NUMBERS]), *("---:" for _ in _COLUMNS[-_NUMBERS:])]
    lines = [_row(_COLUMNS), _row(names)]
    shown = trace.layers if layers is None else layers
    for layer in shown:
        shape = format_shape(layer.output_shape) or "–"
        costs = [
            _number(layer.params),
            _share(layer.params, trace.params),
            _number(layer.macs),
            _share(layer.macs, trace.macs),
        ]
        numbers = map(_number, (layer.output_bytes, layer.receptive_field, layer.jump))
        lines.append(_row([f"`{layer.path}`", layer.op, shape, *costs, *numbers]))
    size = "×".join(map(str, trace.input_size))
    totals = f"{trace.params:,} parameters, {trace.macs:,} MACs for one image of {size}."
    if len(shown) < len(trace.layers):
        totals += f" {len(shown)} of its {len(trace.layers)} operators:"
    return "\n".join([f"# {title or trace.model}", "", totals, "", *lines, ""])


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _share(value: int | None, whole: int) -> str:
    return "–" if value is None or not whole else f"{100 * value / whole:.2f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"
