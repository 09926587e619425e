"""Move batches to the device; for a GPU, a thread prepares them in pinned memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Images = Float[Tensor, "batch band row column"]
Labels = Int64[Tensor, " batch"]
Batch = tuple[Images, Labels]

AHEAD = 2
"""Number of batches to prepare ahead."""


def prefetched(batches: Iterator[Batch], device: torch.device, memory: torch.memory_format) -> Iterator[Batch]:
    """Yield the batches on the device, in this memory format.

    On the CPU, each batch is made on request, because a thread would compete with the network for cores. For
    an accelerator, a thread keeps `AHEAD` batches ready; its errors are raised when the batch is due.
    """
    if device.type == "cpu":
        for images, labels in batches:
            yield images.to(memory_format=memory), labels
        return
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Batch | None]] = deque(pool.submit(_next, batches, device, memory) for _ in range(AHEAD))
        try:
            while (batch := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(_next, batches, device, memory))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def _next(batches: Iterator[Batch], device: torch.device, memory: torch.memory_format) -> Batch | None:
    batch = next(batches, None)
    if batch is None:
        return None
    images, labels = batch[0].contiguous(memory_format=memory), batch[1]
    if images.device.type == device.type:  # already there
        return images, labels
    if device.type == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
