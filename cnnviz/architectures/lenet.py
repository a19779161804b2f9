"""LeNet: the network of 1998 as published, and two forms of today.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86 (11), 1998.

`LeNet5` is the published network: trainable sub-sampling, the connection table of C3 (Table I), the
scaled tanh and the radial basis output. It departs from the paper in one place: the ten 7 × 12
bitmaps are drawn here in the style of the paper's Figure 3, which prints no numbers for them.

`SimpleLeNet5` is what later code usually calls LeNet-5; `ModernLeNet` is a wide one for colour.
"""

from __future__ import annotations

import functools
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnviz.errors import CnnvizError
from cnnviz.registry import Change, Variant, register

# Table I of the paper: rows are the maps 0-5 of S2, columns the maps 0-15 of C3. The columns
# 0-5 read three maps, 6-14 read four, and the last reads all six.
C3_TABLE = (
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
)

# The digits 0 to 9, each 7 wide and 12 high; # is +1 and . is -1.
DIGIT_BITMAPS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## .####.. .....## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##..##. ######. ######. ....##. .#####. ##...##
##...## ...##.. ...##.. .....## ##..##. .....## ##...## ...##.. ##...## .######
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


def scaled_tanh(a: Tensor) -> Tensor:
    """Squash as the paper does: f(a) = 1.7159 · tanh(2a/3), Eq. 6 and Appendix A."""
    return 1.7159 * torch.tanh(a * (2 / 3))


class Subsample(nn.Module):
    """Trainable 2 × 2 sub-sampling: w · (sum of the window) + b, one w and one b a map.

    (N, C, H, W) -> (N, C, H/2, W/2). The squashing function follows outside (paper, section II.B).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        nn.init.uniform_(self.weight, -2.4 / 4, 2.4 / 4)
        nn.init.uniform_(self.bias, -2.4 / 4, 2.4 / 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted window sums."""
        window_sum = F.avg_pool2d(x, 2, divisor_override=1)
        return self.weight[:, None, None] * window_sum + self.bias[:, None, None]


class TableConvolution(nn.Module):
    """C3: 5 × 5 convolutions in which each output map reads only the maps of `C3_TABLE`.

    (N, 6, 14, 14) -> (N, 16, 10, 10). The inputs of the output maps are gathered side by side, so
    that three grouped convolutions compute exactly the 60 links and hold no masked weight.
    """

    def __init__(self) -> None:
        super().__init__()
        links = [[row for row in range(6) if C3_TABLE[row][k] == "X"] for k in range(16)]
        for name, maps in (("reads_three", links[0:6]), ("reads_four", links[6:15])):
            index = torch.tensor([source for sources in maps for source in sources])
            self.register_buffer(f"{name}_index", index, persistent=False)
        self.reads_three = nn.Conv2d(18, 6, 5, groups=6)
        self.reads_four = nn.Conv2d(36, 9, 5, groups=9)
        self.reads_all = nn.Conv2d(6, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sixteen maps, before the squashing function."""
        three = self.reads_three(x.index_select(1, cast(Tensor, self.reads_three_index)))
        four = self.reads_four(x.index_select(1, cast(Tensor, self.reads_four_index)))
        return torch.cat([three, four, self.reads_all(x)], dim=1)


class RadialBasisOutput(nn.Module):
    """Euclidean radial basis units on fixed digit bitmaps: (N, 84) -> (N, classes).

    The paper's unit is y = Σ (x − w)², smallest for the recognised class (Eq. 7). This returns −y,
    so that argmax is the class and softmax cross-entropy is the paper's MAP criterion (Eq. 9)
    without its constant exp(−j) for "rubbish" images.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        if num_classes > 10:
            raise CnnvizError(
                "lenet5 compares with the bitmaps of ten digits: ask for 10 classes or fewer, "
                "or take lenet5_cifar."
            )
        rows = [line.split() for line in DIGIT_BITMAPS.split("\n") if line]
        bitmaps = [[row[digit] for row in rows] for digit in range(num_classes)]
        signs = [[1.0 if c == "#" else -1.0 for c in "".join(bitmap)] for bitmap in bitmaps]
        self.register_buffer("bitmaps", torch.tensor(signs))

    def forward(self, x: Tensor) -> Tensor:
        """Return minus the squared distance to each bitmap."""
        return -(x[:, None, :] - cast(Tensor, self.bitmaps)).square().sum(dim=2)


class LeNet5(nn.Module):
    """LeNet-5 as published in 1998: 60,000 trainable parameters, (N, 1, 32, 32) -> (N, classes).

    Raises `CnnvizError` for more than ten classes: the output compares with bitmaps of the digits.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5)
        self.s2 = Subsample(6)
        self.c3 = TableConvolution()
        self.s4 = Subsample(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = RadialBasisOutput(num_classes)
        self.apply(_initialise_as_published)

    def forward(self, x: Tensor) -> Tensor:
        """Return minus the squared distance of F6 to each digit's bitmap."""
        x = scaled_tanh(self.c1(x))  # (N, 1, 32, 32) -> (N, 6, 28, 28)
        x = scaled_tanh(self.s2(x))  # -> (N, 6, 14, 14)
        x = scaled_tanh(self.c3(x))  # -> (N, 16, 10, 10)
        x = scaled_tanh(self.s4(x))  # -> (N, 16, 5, 5)
        x = scaled_tanh(self.c5(x))  # -> (N, 120, 1, 1)
        x = scaled_tanh(self.f6(x.flatten(1)))  # -> (N, 84), a 7 × 12 picture
        logits: Tensor = self.output(x)
        return logits


def _initialise_as_published(module: nn.Module) -> None:
    """Draw weights and biases from ±2.4 / fan-in, uniformly (Appendix A)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        fan_in = module.weight[0].numel()
        nn.init.uniform_(module.weight, -2.4 / fan_in, 2.4 / fan_in)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -2.4 / fan_in, 2.4 / fan_in)


class SimpleLeNet5(nn.Module):
    """The simplified LeNet-5 of most tutorials: (N, in_channels, 32, 32) -> (N, classes).

    Full C3, ReLU, max-pooling and a linear output; 61,706 parameters with one input channel and ten
    classes, 62,006 with three.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_channels, 6, 5)
        self.relu1 = nn.ReLU()
        self.s2 = nn.MaxPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.relu3 = nn.ReLU()
        self.s4 = nn.MaxPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.relu5 = nn.ReLU()
        self.f6 = nn.Linear(120, 84)
        self.relu6 = nn.ReLU()
        self.output = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.s2(self.relu1(self.c1(x)))  # (N, C, 32, 32) -> (N, 6, 14, 14)
        x = self.s4(self.relu3(self.c3(x)))  # -> (N, 16, 5, 5)
        x = self.relu5(self.c5(x))  # -> (N, 120, 1, 1)
        x = self.relu6(self.f6(x.flatten(1)))  # -> (N, 84)
        logits: Tensor = self.output(x)
        return logits


class ModernLeNet(nn.Module):
    """A wide LeNet with ReLU and max-pooling: (N, 3, 32, 32) -> (N, classes)."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(128 * 5 * 5, 1024),
            nn.ReLU(),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.features(x)  # (N, 3, 32, 32) -> (N, 128, 5, 5)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


_USUAL_CHANGES = (
    Change(
        "Every C3 map reads all S2 maps",
        "the connection table saved work in 1998 and made the maps differ; random weights do",
    ),
    Change("ReLU in place of the scaled tanh", "it trains faster and does not saturate"),
    Change("2 × 2 max-pooling in place of trainable sub-sampling", "it became the usual pooling"),
    Change("A linear output in place of the radial basis units", "classes need no bitmaps"),
)

register(
    [
        Variant(
            name="lenet5",
            architecture="lenet",
            title="LeNet-5 (1998)",
            edition="paper",
            input_size=(1, 32, 32),
            num_classes=10,
            builder=LeNet5,
            summary="As published: trainable sub-sampling, sparse C3, scaled tanh, digit bitmaps.",
            changes=(
                Change(
                    "The ten bitmaps are drawn anew on the paper's 7 × 12 grid",
                    "the paper shows its bitmaps only as a small figure (figure 3)",
                ),
                Change(
                    "The output is minus the distance to each bitmap",
                    "cross-entropy on it is then the paper's criterion (equation 9) without its "
                    "constant, and the largest output is the answer, as in every other network",
                ),
            ),
        ),
        Variant(
            name="lenet_modern",
            architecture="lenet",
            title="LeNet, modern",
            edition="paper",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=ModernLeNet,
            changes=(
                Change("Three input channels", "it reads colour photos"),
                Change("64 and 128 maps, two hidden layers of 1024", "colour photos need more"),
                *_USUAL_CHANGES,
            ),
            summary="A wide LeNet for colour images, with ReLU and max-pooling.",
        ),
        Variant(
            name="lenet5_cifar",
            architecture="lenet",
            title="LeNet-5 for CIFAR-10",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=functools.partial(SimpleLeNet5, in_channels=3),
            changes=(Change("Three input channels", "CIFAR-10 is in colour"), *_USUAL_CHANGES),
            summary="The simplified LeNet-5 of most tutorials, reading colour.",
        ),
    ]
)
