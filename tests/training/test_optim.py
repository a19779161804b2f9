"""How weights move on every device: the optimiser that goes on, and the average of the weights."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from cnnviz.training.optim import WeightAverage, load_optimizer, make_optimizer
from cnnviz.training.recipe import default_recipe


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw", "lr": 1e-3}])
def test_a_run_of_another_device_goes_on_with_the_kernels_of_this_one(changes):
    """fp16 hands overflows to fused kernels alone, and a CPU's bits are those of its own."""
    recipe, model = default_recipe("lenet_modern", "digits", **changes), nn.Linear(3, 2)
    optimizer = make_optimizer(recipe, model)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    for group in state["param_groups"]:
        assert not group["fused"]
        group["fused"], group["lr"] = True, 0.25
    other = make_optimizer(recipe, model)
    load_optimizer(other, state)
    assert [group["fused"] for group in other.param_groups] == [False, False]
    assert [group["lr"] for group in other.param_groups] == [0.25, 0.25]
    for name, value in optimizer.state[model.weight].items():
        assert torch.equal(other.state[model.weight][name], value)
    assert all(group["fused"] for group in state["param_groups"])  # it is the caller's


def test_the_average_is_that_of_torch():
    """torch's own update, with the same factor: the same bits, under the same names."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    steps = []

    def average(averaged, current, _):
        young = min(0.9, (1 + len(steps)) / (10 + len(steps)))
        for one, other in zip(averaged, current, strict=True):
            one.lerp_(other, 1 - young) if one.is_floating_point() else one.copy_(other)

    theirs = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    ours = WeightAverage(model, 0.9, lambda: len(steps))
    for step in range(5):
        steps.append(step)
        model(torch.randn(2, 3, 8, 8))
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
        theirs.update_parameters(model)
        ours.update_parameters(model)
        expected = theirs.state_dict()
        assert list(ours.state_dict()) == list(expected)
        for name, value in ours.state_dict().items():
            assert torch.equal(value, expected[name]), name
    assert not any(p.grad_fn for p in ours.parameters())
