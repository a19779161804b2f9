"""Everything the app keeps between reruns: all of its ``st.cache_*`` is here.

What is cached as a resource is shared by all visitors and threads: read it, never change it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from cnnviz import registry
from cnnviz.anatomy import Opinion, Trace, roofline, second_opinion
from cnnviz.anatomy.compare_traces import Pair, compare_traces
from cnnviz.anatomy.effective_field import EffectiveField, LeaveWeights, effective_field
from cnnviz.catalogue import inspect_variant
from cnnviz.charts import cost_map, costs
from cnnviz.compare import Row, compare_one
from cnnviz.images import Pixels, decode, encode_png, sample_photos, square
from cnnviz.prediction import Prediction, predict_with
from cnnviz.registry import KnobValue
from cnnviz.settings import cpu_threads
from cnnviz.sight import feature_maps, project
from cnnviz.sight.rules import Rule
from cnnviz.training.augment import normalise
from cnnviz.training.checkpoints import Card, read_checkpoint
from cnnviz.training.data import load

Knobs = tuple[tuple[str, KnobValue], ...]

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


@dataclass(frozen=True)
class Source:
    """The code of a network's class: its text, where it stands, and its first line."""

    text: str
    place: str
    line: int


@st.cache_data(max_entries=128, show_spinner=False)
def source(variant: str, knobs: Knobs = ()) -> Source:
    """Return the source of the class that `variant` builds, ours or torchvision's."""
    with torch.device("meta"):
        kind = type(registry.get(variant).build(None, **dict(knobs)))
    lines, first = inspect.getsourcelines(kind)
    file = Path(inspect.getsourcefile(kind) or "")
    package = kind.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return Source("".join(lines), f"{'/'.join(parts)}, class {kind.__name__}", first)


@st.cache_data(show_spinner=False)
def devices() -> list[str]:
    """Return the devices that can train: "auto", the CPU, each CUDA device, Apple's MPS."""
    found = ["auto", "cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


@st.cache_resource(max_entries=32, show_spinner=False)
def trained_model(path: Path, sha256: str) -> tuple[nn.Module, Card]:  # noqa: ARG001 - the key
    """Return a trained network, in evaluation mode, and its card. `sha256` makes a new one new."""
    checkpoint = read_checkpoint(path)
    return checkpoint.load_model(), checkpoint.card


@st.cache_data(max_entries=256, show_spinner=False)
def prediction(name: str, path: Path, sha256: str, image_sha256: str, _data: bytes) -> Prediction:
    """Return what the checkpoint at `path` says about an image, known by its hash."""
    del image_sha256  # the key; hashing the bytes again would only cost time
    model, card = trained_model(path, sha256)
    return predict_with(model, card, decode(_data), name=name)


@st.cache_data(max_entries=64, show_spinner="Measuring latency …")
def comparison_row(name: str, path: Path, sha256: str) -> Row:  # noqa: ARG001 - the key
    """Return a model's row of the comparison; its latency is measured once."""
    return compare_one(name, read_checkpoint(path))


@st.cache_data(show_spinner=False)
def sample_digit() -> bytes:
    """Return the first test image of the digits as PNG."""
    digit = load("digits").test_images[0]  # (3, H, W)
    return encode_png(np.ascontiguousarray(digit.permute(1, 2, 0).numpy()))


@st.cache_data(max_entries=64, show_spinner=False)
def pairs(
    left: tuple[str, Knobs, tuple[int, int, int], int],
    right: tuple[str, Knobs, tuple[int, int, int], int],
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
def trained_field_of(path: Path, sha256: str, layer: str) -> EffectiveField:
    """Return what the middle position of a trained network's layer sees in the sample photos."""
    model, card = trained_model(path, sha256)
    channels, height, width = card.input_size
    photos = []
    for data in sample_photos().values():
        image = Image.fromarray(square(decode(data).pixels)).resize((width, height))
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        photos.append(torch.from_numpy(pixels.reshape(height, width, channels).copy()))
    images = torch.stack(photos).permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
    normal = normalise(images, card.mean, card.std)
    return effective_field(model, card.input_size, layer, images=normal)


@st.cache_data(show_spinner=False)
def peaks() -> roofline.Peaks:
    """Return what this machine's CPU reaches, measured once."""
    return roofline.measure_peaks("cpu")


@st.cache_data(max_entries=64, show_spinner="Timing every operator on this machine …")
def speed(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> roofline.Roofline:
    """Return the time of every operator on the CPU, with random weights; ``clear`` it to redo."""
    model = _build(variant, knobs, num_classes)
    return roofline.measure_roofline(model, input_size, peaks())


@st.cache_data(max_entries=64, show_spinner="Counting with torchinfo and fvcore …")
def opinions(
    variant: str, knobs: Knobs, input_size: tuple[int, int, int], num_classes: int | None
) -> list[Opinion]:
    """Return what this trace, torchinfo and fvcore count, in this order."""
    with LeaveWeights():
        model = _build(variant, knobs, num_classes)
    return second_opinion(model, input_size)


@dataclass(frozen=True)
class CostView:
    """Where one cost of a network sits: (chart, its sentence) three times, and a row a stage."""

    areas: tuple[go.Figure, str]
    stages: tuple[go.Figure, str]
    layers: tuple[go.Figure, str]
    table: pd.DataFrame


@st.cache_resource(max_entries=64, show_spinner=False)
def cost_view(
    arguments: tuple[str, Knobs, tuple[int, int, int], int], cost: costs.Cost, dark: bool
) -> CostView:
    """Return the charts of a cost for a network, given as the arguments of `layer_frame`."""
    frame = layer_frame(*arguments)
    return CostView(
        (cost_map.cost_treemap(frame, cost, dark), costs.cost_sentence(frame, cost)),
        (cost_map.stage_bars(frame, cost, dark), cost_map.stage_sentence(frame, cost)),
        (costs.cost_bars(frame, cost, dark), cost_map.layer_sentence(frame, cost)),
        cost_map.by_stage(frame),
    )


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """A photo's strongest units of a layer and what each saw.

    `units` (K,), `activations` (K,), `positions` (K, 2), `maps` (K, H, W) and `pixels`
    (K, C, height, width), the strongest first, out of `of` units; `seen` is what the network was
    shown, uint8 (height, width, C).
    """

    units: NDArray[np.int64]
    activations: NDArray[np.float32]
    positions: NDArray[np.int64]
    maps: NDArray[np.float32]
    pixels: NDArray[np.float32]
    of: int
    seen: Pixels


@st.cache_data(max_entries=64, show_spinner=False)
def reconstructions(
    name: str,
    path: Path,
    sha256: str,
    layer: str,
    rule: Rule,
    count: int,
    image_sha256: str,
    _data: bytes,
) -> Reconstructions:
    """Return the `count` strongest units of a trained network's layer, carried back by `rule`."""
    seen = prediction(name, path, sha256, image_sha256, _data).seen
    model, card = trained_model(path, sha256)
    planes = torch.from_numpy(seen.transpose(2, 0, 1).copy())[None]
    image = normalise(planes, card.mean, card.std)
    maps = feature_maps(model, image, [layer])[layer][0]  # (units, H, W)
    strongest = maps.flatten(1).amax(1)
    units = strongest.argsort(descending=True, stable=True)[:count]
    found = project(model, image, layer, units.tolist(), rule)
    return Reconstructions(
        units=units.numpy(),
        activations=found.activations[:, 0].numpy(),
        positions=found.positions[:, 0].numpy(),
        maps=maps[units].numpy(),
        pixels=found.pixels[:, 0].numpy(),
        of=len(maps),
        seen=seen,
    )
