"""Small odd networks that counters tend to get wrong."""

import torch
import torch.nn.functional as F
from torch import nn


class Branches(nn.Module):
    """Functional and in-place operators, groups, dilation, a shared module, cat and add."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=2, padding=2)
        self.left = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False)
        self.right = nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x))
        left = F.relu(self.left(x))
        right = self.relu(self.right(x))
        right += x
        joined = torch.cat([left, right], dim=1)
        return self.head(joined.mean((2, 3)))


class LayerScale(nn.Module):
    """A parameter that no leaf module owns, read by a functional multiplication."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.scale = nn.Parameter(torch.ones(6, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.conv(x)


class Shared(nn.Module):
    """One convolution called twice and one weight tied to two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.tied = nn.Conv2d(4, 4, 3, padding=1)
        self.tied.weight = self.conv.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tied(self.conv(self.conv(x)))


class Attention(nn.Module):
    """Matrix products in every spelling."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv1d(8, 24, 1)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)
        self.rnn = nn.LSTM(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = F.pad(x, (0, 0, 0, 0, 0, 5)).flatten(2)  # (1, 8, N)
        q, k, v = self.qkv(tokens).chunk(3, dim=1)
        mixed = v @ (q.transpose(1, 2) @ k).softmax(-1).mT
        mixed = mixed + torch.einsum("bcn,bdn->bcd", q, k) @ v
        mixed = torch.baddbmm(mixed, torch.bmm(q, k.mT), v)
        mixed = F.scaled_dot_product_attention(q, k, mixed)
        tokens = mixed.transpose(1, 2)
        tokens = tokens + self.mha(tokens, tokens, tokens)[0]
        states, _ = self.rnn(tokens)
        return tokens.sum() + states.sum()


class Transposed(nn.Module):
    """Up and down again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1, groups=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(F.silu(self.down(x)))
