"""ZFNet: AlexNet, improved by looking at what its layers see.

Zeiler, Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (arXiv 1311.2901,
2013), Figure 3. The paper prints layer sizes, not paddings: conv1 and the first two pools are
padded by 1 here, which gives its 110, 55, 26 and 13. The paper renormalises filters whose RMS
exceeds 0.1 while training; that belongs to a recipe and is left out.
"""

from __future__ import annotations

from torch import Tensor, nn

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
from cnnviz.registry import Change, Variant, register


class ZFNet(nn.Module):
    """ZFNet as published: (N, 3, 224, 224) -> (N, classes), 62,357,608 parameters.

    `lrn` switches the contrast normalisation across maps.
    """

    def __init__(self, num_classes: int = 1000, lrn: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2, padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.norm1 = LocalResponseNorm() if lrn else nn.Identity()
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.norm2 = LocalResponseNorm() if lrn else nn.Identity()
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.relu3 = nn.ReLU(inplace=True)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.relu4 = nn.ReLU(inplace=True)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)
        self.relu5 = nn.ReLU(inplace=True)
        self.pool5 = nn.MaxPool2d(3, stride=2)
        self.classifier = nn.Sequential(
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),  # section 3: on the layers 6 and 7
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.normal_(module.weight, std=0.01)  # section 3: weights of size 0.01
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.norm1(self.pool1(self.relu1(self.conv1(x))))  # (N, 3, 224, 224) -> (N, 96, 55, 55)
        x = self.norm2(self.pool2(self.relu2(self.conv2(x))))  # -> (N, 256, 13, 13)
        x = self.relu3(self.conv3(x))  # -> (N, 384, 13, 13)
        x = self.relu4(self.conv4(x))
        x = self.pool5(self.relu5(self.conv5(x)))  # -> (N, 256, 6, 6)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


class CifarZFNet(nn.Module):
    """ZFNet's five convolutions and three linear layers: (N, 3, 32, 32) -> (N, classes)."""

    def __init__(self, num_classes: int = 10, width: float = 1.0, lrn: bool = False) -> None:
        super().__init__()
        c1, c2, c3, hidden = (scale_channels(c, width) for c in (96, 256, 384, 512))

        def norm() -> list[nn.Module]:
            return [LocalResponseNorm()] if lrn else []

        self.features = nn.Sequential(
            *(nn.Conv2d(3, c1, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2), *norm()),
            *(nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(2), *norm()),
            *(nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(c3, c3, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(c3, c2, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(c2 * 4 * 4, hidden),
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


register(
    [
        Variant(
            name="zfnet",
            architecture="zfnet",
            title="ZFNet",
            edition="paper",
            input_size=(3, 224, 224),
            num_classes=1000,
            builder=ZFNet,
            knobs=(LRN,),
            changes=(
                Change(
                    "The first convolution and the first two pools are padded by one pixel",
                    "the paper prints no paddings; these give its maps of 110, 55, 26 and 13",
                ),
                Change(
                    "Large filters are not rescaled while training",
                    "it belongs to a training recipe, not to the network",
                ),
            ),
            summary="AlexNet with a finer first layer, in one tower.",
        ),
        Variant(
            name="zfnet_cifar",
            architecture="zfnet",
            title="ZFNet for CIFAR-10",
            edition="cifar",
            input_size=(3, 32, 32),
            num_classes=10,
            builder=CifarZFNet,
            knobs=(WIDTH, LRN_OFF),
            changes=(
                Change(
                    "A 5 × 5 stem of stride 1 in place of 7 × 7 of stride 2, and stride 1 after it",
                    "a 32 × 32 image leaves no room for four halvings before the third layer",
                ),
                Change("2 × 2 pools in place of 3 × 3", "they halve 32 pixels to 4 exactly"),
                Change(
                    "Two hidden layers of 512 (at width 1), not 4096",
                    "ten classes need fewer weights",
                ),
                DROPOUT_BEFORE,
                NO_LRN,
            ),
            summary="ZFNet's filters on small images, with a stem of stride 1.",
        ),
    ]
)
