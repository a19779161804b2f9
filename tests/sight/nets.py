"""Small networks that tools of this kind tend to get wrong, and the project's own at 32 pixels."""

import torch
import torch.nn.functional as F
from torch import nn

import cnnviz

# One small network of each family, by what to build.
FAMILIES = {
    "lenet5": {},
    "lenet5_cifar": {},
    "alexnet_cifar": {"width": 0.25, "lrn": True},
    "zfnet_cifar": {"width": 0.25, "lrn": True},
    "vgg11_cifar": {"width": 0.25},
    "vgg11_bn_cifar": {"width": 0.25},
    "googlenet_slim_cifar": {},
    "resnet20_cifar": {},
    "mobilenet_v1_cifar": {"width": 0.25},
    "convnext_atto_cifar": {},
}


def family(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network with random weights and two images for it."""
    torch.manual_seed(0)
    model = cnnviz.build(name, **FAMILIES[name]).eval()
    channels = 1 if name == "lenet5" else 3
    return model, torch.randn(2, channels, 32, 32)


class Functional(nn.Module):
    """ReLUs that no module shows, one of them in place with its result thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.third = nn.Conv2d(8, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        x = self.second(x)
        x.relu_()
        return F.relu(self.third(x), inplace=True)


class Reused(nn.Module):
    """One in-place ReLU module for all calls, and the input overwritten first of all."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        return self.relu(self.conv(self.relu(self.conv(x))))


class PreActivation(nn.Module):
    """The input of the first ReLU also goes around it (He et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(6, 6, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return x + self.conv2(self.relu2(self.conv1(self.relu1(x))))


class Dense(nn.Module):
    """Each layer reads all before it (DenseNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.grow = nn.Conv2d(4, 5, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return torch.cat([x, self.grow(F.relu(x))], dim=1)


class Pools(nn.Module):
    """Overlapping and ceil-mode pooling of both kinds, without a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 5, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.overlap = nn.MaxPool2d(3, stride=1, padding=1)
        self.ceil = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.head = nn.Conv2d(6, 4, 3, groups=2, dilation=2, padding=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return F.adaptive_avg_pool2d(self.head(self.mean(self.ceil(self.overlap(x)))), 2)


class Smooth(nn.Module):
    """GELU, SiLU in place, layer normalisation in channels-last order, a depthwise kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8)
        self.wide = nn.Linear(8, 12)
        self.narrow = nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.stem(x), inplace=True)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)


ODD = {net.__name__: net for net in (Functional, Reused, PreActivation, Dense, Pools, Smooth)}


def odd(name: str) -> tuple[nn.Module, torch.Tensor]:
    """An odd network in double precision and three images for it."""
    torch.manual_seed(0)
    model = ODD[name]().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # a negative γ turns the sign of the signal
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.normal_()
    return model, torch.randn(3, 3, 19, 19, dtype=torch.float64)
