"""Projections through crops of the image equal those through the whole image."""

import pytest
import torch
from torch import nn

import cnnviz
from cnnviz.sight import project
from cnnviz.sight.backward import projection
from cnnviz.sight.backward.crops import find_crop
from cnnviz.sight.backward.passes import find_sites, frozen_twin
from tests.sight.nets import FAMILIES, ODD, family, odd

pytestmark = pytest.mark.slow


def crop_of(model, images, layer):
    twin = frozen_twin(model)
    (site,) = find_sites(twin, [layer], images[:1])
    return find_crop(twin, site, images[:1])


def both(monkeypatch, model, images, layer, rule="deconvnet"):
    """The same projection by crops whatever they cost, and without them."""
    found = []
    for share in (2.0, 0.0):
        monkeypatch.setattr(projection, "CROP_SHARE", share)
        found.append(project(model, images, layer, [0, 1], rule))
    return found


@pytest.mark.parametrize("rule", ["deconvnet", "guided", "gradient"])
@pytest.mark.parametrize("name", [*FAMILIES, *ODD])
def test_crops_show_what_the_whole_image_shows(monkeypatch, name, rule):
    model, images = (odd if name in ODD else family)(name)
    paths = [
        row.path
        for row in cnnviz.trace(model, tuple(images.shape[1:])).layers
        if len(row.output_shape) == 4 and row.op != "getitem" and min(row.output_shape[1:]) > 1
    ]
    paths = [path for path in paths if crop_of(model, images, path)]
    # The older networks see nearly everything early, and this edition of LeNet slices its maps.
    assert len(paths) >= (1 if name not in ("lenet5",) else 0)
    for path in paths[:: max(1, len(paths) // 4)]:
        crops, whole = both(monkeypatch, model, images, path, rule)
        assert torch.equal(crops.positions, whole.positions)
        torch.testing.assert_close(crops.activations, whole.activations)
        scale = float(whole.pixels.abs().max())
        torch.testing.assert_close(crops.pixels, whole.pixels, atol=1e-4 * scale, rtol=1e-3)


def test_a_crop_reaches_the_border_that_the_field_reaches():
    model, images = family("resnet20_cifar")
    crop = crop_of(model, images, "layer2.0.relu1")  # field 17, stride 2
    assert crop.size == (18, 18)
    places = torch.tensor([[0, 15], [7, 8], [15, 2]])
    cut, shifted, first = crop.cut(images[[0, 1, 1]], places)
    assert first.tolist() == [[0, 14], [6, 8], [14, 0]]
    assert (shifted * 2 + first).tolist() == (places * 2).tolist()
    assert torch.equal(cut[1], images[1, :, 6:24, 8:26])
    pasted = crop.paste(cut, first)
    assert torch.equal(pasted[1, :, 6:24, 8:26], cut[1])
    assert pasted[1].count_nonzero() == cut[1].count_nonzero()


class Positional(nn.Module):
    """A number for each place of the map is added: a crop would get those of other places."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.place = nn.Parameter(torch.randn(1, 1, 19, 19))

    def forward(self, x):
        return torch.relu(self.conv(x) + self.place)


class Looking(nn.Module):
    """Looks at the size of its input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x)) * (1.0 if x.shape[2] == 19 else 2.0)


@pytest.mark.parametrize("net", [Positional, Looking])
def test_networks_that_know_their_place_are_left_whole(monkeypatch, net):
    torch.manual_seed(0)
    model, images = net().eval(), torch.randn(2, 3, 19, 19)
    assert (crop_of(model, images, "relu") is None) == (net is Positional)
    layer = cnnviz.trace(model, (3, 19, 19)).layers[-1].path
    crops, whole = both(monkeypatch, model, images, layer)
    assert torch.equal(crops.pixels, whole.pixels)


def test_where_everything_is_seen_there_is_no_crop():
    model, images = family("resnet20_cifar")
    for layer in ("layer3", "avgpool", "fc"):
        assert crop_of(model, images, layer) is None
