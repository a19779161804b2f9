"""Which operator made each tensor of a pass, and what the tensor sees of the input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from cnnviz.anatomy.operators.receptive_field import Field, merge

INPUT = -1
"""The producer of the network's input."""


@dataclass
class _Entry:
    tensor: torch.Tensor  # held: the id of a freed tensor is given to the next one
    producer: int
    state: Field | None


class Ledger:
    """Tensors by identity with their latest producer and their receptive-field state."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._by_storage: dict[int, list[_Entry]] = {}

    def producer(self, tensor: torch.Tensor) -> int | None:
        """Index of the call that last wrote `tensor`; None for parameters and constants."""
        entry = self._entries.get(id(tensor))
        return None if entry is None else entry.producer

    def producers(self, tensors: Iterable[torch.Tensor]) -> tuple[int, ...]:
        """Return the producers of several tensors, each once, in order."""
        found = (self.producer(tensor) for tensor in tensors)
        return tuple(dict.fromkeys(index for index in found if index is not None))

    def state(self, tensor: torch.Tensor) -> Field | None:
        """Receptive-field state of `tensor`; None for parameters and constants."""
        entry = self._entries.get(id(tensor))
        return None if entry is None else entry.state

    def record(self, tensor: torch.Tensor, producer: int, state: Field | None) -> None:
        """Note that a call returned `tensor`."""
        entry = self._entries.get(id(tensor))
        if entry is None:
            entry = self._entries[id(tensor)] = _Entry(tensor, producer, state)
            self._by_storage.setdefault(storage_of(tensor), []).append(entry)
        entry.producer, entry.state = producer, state

    def overwrite(self, tensor: torch.Tensor, producer: int, state: Field | None) -> None:
        """Note that a call changed `tensor` in place, and with it all tensors that share memory."""
        self.record(tensor, producer, state)
        for entry in self._by_storage[storage_of(tensor)]:
            if entry.tensor is tensor:
                continue
            entry.producer = producer
            if entry.state is None or state is None:
                entry.state = entry.state or _without_axes(state, entry.tensor)
            elif entry.state.reaches != state.reaches:
                seen = Field((None,) * entry.tensor.dim(), state.reaches)
                shape = tuple(entry.tensor.shape)
                entry.state = merge([(entry.state, shape), (seen, shape)], len(shape))


def _without_axes(state: Field | None, tensor: torch.Tensor) -> Field | None:
    return None if state is None else Field((None,) * tensor.dim(), state.reaches)


def storage_of(tensor: torch.Tensor) -> int:
    """Identity of the memory behind a tensor, which its views share."""
    identity: int = tensor.untyped_storage()._cdata
    return identity
