import pytest
import torch

from cnnviz import architectures
from cnnviz.training.saved.checkpoints import (
    save_checkpoint,
)
from tests.training.saved.cards import card


@pytest.fixture
def model():
    torch.manual_seed(0)
    return architectures.build("lenet5_cifar")


@pytest.fixture
def saved(model, tmp_path):
    return save_checkpoint(model, card(), tmp_path)
