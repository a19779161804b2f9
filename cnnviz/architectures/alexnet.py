"""AlexNet: the network that won ImageNet 2012, and its one-tower successor.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
NIPS 2012. `AlexNet2012` is that network; the paper says 224 × 224, but its layer sizes need
227 × 227. `alexnet` is torchvision's class, after Krizhevsky, "One weird trick for parallelizing
convolutional neural networks", arXiv 1404.5997, 2014: one tower and fewer filters. That torchvision
leaves out the response normalisation and drops out one layer early is its own choice.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.alexnet import AlexNet

from cnnviz.architectures.layers import (
    DROPOUT_BEFORE,
    LRN,
    LRN_OFF,
    NO_LRN,
    WIDTH,
    LocalResponseNorm,
    he_initialise,
    scale_channels,
)
from cnnviz.registry import Change, Knob, Variant, register


class AlexNet2012(nn.Module):
    """AlexNet as published: (N, 3, 227, 227) -> (N, classes), 60,965,224 parameters.

    `groups` is 2 for the paper's two GPUs, 1 for one tower; `lrn` switches the response
    normalisation, `overlap` pools 3 × 3 with stride 2 (else 2 × 2).
    """

    def __init__(
        self, num_classes: int = 1000, groups: int = 2, lrn: bool = True, overlap: bool = True
    ) -> None:
        super().__init__()
        window = 3 if overlap else 2
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.relu1 = nn.ReLU(inplace=True)
        self.norm1 = LocalResponseNorm() if lrn else nn.Identity()
        self.pool1 = nn.MaxPool2d(window, stride=2)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=groups)
        self.relu2 = nn.ReLU(inplace=True)
        self.norm2 = LocalResponseNorm() if lrn else nn.Identity()
        self.pool2 = nn.MaxPool2d(window, stride=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)  # reads both towers
        self.relu3 = nn.ReLU(inplace=True)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=groups)
        self.relu4 = nn.ReLU(inplace=True)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=groups)
        self.relu5 = nn.ReLU(inplace=True)
        self.pool5 = nn.MaxPool2d(window, stride=2)
        self.classifier = nn.Sequential(
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),  # section 4.2: the outputs of the two hidden layers
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, num_classes),
        )
        self._initialise_as_published()

    def _initialise_as_published(self) -> None:
        """Draw weights from N(0, 0.01²); some biases start at 1, to feed the ReLUs (section 5)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
        hidden = [module for module in self.classifier if isinstance(module, nn.Linear)][:-1]
        positive = {self.conv2, self.conv4, self.conv5, *hidden}
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.constant_(module.bias, 1.0 if module in positive else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.pool1(self.norm1(self.relu1(self.conv1(x))))  # (N, 3, 227, 227) -> (N, 96, 27, 27)
        x = self.pool2(self.norm2(self.relu2(self.conv2(x))))  # -> (N, 256, 13, 13)
        x = self.relu3(self.conv3(x))  # -> (N, 384, 13, 13)
        x = self.relu4(self.conv4(x))
        x = self.pool5(self.relu5(self.conv5(x)))  # -> (N, 256, 6, 6)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


class CifarAlexNet(nn.Module):
    """AlexNet's five convolutions and three linear layers: (N, 3, 32, 32) -> (N, classes)."""

    def __init__(
        self,
        num_classes: int = 10,
        width: float = 1.0,
        lrn: bool = False,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, hidden = (scale_channels(c, width) for c in (64, 192, 384, 256, 512))

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, stride=2, padding=1) if overlap else nn.MaxPool2d(2)

        def norm() -> list[nn.Module]:
            return [LocalResponseNorm()] if lrn else []

        self.features = nn.Sequential(
            *(nn.Conv2d(3, c1, 3, padding=1), nn.ReLU(inplace=True), *norm(), pool()),
            *(nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(inplace=True), *norm(), pool()),
            *(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(c4, c4, 3, padding=1), nn.ReLU(inplace=True), pool()),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(c4 * 4 * 4, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, num_classes),
        )
        he_initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.features(x)  # (N, 3, 32, 32) -> (N, C, 4, 4)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def build_torchvision_alexnet(num_classes: int) -> nn.Module:
    """Build torchvision's AlexNet with random weights."""
    network: nn.Module = AlexNet(num_classes=num_classes)
    return network


_FILTERS_2014 = Change(
    "64, 192, 384, 256 and 256 filters, not 96, 256, 384, 384 and 256",
    "those of the author's code of 2014 for one tower; its paper prints 384 for the fourth layer",
)

_GROUPS = Knob("groups", 2, "2 splits the convolutions over two towers; 1 joins them.", (1, 2))
_OVERLAP = Knob("overlap", True, "Pool 3 × 3 windows with stride 2, so that they overlap.")

register(
    [
        Variant(
            name="alexnet",
            architecture="alexnet",
            title="AlexNet (torchvision, 2014)",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=build_torchvision_alexnet,
            changes=(
                Change("One tower in place of two groups", "one GPU holds it since 2014"),
                _FILTERS_2014,
                Change(
                    "No response normalisation", "torchvision's choice: the author's code keeps it"
                ),
                DROPOUT_BEFORE,
            ),
            summary="One tower, no response normalisation; torchvision's class.",
            weights="AlexNet_Weights.IMAGENET1K_V1",
        ),
        Variant(
            name="alexnet_2012",
            architecture="alexnet",
            title="AlexNet (2012)",
            edition="paper",
            input_size=(3, 227, 227),
            num_classes=1000,
            builder=AlexNet2012,
            knobs=(_GROUPS, LRN, _OVERLAP),
            changes=(
                Change(
                    "227 × 227 pixels where the paper says 224",
                    "only 227 gives the 55 × 55 maps that the paper states",
                ),
            ),
            summary="As published: two groups, response normalisation, overlapping pools, dropout.",
        ),
        Variant(
            name="alexnet_cifar",
            architecture="alexnet",
            title="AlexNet for CIFAR-10",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=CifarAlexNet,
            knobs=(WIDTH, LRN_OFF, Knob("overlap", False, _OVERLAP.help)),
            changes=(
                Change(
                    "A 3 × 3 stem of stride 1 in place of 11 × 11 of stride 4",
                    "a 32 × 32 image is too small to be quartered at once",
                ),
                Change(
                    "2 × 2 pools (the knob overlap brings 3 × 3 back)",
                    "they halve 32 pixels to 4 without padding",
                    {"overlap": False},
                ),
                Change(
                    "The overlapping pools are padded by one pixel",
                    "so they, too, halve 32 pixels to 4",
                    {"overlap": True},
                ),
                Change(
                    "Two hidden layers of 512 (at width 1), not 4096",
                    "ten classes need fewer weights",
                ),
                Change("One tower", "one device holds it"),
                _FILTERS_2014,
                DROPOUT_BEFORE,
                NO_LRN,
            ),
            summary="Five convolutions and three linear layers, sized for small images.",
        ),
    ]
)
