"""The processes that compute one run together, and the few sums and messages that they exchange.

A batch, a gradient and a metric are of the whole run: a process (a rank) takes its share of the rows,
and sums go over all of them. With one process nothing here does anything. A run on GPUs speaks over
NCCL for what lies there and over gloo for what lies on the CPU, so that alpha's gradient and the
checks wait for no device.
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
    """This process's place among those of a run.

    Attributes:
        rank: of this process, from 0; the first one writes files and speaks.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Which of so many rows are this process's: a run of neighbours, of lengths that differ by one at most.

        All shares together are all rows, each once, in order. With fewer rows than processes some are empty.
        """
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add up each tensor over the processes, in place; all on one device, the same shapes everywhere."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, here: bool) -> bool:
        """Whether it is so in any of the processes."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def gather(self, row: Float[Tensor, "values"]) -> Float[Tensor, "processes values"]:
        """The row of each process."""
        if self.count == 1:
            return row.unsqueeze(0)
        rows = [torch.empty_like(row) for _ in range(self.count)]
        distributed.all_gather(rows, row)
        return torch.stack(rows)

    def require_same(self, what: str, value: object) -> None:
        """Stop where a plain value differs between the processes: what follows would wait for ever, or be wrong."""
        if self.count == 1:
            return
        number = crc32(json.dumps(value).encode())
        both = torch.tensor([number, -number])
        distributed.all_reduce(both, distributed.ReduceOp.MAX)
        if both.tolist() != [number, -number]:
            raise RuntimeError(f"rank {self.rank}: {what} is not the same in all processes; this one has {value}")

    def on_rank_zero(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What the first process's work gives, in all of them; they wait for it.

        Errors:
            UserError: the work raised one, in the first process.
            AlreadyReportedError: that it did, in the others.
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
"""One process computes all."""
