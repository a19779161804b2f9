"""The strongest activation of units over a training."""

import pytest
import torch
from torch import nn

from cnnviz.errors import CnnvizError
from cnnviz.sight import project
from cnnviz.sight.units.evolution import evolution
from cnnviz.training.augment import normalise

MEAN, STD = (0.5,), (0.25,)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.relu(self.conv(x))).flatten(1))


def images(count: int = 20) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, 12, 12), generator=generator).to(torch.uint8)


def trained(epochs: int = 4):
    """A real training on which half of the images is the brighter one, epoch by epoch."""
    torch.manual_seed(0)
    model, data = Small(), normalise(images(), MEAN, STD)
    labels = (data.mean((1, 2, 3)) > 0).long()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    for epoch in range(1, epochs + 1):
        model.train()
        for _ in range(10):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(data), labels).backward()
            optimiser.step()
        yield epoch, model.eval()


def test_each_epoch_has_its_own_strongest_image_and_projection():
    states = {
        epoch: {k: v.clone() for k, v in model.state_dict().items()} for epoch, model in trained()
    }
    found = evolution(trained(), images(), "relu", [2, 0], mean=MEAN, std=STD)
    assert found.epochs == (1, 2, 3, 4)
    assert found.units == (2, 0)
    assert found.pixels.shape == (2, 4, 1, 12, 12)
    data = normalise(images(), MEAN, STD)
    for column, epoch in enumerate(found.epochs):
        model = Small().eval()
        model.load_state_dict(states[epoch])
        with torch.no_grad():
            maps = model.relu(model.conv(data))
        for row, unit in enumerate(found.units):
            strongest = maps[:, unit].flatten(1).amax(1)
            image = int(strongest.argmax())
            assert found.indices[row, column] == image
            assert found.values[row, column] == pytest.approx(strongest.max().item(), rel=1e-5)
            wanted = project(model, data[[image]], "relu", unit)
            torch.testing.assert_close(found.pixels[row, column], wanted.pixels[0, 0])
            assert found.positions[row, column].tolist() == wanted.positions[0, 0].tolist()


def test_a_jump_is_where_another_image_became_the_strongest():
    found = evolution(trained(), images(), "relu", range(4), mean=MEAN, std=STD)
    assert not found.jumps[:, 0].any()
    assert torch.equal(found.jumps[:, 1:], found.indices[:, 1:] != found.indices[:, :-1])
    steady = evolution(
        [(1, Small().eval()), (9, Small().eval())], images(1), "relu", [0], mean=MEAN, std=STD
    )
    assert not steady.jumps.any()  # there is one image only


def test_the_scans_are_kept(tmp_path):
    arguments = (images(), "relu", [1])
    first = evolution(trained(2), *arguments, mean=MEAN, std=STD, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    again = evolution(trained(2), *arguments, mean=MEAN, std=STD, cache=tmp_path)
    assert torch.equal(first.pixels, again.pixels)


def test_evolution_refuses():
    form = {"mean": MEAN, "std": STD}
    with pytest.raises(CnnvizError, match="train a run"):
        evolution([], images(), "relu", [0], **form)
    with pytest.raises(CnnvizError, match="in order"):
        evolution([(2, Small().eval())] * 2, images(), "relu", [0], **form)
    for units in ([4], [-1], []):
        with pytest.raises(CnnvizError, match="0 to 3"):
            evolution([(1, Small().eval())], images(), "relu", units, **form)
