"""Random small networks: counts equal torch's own on every one of them."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cnnviz.anatomy import trace
from tests.anatomy.operators.test_counters import flop_counter_macs


class Block(nn.Module):
    def __init__(self, kind, kernel, dilation, groups, shared):
        super().__init__()
        self.kind = kind
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(8, 8, kernel, 1, padding, dilation, groups, bias=groups == 2)
        self.second = self.conv if shared else nn.Conv2d(8, 8, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x):
        if self.kind == "residual":
            y = F.relu(self.norm(self.conv(x)), inplace=True)
            y += x
            return self.second(y) * self.scale
        if self.kind == "cat":
            return torch.cat([self.conv(x)[:, :4], self.second(x).chunk(2, dim=1)[1]], 1)
        if self.kind == "linear":
            weight = self.second.weight.flatten(1)[:, :8]
            return F.linear(self.conv(x).permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)
        if self.kind == "attention":
            tokens = self.conv(x).flatten(2)
            weights = torch.einsum("bcn,bcm->bnm", tokens, tokens).softmax(-1)
            return (tokens @ weights).view_as(x).add_(x)
        y, second = self.conv(x), self.second  # the transposed one keeps the size as well
        return F.conv_transpose2d(
            y, second.weight, padding=second.padding, dilation=second.dilation
        ).relu_()


blocks = st.builds(
    Block,
    st.sampled_from(["residual", "cat", "linear", "attention", "transposed"]),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 2),
    st.just(1),
    st.booleans(),
) | st.builds(
    Block,
    st.sampled_from(["residual", "cat"]),
    st.sampled_from([3, 5]),
    st.integers(1, 2),
    st.sampled_from([2, 4, 8]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, min_size=1, max_size=4), st.integers(4, 9), st.integers(4, 9))
def test_counts_equal_torch(parts, height, width):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *parts, parts[0], nn.Flatten())
    found = trace(model, (3, height, width))
    assert found.macs == flop_counter_macs(model.to("meta"), (3, height, width))
    assert found.params == sum(p.numel() for p in model.parameters())
    assert found.unknown == ()
    assert all(source < layer.index for layer in found.layers for source in layer.inputs)
    paths = [layer.path for layer in found.layers]
    assert len(set(paths)) == len(paths)
