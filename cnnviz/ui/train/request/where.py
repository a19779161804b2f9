"""Where new runs train, and how many they are: device, cluster, seeds, values to try."""

from __future__ import annotations

import os
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.runs.costs.estimate import Device
from cnnviz.runs.requests import MOST_SEEDS
from cnnviz.ui.cache import run_data
from cnnviz.ui.look.format import si
from cnnviz.ui.train.request import recipe_form

#: Devices of a cluster's jobs.
_ON_CLUSTER = {"auto": "one GPU of the cluster", "cpu": "CPU cores of the cluster"}


def pick_device(where: DeltaGenerator) -> None:
    """Write the picker of the device, each with the memory that is free on it."""
    state = st.session_state
    if state.get("launcher", "local") == "ray":
        options = _ON_CLUSTER
    else:
        options = _device_options(run_data.free_devices())
    chosen = recipe_form.device_name(state.get("device"))
    state["device"] = chosen if chosen in options else "auto"
    where.selectbox(
        "Device",
        list(options),
        format_func=lambda name: options.get(name, name),
        key="device",
        help="auto takes a GPU if there is one. The memory is what is free on it now",
    )


def _device_options(found: Sequence[Device]) -> dict[str, str]:
    named = {d.name: f"{d.name} · {si(d.free_bytes, 'B')} free · {d.title}" for d in found}
    best = found[0]  # CUDA before MPS before the CPU, as "auto" has it
    options = {"auto": f"auto: {best.name} · {si(best.free_bytes, 'B')} free", **named}
    if sum(device.name.startswith("cuda") for device in found) > 1:
        options[recipe_form.EVERY_GPU] = recipe_form.EVERY_GPU
    return options


def pick_several() -> None:
    """Write what makes many runs of one: seeds, and values to try."""
    state = st.session_state
    for key, first in (("seeds", 1), ("vary", ""), ("title", "")):
        said = state.get(key)
        state[key] = first if said is None else said  # kept while the page shows no network
    seeds, vary, title = st.columns([1, 2, 1])
    seeds.number_input(
        "Seeds",
        step=1,
        key="seeds",
        help="Runs that differ by chance alone: they give a mean and its spread; at most "
        f"{MOST_SEEDS}",
    )
    vary.text_input(
        "Values to try",
        key="vary",
        placeholder="lr=0.05,0.1  cutout=0,8",
        help="Settings or knobs of the network, each with values; every combination is a run. "
        "Names are those of the command line",
    )
    title.text_input(
        "Name of the request",
        key="title",
        placeholder="the time",
        help="Under which the runs can be found together; the same name again adds to it",
    )


def pick_launcher() -> None:
    """Write on which machine it trains."""
    state = st.session_state
    state["launcher"] = state.get("launcher") or "local"
    state["address"] = state.get("address") or os.environ.get("RAY_API_SERVER_ADDRESS", "")
    launcher, address = st.columns([1, 2])
    chosen = launcher.selectbox(
        "Trains on",
        ["local", "ray"],
        format_func={"local": "this machine", "ray": "a Ray cluster"}.__getitem__,
        key="launcher",
    )
    address.text_input(
        "Address of its dashboard",
        key="address",
        placeholder="http://head:8265",
        disabled=chosen == "local",
        help="Each run becomes a job of the cluster; the folder of the runs must be on storage "
        "that its nodes see",
    )
