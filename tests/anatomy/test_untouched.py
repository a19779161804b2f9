"""The caller's network is as before, whatever happens, and threads may share it."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchvision
from torch import nn

from cnnviz.anatomy import trace
from cnnviz.errors import CnnvizError
from tests.anatomy.nets import Branches


def state_of(model):
    return [
        (
            module.training,
            [id(tensor) for tensor in (*module.parameters(False), *module.buffers(False))],
            len(module._forward_hooks) + len(module._forward_pre_hooks),
            sorted(module.__dict__),
        )
        for module in model.modules()
    ]


@pytest.mark.parametrize("size", [(3, 64, 64), (1, 64, 64)])
def test_the_network_is_not_touched(size):
    model = torchvision.models.resnet18().train()
    model.layer1.eval()
    calls = []
    model.conv1.register_forward_hook(lambda *_: calls.append(1))
    before, values = state_of(model), copy.deepcopy(model.state_dict())
    if size[0] == 3:
        trace(model, size)
    else:
        with pytest.raises(CnnvizError):
            trace(model, size)
    assert state_of(model) == before
    assert calls == []
    assert all(torch.equal(values[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_real_pass_leaves_no_mark_either():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.norm(self.conv(x))
            return y * 2 if y.sum().item() > 1e9 else nn.functional.dropout(y, 0.5, self.training)

    model = Gated().train()
    before, generator = state_of(model), torch.get_rng_state()
    found = trace(model, (3, 8, 8))
    assert [layer.op for layer in found.layers] == ["conv2d", "batch_norm", "sum", "dropout"]
    assert found.macs == 4 * 36 * 27
    assert state_of(model) == before
    assert model.norm.num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), generator)


def test_no_global_state_stays():
    default = torch.get_default_device()
    trace(Branches(), (3, 16, 16))
    assert torch.get_default_device() == default
    assert torch.is_grad_enabled()
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks


def test_works_under_inference_mode():
    model = Branches()
    expected = trace(model, (3, 16, 16))
    with torch.inference_mode():
        assert trace(model, (3, 16, 16)) == expected


def test_four_threads_on_one_network():
    model = torchvision.models.resnet18()
    sizes = [(3, side, side) for side in (32, 64, 96, 128)] * 3
    expected = [trace(model, size) for size in sizes]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda size: trace(model, size), sizes)) == expected
