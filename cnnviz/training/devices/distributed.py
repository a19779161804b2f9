"""One run on several processes, as `torchrun` starts them: each has its part of every batch.

Gradients are averaged by DistributedDataParallel (Li et al. 2020) so that they are those of the
whole batch, the last and smaller one of an epoch too, and batch norm takes its statistics over
the whole batch: a run learns the same on any number of processes, to within rounding. (Dropout
alone draws other numbers in each process.) The first process leads: it alone writes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from cnnviz.errors import CnnvizError
from cnnviz.settings import is_one_of_several
from cnnviz.training.devices.synced_norm import sync_batch_norm

Value = TypeVar("Value")

#: Longest that a process waits for the others (minutes): the first one alone downloads the data
#: and looks at the test images. One that died is known at once, by its connections.
PATIENCE = 60.0


@dataclass(frozen=True)
class Member:
    """One of the processes, as the others can look for it."""

    host: str
    pid: int
    started: float

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended: one on another machine cannot be looked for."""
        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE
            return ended or abs(process.create_time() - self.started) > 2
        except psutil.Error:
            return True


@dataclass(frozen=True)
class World:
    """The processes that train one run together; by default this one alone."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    members: tuple[Member, ...] = ()

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def own_device(self, device: torch.device) -> torch.device:
        """Return the device of this process: of several CUDA devices, each takes its own."""
        if self.size > 1 and device.type == "mps":
            raise CnnvizError("Several processes cannot share one MPS device: use --device cpu.")
        if self.size == 1 or device.type != "cuda":
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise CnnvizError(
                f"torchrun starts {self.local_rank + 1} processes or more on a machine with "
                f"{torch.cuda.device_count()} CUDA devices: start one for each device."
            )
        mine = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(mine)
        return mine

    def sum(self, numbers: Tensor) -> Tensor:
        """Return the sum of `numbers` over all processes; on CUDA without a wait."""
        if self.size > 1:
            dist.all_reduce(numbers)
        return numbers

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set in any process, to all of them the same."""
        if self.size == 1:
            return list(flags)
        raised = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised]

    def from_first(self, value: Value | None) -> Value:
        """Return the first process's `value`; what the others give is not looked at."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]  # type: ignore[return-value]

    def share(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return `model` as it is to be called: with the first's weights, its gradients averaged.

        Batch norms within `model` are replaced by ones that see the whole batch.
        """
        if self.size == 1:
            return model
        sync_batch_norm(model, device)
        return DistributedDataParallel(
            model,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )

    def explain(self, error: BaseException) -> str:
        """Return a sentence if `error` is a lost process's, else ""."""
        if self.size == 1 or not isinstance(error, RuntimeError):
            return ""
        said = str(error).lower()
        if not isinstance(error, dist.DistError) and "gloo" not in said and "nccl" not in said:
            return ""
        lost = self._lost()
        who = f"Process {lost} of {self.size}" if lost else f"One of the {self.size} processes"
        how = "was lost" if lost else "was lost or no longer answers"
        return f"{who} {how}: resume the run to go on from its last checkpoint."

    def _lost(self, patience: float = 2.0) -> int | None:
        """The place, counted from 1, of the first process that is gone, None if none is."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:  # its connections end a moment before it does
            for place, member in enumerate(self.members, start=1):
                if member.is_gone:
                    return place
            time.sleep(0.05)
        return None


@contextlib.contextmanager
def joined() -> Iterator[World]:
    """Join the other processes; leave together with them, where all went well.

    Where `torchrun` did not start this process, it is a world of its own. Raises `CnnvizError`
    if the others cannot be reached.
    """
    if not is_one_of_several():
        yield World()
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(minutes=PATIENCE))
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise CnnvizError(f"The other processes cannot be reached ({error}).") from error
    try:
        process = psutil.Process()
        me = Member(socket.gethostname(), process.pid, process.create_time())
        world = World(
            dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]), _gathered(me)
        )
        yield world
        # torchrun ends all as soon as one has ended: not before the first has written.
        world.any(True)
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _gathered(me: Member) -> tuple[Member, ...]:
    members: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(members, me)
    return tuple(members)
