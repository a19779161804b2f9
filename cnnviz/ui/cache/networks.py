"""Everything the app keeps between reruns: all of its ``st.cache_*`` is here.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType

import numpy as np
import pandas as pd
import streamlit as st
import torch
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import Opinion, Trace, roofline, second_opinion
from cnnviz.anatomy.compare_traces import Pair, compare_traces
from cnnviz.anatomy.effective_field import EffectiveField, LeaveWeights, effective_field
from cnnviz.anatomy.graph import Graph
from cnnviz.charts.costs import by_layer, cost_map
from cnnviz.compare import Costs, Network, Row, compare_card, compare_one
from cnnviz.images import decode, encode_png, sample_photos
from cnnviz.networks.catalogue import inspect_variant
from cnnviz.networks.subjects import Subject
from cnnviz.prediction import Prediction, predict_with
from cnnviz.settings import cpu_threads
from cnnviz.training.data import load
from cnnviz.training.saved.checkpoints import Card, read_checkpoint
from cnnviz.ui.cache import source_places
from cnnviz.ui.cache.source_places import Knobs as Knobs

#: What a network is made by: variant, knobs, input size (C, H, W) and number of classes.
Arguments = tuple[str, Knobs, tuple[int, int, int], int]

# The app shares the machine with the runs it starts.
torch.set_num_threads(cpu_threads())


@st.cache_resource(max_entries=128, show_spinner="Tracing the network …")
def traced(
    variant: str,
    knobs: Knobs = (),
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
) -> Trace:
    """Return the trace of a variant, built without weights; its own sizes where None.

    Raises `CnnvizError` where the network cannot be built or cannot read such an input.
    """
    return inspect_variant(variant, input_size, num_classes, dict(knobs))


@st.cache_data(max_entries=128, show_spinner=False)
def layer_frame(
    variant: str,
    knobs: Knobs = (),
    input_size: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
) -> pd.DataFrame:
    """Return one row for each operator of the trace, with its shares of the totals (0 to 1)."""
    trace = traced(variant, knobs, input_size, num_classes)
    frame: pd.DataFrame = trace.to_frame()
    frame["params_share"] = frame["params"] / max(trace.params, 1)
    frame["macs_share"] = frame["macs"].astype("Float64") / max(trace.macs, 1)
    return frame


@st.cache_resource(max_entries=64, show_spinner=False)
def graph(variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int) -> Graph:
    """Return the foldable graph of a variant's trace."""
    return Graph(traced(variant, knobs, input_size, num_classes))


@st.cache_resource(max_entries=64, show_spinner=False)
def module_classes(variant: str, knobs: Knobs) -> dict[str, type]:
    """Return the class of each of a variant's modules by its path."""
    return source_places.classes(variant, knobs)


@st.cache_data(max_entries=256, show_spinner=False)
def place(variant: str, knobs: Knobs, module: str, op: str) -> source_places.Place | None:
    """Return where a variant's module, or the operator `op` that it calls, is written."""
    return source_places.find(module_classes(variant, knobs), module, op)


@dataclass(frozen=True)
class Source:
    """A piece of code that makes a network: its text, where it stands, and its first line."""

    text: str
    place: str
    line: int


@st.cache_data(max_entries=128, show_spinner=False)
def sources(variant: str, knobs: Knobs = ()) -> list[Source]:
    """Return the source of the class that `variant` builds, ours or torchvision's.

    Where a function of ours configures the class or changes what it made, as for a ResNet without
    shortcuts, that function comes first, with what it calls of its own file.
    """
    chosen = registry.get(variant)
    with torch.device("meta"):
        kind = type(chosen.build(None, **dict(knobs)))
    builder = getattr(chosen.builder, "func", chosen.builder)  # of a functools.partial
    if not inspect.isfunction(builder):
        return [_source(kind)]
    called = (builder.__globals__.get(name) for name in builder.__code__.co_names)
    own = [
        item
        for item in called
        if (inspect.isfunction(item) or inspect.isclass(item))
        and item.__module__ == builder.__module__
    ]
    return [_source(item) for item in (builder, *own, kind)]


def _source(item: type | FunctionType) -> Source:
    lines, first = inspect.getsourcelines(item)
    file = Path(inspect.getsourcefile(item) or "")
    package = item.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    word = "class" if inspect.isclass(item) else "function"
    return Source("".join(lines), f"{'/'.join(parts)}, {word} {item.__name__}", first)


@st.cache_resource(max_entries=32, show_spinner=False)
def trained_model(path: Path, sha256: str) -> tuple[nn.Module, Card]:  # noqa: ARG001 - the key
    """Return a trained network, in evaluation mode, and its card. `sha256` makes a new one new."""
    checkpoint = read_checkpoint(path)
    return checkpoint.load_model(), checkpoint.card


@st.cache_data(max_entries=2048, show_spinner=False)  # what a network of 32 × 32 sees: 3 kB
def prediction(name: str, path: Path, sha256: str, image_sha256: str, _data: bytes) -> Prediction:
    """Return what the checkpoint at `path` says about an image, known by its hash."""
    del image_sha256  # the key; hashing the bytes again would only cost time
    model, card = trained_model(path, sha256)
    return predict_with(model, card, decode(_data), name=name)


@st.cache_data(max_entries=4096, show_spinner="Measuring latency …")  # a row: 1 kB
def comparison_row(name: str, path: Path, sha256: str) -> Row:  # noqa: ARG001 - the key
    """Return a model's row of the comparison; its network is traced and timed once."""
    return compare_one(name, read_checkpoint(path), _costs())


@st.cache_data(max_entries=4096, show_spinner="Measuring latency …")
def card_row(name: str, sha256: str, _card: Card) -> Row:  # noqa: ARG001 - the key
    """Return the row of a model whose weights are not here, by its card."""
    return compare_card(name, _card, _costs())


@st.cache_resource
def _costs() -> dict[Network, Costs]:
    return {}


@st.cache_data(show_spinner=False)
def sample_digit() -> bytes:
    """Return the first test image of the digits as PNG."""
    digit = load("digits").test_images[0]  # (3, H, W)
    return encode_png(np.ascontiguousarray(digit.permute(1, 2, 0).numpy()))


@st.cache_data(max_entries=64, show_spinner=False)
def pairs(
    left: Arguments,
    right: Arguments,
) -> list[Pair]:
    """Return the layers of two networks side by side; each is the arguments of `traced`."""
    return compare_traces(traced(*left), traced(*right))


def _build(variant: str, knobs: Knobs, num_classes: int | None) -> nn.Module:
    """Build a network with random weights, for one measurement: it is not kept."""
    return registry.get(variant).build(num_classes, **dict(knobs)).eval()


@st.cache_data(max_entries=128, show_spinner="Following gradients back to the picture …")
def field_of(
    variant: str,
    knobs: Knobs,
    input_size: tuple[int, int, int],
    num_classes: int | None,
    path: str,
) -> EffectiveField:
    """Return what the middle position of a layer sees, for random weights.

    Averaged over 2 to 16 passes: as many as take about a second.
    """
    layers = traced(variant, knobs, input_size, num_classes).layers
    layer = next(layer for layer in layers if layer.path == path)
    before = layers[: layer.index + 1]
    work = sum((item.macs or 0) + 20 * item.params for item in before)  # drawing a weight is slow
    draws = min(max(round(8e9 / max(work, 1)), 2), 16)
    with LeaveWeights():
        model = _build(variant, knobs, num_classes)
    return effective_field(model, input_size, layer, draws=draws, redraw=True)


@st.cache_data(max_entries=128, show_spinner="Following gradients back to the picture …")
def field_of_subject(
    key: str,  # noqa: ARG001 - with the layer the key
    layer: str,
    _subject: Subject,
    _load: Callable[[Subject], nn.Module],
) -> EffectiveField:
    """Return what the middle position of a layer of `_subject` sees in the sample photos.

    `key` is the subject's, `_load` gives its network.
    """
    photos = [_subject.look_at(decode(data))[0] for data in sample_photos().values()]
    return effective_field(_load(_subject), _subject.input_size, layer, images=torch.cat(photos))


@st.cache_resource(show_spinner=False)
def _peaks() -> list[roofline.Peaks]:
    """Return what this machine's CPU reached in each measurement, for every page and visitor."""
    return []


def peaks(again: bool = False) -> roofline.Peaks:
    """Return the best that this machine's CPU reached so far; `again` measures once more."""
    known = _peaks()
    if again or not known:
        known.append(roofline.measure_peaks("cpu"))
    return functools.reduce(roofline.Peaks.best, known)


@st.cache_data(max_entries=64, show_spinner="Timing every operator on this machine …")
def _speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> roofline.Roofline:
    model = _build(variant, knobs, num_classes)
    found = roofline.measure_roofline(model, input_size, peaks())
    if found.surpassed:  # the machine had other work when its peak was measured
        peaks(again=True)
    return found


def speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> roofline.Roofline:
    """Return the time of every operator on the CPU, with random weights, under one roof for all."""
    return replace(_speed(variant, knobs, input_size, num_classes), peaks=peaks())


def forget_speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> None:
    """Measure a network again when it is asked for next, and the machine's peaks now."""
    _speed.clear(variant, knobs, input_size, num_classes)
    peaks(again=True)


@st.cache_data(max_entries=64, show_spinner="Counting with torchinfo and fvcore …")
def opinions(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> list[Opinion]:
    """Return what this trace, torchinfo and fvcore count, in this order."""
    with LeaveWeights():
        model = _build(variant, knobs, num_classes)
    return second_opinion(model, input_size)


@st.cache_data(max_entries=256, show_spinner=False)
def html(key: tuple[object, ...], _make: Callable[[], str]) -> str:
    """Return the HTML that `_make` makes, kept under `key`: all that decides on it."""
    del key
    return _make()


@st.cache_data(max_entries=256, show_spinner=False)
def cost_sentence(arguments: Arguments, cost: by_layer.Cost) -> str:
    """Say where a cost of a network sits, given as the arguments of `layer_frame`."""
    return by_layer.cost_sentence(layer_frame(*arguments), cost)


@st.cache_data(max_entries=256, show_spinner=False)
def layer_bars(arguments: Arguments, cost: by_layer.Cost) -> str:
    """Return the bars of a network's layers, given as the arguments of `layer_frame`."""
    return by_layer.cost_bars(layer_frame(*arguments), cost)


@dataclass(frozen=True)
class CostView:
    """Where one cost of a network sits: (chart, its sentence) twice, and a row a stage."""

    areas: tuple[str, str]
    layers: tuple[str, str]
    stages: pd.DataFrame
    stage_sentence: str


@st.cache_resource(max_entries=64, show_spinner=False)
def cost_view(arguments: Arguments, cost: by_layer.Cost) -> CostView:
    """Return the charts of a cost for a network, given as the arguments of `layer_frame`."""
    frame = layer_frame(*arguments)
    return CostView(
        (cost_map.cost_areas(frame, cost), cost_sentence(arguments, cost)),
        (layer_bars(arguments, cost), cost_map.layer_sentence(frame, cost)),
        cost_map.by_stage(frame),
        cost_map.stage_sentence(frame, cost),
    )
