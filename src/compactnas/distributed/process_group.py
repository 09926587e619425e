"""Communication between the processes of a run.

Each process (rank) takes its share of a batch's rows; gradients and metrics are summed over all processes. With one
process, nothing here has an effect. On GPUs, tensors on the device go over NCCL and tensors on the CPU over gloo, so
that the gradient of alpha and the checks do not wait for the device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from zlib import crc32

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from compactnas.errors import AlreadyReportedError, UserError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run, as seen from one of them.

    Attributes:
        rank: Rank of this process, from 0. Rank 0 writes files and reports progress.
        count: Number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Check whether this process writes files and reports progress."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Range of this process's rows in a batch of `rows` rows.

        The ranges of all processes cover each row once, in order, and their lengths differ by at most one. With fewer
        rows than processes some are empty.
        """
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Sum each tensor over the processes, in place. All must be on one device, with the same shapes everywhere."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, here: bool) -> bool:
        """Return True if the value is true in any process."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def gather(self, row: Float[Tensor, "values"]) -> Float[Tensor, "processes values"]:
        """Gather the row of each process."""
        if self.count == 1:
            return row.unsqueeze(0)
        rows = [torch.empty_like(row) for _ in range(self.count)]
        distributed.all_gather(rows, row)
        return torch.stack(rows)

    def require_same(self, what: str, value: object) -> None:
        """Raise a `RuntimeError` if a plain value differs between processes, before they deadlock or diverge."""
        if self.count == 1:
            return
        number = crc32(json.dumps(value).encode())
        both = torch.tensor([number, -number])
        distributed.all_reduce(both, distributed.ReduceOp.MAX)
        if both.tolist() != [number, -number]:
            raise RuntimeError(f"rank {self.rank}: {what} is not the same in all processes; this one has {value}")

    def on_rank_zero(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the process of rank 0 and return its result in all of them.

        Raises:
            UserError: The function raised one (in the process of rank 0).
            AlreadyReportedError: The function raised a `UserError` (in the other processes).
        """
        if self.count == 1:
            return work(*args, **kwargs)
        if not self.is_rank_zero:
            received: list[tuple[bool, T]] = [None]  # type: ignore[list-item]  # filled by the broadcast
            distributed.broadcast_object_list(received, device=torch.device("cpu"))
            well, result = received[0]
            if not well:
                raise AlreadyReportedError(str(result))
            return result
        try:
            result = work(*args, **kwargs)
        except UserError as error:
            distributed.broadcast_object_list([(False, str(error))], device=torch.device("cpu"))
            raise
        distributed.broadcast_object_list([(True, result)], device=torch.device("cpu"))
        return result


SINGLE_PROCESS = ProcessGroup()
"""Group of a run with one process."""
