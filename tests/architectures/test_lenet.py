import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from cnnviz.architectures import build, lenet
from cnnviz.errors import CnnvizError


def test_parameters_of_each_layer_are_the_papers():
    network = build("lenet5")
    layers = {name: sum(p.numel() for p in m.parameters()) for name, m in network.named_children()}
    assert layers == {
        **{"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164},
        "output": 0,  # the bitmaps are fixed
    }


def test_c3_reads_what_the_table_says():
    """The derivative of each C3 map by each S2 map is zero exactly where the table has no X."""
    c3 = lenet.TableConvolution()
    maps = torch.randn(1, 6, 5, 5)
    jacobian = torch.autograd.functional.jacobian(lambda x: c3(x)[0, :, 0, 0], maps)
    reads = jacobian.abs().sum(dim=(1, 3, 4)).T > 0  # (16, 1, 6, 5, 5) -> (6, 16)
    assert ["".join("X" if link else "." for link in row) for row in reads] == [*lenet.C3_TABLE]
    assert reads.sum() == 60


def test_c3_equals_a_dense_convolution_with_zeros():
    c3 = lenet.TableConvolution()
    parts = [*c3.reads_three.weight, *c3.reads_four.weight, *c3.reads_all.weight]
    dense = torch.zeros(16, 6, 5, 5)
    for k, weights in enumerate(parts):
        sources = [row for row in range(6) if lenet.C3_TABLE[row][k] == "X"]
        dense[k, sources] = weights.detach()
    bias = torch.cat([c3.reads_three.bias, c3.reads_four.bias, c3.reads_all.bias])
    maps = torch.randn(2, 6, 14, 14)
    torch.testing.assert_close(c3(maps), F.conv2d(maps, dense, bias))


def test_subsampling_with_a_quarter_is_the_average():
    layer = lenet.Subsample(3)
    maps = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        layer.weight.fill_(0.25)
        layer.bias.zero_()
    torch.testing.assert_close(layer(maps), F.avg_pool2d(maps, 2))


def test_subsampling_has_a_weight_and_a_bias_for_each_map():
    layer = lenet.Subsample(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -2.0]))
        layer.bias.copy_(torch.tensor([0.0, 10.0]))
    assert layer(torch.ones(1, 2, 2, 2)).flatten().tolist() == [4.0, 2.0]


def test_the_squashing_function_keeps_plus_and_minus_one():
    """The paper chose the constants so that f(1) = 1 and f(-1) = -1 (Appendix A)."""
    ends = torch.tensor([-1.0, 0.0, 1.0])
    torch.testing.assert_close(lenet.scaled_tanh(ends), ends, atol=1e-4, rtol=0)


def test_a_bitmap_is_nearest_to_itself():
    output = lenet.RadialBasisOutput(10)
    scores = output(output.bitmaps)
    assert output.bitmaps.shape == (10, 84)
    assert set(output.bitmaps.unique().tolist()) == {-1.0, 1.0}
    assert scores.argmax(dim=1).tolist() == list(range(10))
    assert (scores.diagonal() == 0).all()
    # 4 times the number of differing pixels: no two digits look alike
    assert scores[~torch.eye(10, dtype=torch.bool)].max() <= -4 * 5


def test_scores_are_minus_the_squared_distances():
    output, picture = lenet.RadialBasisOutput(10), torch.randn(3, 84)
    torch.testing.assert_close(output(picture), -torch.cdist(picture, output.bitmaps).square())


def test_more_than_ten_classes_are_refused():
    with pytest.raises(CnnvizError, match="ten digits: ask for 10 classes or fewer"):
        build("lenet5", 11)


def test_initial_weights_lie_within_the_papers_bound():
    network = build("lenet5")
    for layer, fan_in in ((network.c1, 25), (network.c3.reads_four, 100), (network.f6, 120)):
        assert layer.weight.abs().max() <= 2.4 / fan_in
        assert layer.weight.abs().max() > 0.9 * 2.4 / fan_in


def test_lenet5_learns_digits():
    """The 1998 network reads scikit-learn's digits after three epochs of plain SGD."""
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = F.interpolate((images - images.mean()) / images.std(), size=(32, 32), mode="bilinear")
    labels = torch.tensor(digits.target)
    network = build("lenet5").to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for batch in [b for _ in range(3) for b in torch.randperm(1500).split(50)]:
        optimizer.zero_grad()
        F.cross_entropy(network(images[batch]), labels[batch]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        accuracy = (network(images[1500:]).argmax(1) == labels[1500:]).float().mean()
    assert accuracy > 0.75
