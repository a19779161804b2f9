"""The words on the boxes of a drawn network."""

from __future__ import annotations

from collections.abc import Mapping

from cnnviz.anatomy import Layer, Trace, format_shape
from cnnviz.anatomy.graph import Node
from cnnviz.charts.drawing.network import Caption, ColourBy
from cnnviz.ui.explore.portrait import share_of
from cnnviz.ui.look.format import count, si


def describe(
    node: Node, trace: Trace, classes: Mapping[str, type], colour_by: ColourBy = "kind"
) -> Caption:
    """Return the words on a node: its MACs, or their share where that is the colour.

    `classes` are the modules' by their paths, see `source_places.classes`.
    """
    share = node.macs / max(trace.macs, 1)
    macs = f"{si(node.macs, 'MACs')}{' + ?' if node.unknown else ''}"
    if colour_by == "share":
        cost = share_of(share) if node.macs else ""
    elif node.macs or node.unknown:
        cost = macs if node.macs else "MACs not known"
    else:
        cost = f"{si(node.params)} params" if node.params else ""
    name = short_name(node)
    layer = None if node.children else trace.layers[node.start]
    if layer is not None:
        detail, words = operator_words(layer), layer.op
    elif node.repeats > 1:
        detail, words = f"× {node.repeats}", f"{node.repeats} equal blocks"
        name = _class_name(node.children[0], classes) or name
    else:
        detail = words = f"{node.operators} operators"
        cls = _class_name(node, classes)
        if cls:
            detail, words = cls, f"{cls} of {words}"
        elif " · " in node.name:
            detail = ""  # the operators are its name
    if layer is not None and node.name.isdigit():
        name, detail = detail, node.name  # of "0" and "conv 3×3" the second says more
    parts = [
        node.id,
        words,
        f"output {format_shape(node.output_shape)}",
        f"{count(node.params)} parameters",
        "MACs not known" if node.unknown else f"{count(node.macs)} MACs ({share_of(share)})",
    ]
    return Caption(
        name=name,
        detail="" if detail == name.replace("_", " ") else detail,
        shape=format_shape(node.output_shape),
        cost=cost,
        title=", ".join(parts),
        share=share,
    )


def _class_name(node: Node, classes: Mapping[str, type]) -> str:
    """Return the class of the module that a node is, "" where that says nothing."""
    name = classes[node.module].__name__ if node.module in classes and node.module else ""
    return "" if name == "Sequential" else name


def short_name(node: Node) -> str:
    """Return what a node is called on its box: `conv1`; with its stage if but a number."""
    name = node.name.partition("#")[0].rstrip("_") or node.name
    if not name[0].isdigit():
        return name
    first, _, last = name.partition(" – ")
    path = (node.module or node.children[0].module).split(".")
    above = path[: -len(first.split("."))]
    start = max((i for i, part in enumerate(above) if not part[0].isdigit()), default=0)
    numbered = ".".join(path[start:]) or first
    end = "".join(first.partition(".")[1:])
    if last and end and last.endswith(end):  # "blocks.6 – 10" rather than "blocks.6.full – 10.full"
        return f"{numbered.removesuffix(end)} – {last.removesuffix(end)}"
    return f"{numbered} – {last}" if last else numbered


def operator_words(layer: Layer) -> str:
    """Say what an operator is: "conv 3×3 / 2", "depthwise 7×7", "max pool 2×2 / 2"."""
    kernel = layer.attributes.get("kernel_size")
    stride = layer.attributes.get("stride") or ()
    groups = layer.attributes.get("groups", 1)
    name = layer.op.rstrip("_").replace("_", " ")
    name = name.removesuffix("1d").removesuffix("2d").removesuffix("3d").replace("adaptive ", "")
    if layer.kind == "conv" and groups > 1:
        name = "depthwise" if groups == layer.input_shape[1] else "grouped"
    if layer.pointwise:
        return f"{name} 1×1"
    if not kernel:
        return name
    strides = set(stride) if isinstance(stride, tuple) else {stride}
    step = f" / {max(strides)}" if strides - {1} else ""
    sides = kernel if isinstance(kernel, tuple) else (kernel,) * 2
    return f"{name} {'×'.join(map(str, sides))}{step}"
