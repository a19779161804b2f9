"""The families of the road from LeNet to ConvNeXt: papers and ideas; importing it registers them.

No torch here: what only tells of the families, as Home does, need not wait for what builds their
networks. Each family's variants are registered by its own file in `cnnviz.architectures`.
"""

from __future__ import annotations

from cnnviz.registry import Architecture, register_architecture

# In the order of the road: it decides between two families of one year.
FAMILIES = (
    Architecture(
        name="lenet",
        title="LeNet",
        year=1998,
        authors="Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner",
        citation="LeCun et al., Gradient-based learning applied to document recognition, "
        "Proceedings of the IEEE 86 (11), 1998",
        url="https://doi.org/10.1109/5.726791",
        motto="Convolve, sub-sample, learn it all",
        first="lenet5",
        idea="Local receptive fields with shared weights, followed by sub-sampling, read a "
        "character from raw pixels. Features and classifier are learnt together by gradient "
        "descent, with no features designed by hand.",
        changed="The first network of the road: it replaced hand-made features and fully connected "
        "layers on pixels by learnt convolutions.",
    ),
    Architecture(
        name="alexnet",
        title="AlexNet",
        year=2012,
        authors="Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton",
        citation="Krizhevsky et al., ImageNet classification with deep convolutional neural "
        "networks, NIPS 2012",
        url="https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
        motto="Deeper, on GPUs, with ReLU",
        first="alexnet",
        idea="A convolutional network with sixty million weights, trained on a million photos by "
        "two GPUs, beats every hand-made feature. ReLU makes that training fast enough, and "
        "dropout and augmented images keep it from learning the photos by heart.",
        changed="Against LeNet: ReLU in place of tanh, overlapping max-pooling in place of "
        "sub-sampling, response normalisation, dropout, and a thousand times the parameters.",
        against={"paper": "lenet5", "cifar": "lenet5_cifar"},
    ),
    Architecture(
        name="zfnet",
        title="ZFNet",
        year=2013,
        authors="Matthew Zeiler, Rob Fergus",
        citation="Zeiler and Fergus, Visualizing and understanding convolutional networks, "
        "ECCV 2014 (arXiv 1311.2901)",
        url="https://arxiv.org/abs/1311.2901",
        motto="Look inside, then improve",
        first="zfnet",
        idea="A deconvolutional network carries a unit's activation back to pixels and shows what "
        "it responds to. What the authors saw in AlexNet, dead filters and aliasing in the first "
        "layers, told them what to change.",
        changed="Against AlexNet: the first layer reads 7 × 7 pixels with stride 2 in place of "
        "11 × 11 with stride 4, the second has stride 2, and one tower replaces the two groups.",
        against={"paper": "alexnet_2012", "cifar": "alexnet_cifar"},
    ),
    Architecture(
        name="vgg",
        title="VGG",
        year=2014,
        authors="Karen Simonyan, Andrew Zisserman",
        citation="Simonyan and Zisserman, Very deep convolutional networks for large-scale image "
        "recognition, ICLR 2015 (arXiv 1409.1556)",
        url="https://arxiv.org/abs/1409.1556",
        motto="Only 3 × 3, but deep",
        first="vgg11",
        idea="Three 3 × 3 convolutions see as much of the image as one 7 × 7, with fewer weights "
        "and two more non-linearities. Stacking them in one uniform pattern makes the network "
        "deep, and depth brings accuracy.",
        changed="Against ZFNet: every convolution is 3 × 3 with stride 1, only pools shrink the "
        "maps, response normalisation is gone, and 16 to 19 layers replace 8.",
        against={"paper": "zfnet", "cifar": "zfnet_cifar"},
    ),
    Architecture(
        name="googlenet",
        title="GoogLeNet",
        year=2014,
        authors="Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, "
        "Dragomir Anguelov, Dumitru Erhan, Vincent Vanhoucke, Andrew Rabinovich",
        citation="Szegedy et al., Going deeper with convolutions, CVPR 2015 (arXiv 1409.4842)",
        url="https://arxiv.org/abs/1409.4842",
        motto="Wide and cheap: inception",
        first="googlenet",
        idea="Each module looks at its input with 1 × 1, 3 × 3 and 5 × 5 filters and a pool at "
        "once, and the next module picks what it needs. A 1 × 1 convolution before each large "
        "one reduces the channels, so 22 layers cost a twentieth of VGG-16's parameters.",
        changed="Against VGG: parallel branches in place of one chain, 1 × 1 reductions, a global "
        "average pool in place of two large linear layers, and auxiliary classifiers.",
        against={"paper": "vgg16", "cifar": "vgg16_cifar"},
    ),
    Architecture(
        name="resnet",
        title="ResNet",
        year=2015,
        authors="Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
        citation="He et al., Deep residual learning for image recognition, CVPR 2016 "
        "(arXiv 1512.03385)",
        url="https://arxiv.org/abs/1512.03385",
        motto="Learn the difference, add the input",
        first="resnet18",
        idea="A block learns what to add to its input rather than a whole new output, and a "
        "shortcut carries the input past it. Doing nothing is then easy to learn, so networks of a "
        "hundred layers train better than shallow ones, not worse.",
        changed="Against VGG and GoogLeNet: identity shortcuts around every two or three "
        "convolutions, batch normalisation after each, and no dropout. It keeps VGG's 3 × 3 "
        "filters and ends in one global average pool, as GoogLeNet does.",
        against={"paper": "googlenet_2014", "cifar": "googlenet_cifar"},
    ),
    Architecture(
        name="mobilenet",
        title="MobileNet",
        year=2017,
        authors="Andrew Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, "
        "Tobias Weyand, Marco Andreetto, Hartwig Adam",
        citation="Howard et al., MobileNets: efficient convolutional neural networks for mobile "
        "vision applications, arXiv 1704.04861, 2017",
        url="https://arxiv.org/abs/1704.04861",
        motto="Filter, then mix: an eighth of the work",
        first="mobilenet_v1",
        idea="A convolution is split in two: one 3 × 3 filter in each channel, then a 1 × 1 that "
        "mixes the channels, for an eighth to a ninth of the multiplications. Two numbers, the "
        "width α and the input's resolution, trade accuracy for speed.",
        changed="Against ResNet: depthwise separable convolutions in place of full ones, no "
        "shortcuts, and a size that fits a phone.",
        against={"paper": "resnet18", "cifar": "resnet18_cifar"},
    ),
    Architecture(
        name="convnext",
        title="ConvNeXt",
        year=2022,
        authors="Zhuang Liu, Hanzi Mao, Chao-Yuan Wu, Christoph Feichtenhofer, Trevor Darrell, "
        "Saining Xie",
        citation="Liu et al., A ConvNet for the 2020s, CVPR 2022 (arXiv 2201.03545)",
        url="https://arxiv.org/abs/2201.03545",
        motto="A ResNet that learnt from Transformers",
        first="convnext_tiny",
        idea="A ResNet-50 is changed one step at a time towards a Swin Transformer, in training "
        "and in design, without ever using attention. At equal cost the result is as accurate, so "
        "much of the Transformers' lead lay in such choices.",
        changed="Against ResNet: a stem of 4 × 4 patches, 7 × 7 depthwise convolutions, inverted "
        "bottlenecks, GELU and layer normalisation, each used once a block, and separate "
        "down-sampling layers. The depthwise convolution comes from MobileNet's line.",
        against={"paper": "resnet50", "cifar": "resnet50_cifar"},
    ),
)

for _family in FAMILIES:
    register_architecture(_family)
