"""Bytes, FLOPs and shares of a roofline; its times are only checked to be times."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.anatomy import trace
from cnnviz.anatomy.roofline import Peaks, Roofline, Timing, measure_peaks, measure_roofline
from cnnviz.errors import CnnvizError
from tests.anatomy.nets import Branches

PEAKS = Peaks(flops=100e9, bandwidth=10e9, device="a machine", threads=1)


def test_bytes_and_intensity_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 16, 10)
    )
    conv, relu, flatten, linear = measure_roofline(model, (3, 4, 4), PEAKS, passes=1).timings
    assert conv.bytes == 4 * (3 * 16 + 8 * 27 + 8 + 8 * 16)  # input, weight, bias, output
    assert conv.flops == 2 * (8 * 16 * 27) + 8 * 16
    assert conv.intensity == conv.flops / conv.bytes
    assert relu.bytes == 4 * 2 * 8 * 16  # read and written, in the same place
    assert flatten.bytes == 0  # a view
    assert flatten.intensity is None
    assert linear.bytes == 4 * (8 * 16 + 8 * 16 * 10 + 10 + 10)


def test_a_tensor_read_twice_moves_once():
    class Double(nn.Module):
        def forward(self, x):
            return x + x

    (timing,) = measure_roofline(Double(), (1, 4, 4), PEAKS, passes=1).timings
    assert timing.bytes == 4 * 2 * 16


def test_the_roof_is_a_slope_and_a_ceiling():
    assert PEAKS.ridge == 10
    assert PEAKS.roof(1) == 10e9
    assert PEAKS.roof(10) == PEAKS.roof(1000) == 100e9


def test_a_frame_of_a_network():
    model = cnnviz.build("resnet20_cifar")
    found = measure_roofline(model, (3, 32, 32), PEAKS, passes=3)
    traced = trace(model, (3, 32, 32))
    frame = found.to_frame()
    assert frame["path"].tolist() == [layer.path for layer in traced.layers]
    assert frame["macs"].sum() == traced.macs
    assert frame["flops"].sum() == sum(
        2 * layer.macs + layer.bias_adds + layer.other_ops for layer in traced.layers
    )
    assert frame["share"].sum() == pytest.approx(1)
    assert (frame["seconds"] > 0).all()
    assert found.seconds == pytest.approx(frame["seconds"].sum())
    assert found.pass_seconds > 0
    known = frame[frame["intensity"].notna()]
    assert (known["achieved"] * known["seconds"]).to_numpy() == pytest.approx(
        known["flops"].to_numpy(float)
    )
    assert set(known["limit"]) <= {"memory", "arithmetic"}
    assert ((known["intensity"] < 10) == (known["limit"] == "memory")).all()
    assert (frame[frame["intensity"].isna()]["limit"] == "").all()


def test_unknown_arithmetic_is_not_drawn_as_none():
    layer = trace(nn.Conv2d(3, 4, 3), (3, 8, 8)).layers[0]
    frame = Roofline(PEAKS, (Timing(layer, 0.5, None, 100),), 0.5, 1).to_frame()
    assert frame["flops"].isna().all()
    assert frame["achieved"].isna().all()
    assert frame["limit"].tolist() == [""]


def test_the_best_of_two_measurements_counts():
    slow = Peaks(flops=80e9, bandwidth=12e9, device="a machine", threads=1)
    both = Peaks(flops=100e9, bandwidth=12e9, device="a machine", threads=1)
    assert PEAKS.best(slow) == slow.best(PEAKS) == both
    other = Peaks(flops=1e9, bandwidth=1e9, device="a machine", threads=2)
    assert PEAKS.best(other) is other


def test_an_operator_above_the_roof_is_noticed():
    found = measure_roofline(nn.Conv2d(3, 8, 3), (3, 20, 20), PEAKS, passes=1)
    assert not found.surpassed
    assert replace(found, peaks=replace(PEAKS, flops=1.0)).surpassed


def test_peaks_are_measured():
    found = measure_peaks("cpu")
    assert found.flops > found.bandwidth > 1e8
    assert found.threads == torch.get_num_threads()
    assert found.device


def test_nothing_is_left_behind():
    model = Branches().train()
    model.relu.eval()
    before = [module.training for module in model.modules()]
    measure_roofline(model, (3, 16, 16), PEAKS, passes=2)
    assert [module.training for module in model.modules()] == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_network_that_takes_another_path_each_time():
    class Fickle(nn.Module):
        calls = 0

        def forward(self, x):
            Fickle.calls += 1
            return x.relu() if Fickle.calls == 1 else x.tanh()

    with pytest.raises(CnnvizError, match="another path"):
        measure_roofline(Fickle(), (3, 4, 4), PEAKS, passes=2)


def test_errors():
    with pytest.raises(CnnvizError, match="at least 1"):
        measure_roofline(nn.Conv2d(3, 4, 3), (3, 8, 8), PEAKS, passes=0)
    with pytest.raises(CnnvizError, match="without weights"):
        measure_roofline(nn.Conv2d(3, 4, 3, device="meta"), (3, 8, 8), PEAKS)
