"""Keep a whole data set on the accelerator, and gather, decode and augment batches there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from compactnas.data.formats.packed import PackedSource
from compactnas.data.source import Facts, Images, Indices, Source
from compactnas.errors import UserError

CHUNK = 1024
LEFT_FREE = 0.5
"""Share of the device's free memory to reserve for the network."""
SIXTEEN_BITS = 0xFFFF


@runtime_checkable
class TensorSource(Protocol):
    """Source that returns batches as tensors on its device."""

    def tensors(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return pixels (batch, band, row, column) in float32 and labels (batch,), on the device."""
        ...


@dataclass(frozen=True)
class DeviceSource:
    """Source with a copy of its pixels on a device.

    Attributes:
        host: Original source, which `batch` reads.
        stored: Stored numbers on the device, (patches, row, column, band); uint16 becomes int16 with the same bits.
        labels: Labels on the device.
        divisor: Divisor that turns a stored number into its value.
    """

    host: Source
    stored: Tensor
    labels: Tensor
    divisor: int

    @property
    def facts(self) -> Facts:
        return self.host.facts

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        return self.host.batch(indices)

    def tensors(self, indices: Indices) -> tuple[Float[Tensor, "batch band row column"], Int64[Tensor, " batch"]]:
        rows = torch.from_numpy(indices).to(self.stored.device)
        numbers = self.stored.index_select(0, rows)
        if numbers.dtype == torch.int16:
            numbers = numbers.to(torch.int32).bitwise_and_(SIXTEEN_BITS)
        pixels = numbers.to(torch.float32)
        if self.divisor != 1:
            pixels /= self.divisor
        return pixels.permute(0, 3, 1, 2), self.labels.index_select(0, rows)


def on_device(source: Source, device: torch.device) -> DeviceSource:
    """Copy the pixels of a source to a device; a packed set stays in 16 bits there.

    Raises:
        UserError: The pixels would take more than half of the free memory of the device.
    """
    patches = len(source.facts.labels)
    packed = source if isinstance(source, PackedSource) and source.downsample == 1 else None

    def numbers(rows: Indices) -> NDArray[np.generic]:
        found = source.batch(rows)[0].transpose(0, 2, 3, 1) if packed is None else packed.gather(rows)
        if found.dtype == np.uint16:
            return np.ascontiguousarray(found).view(np.int16)
        return np.ascontiguousarray(found, np.uint8 if found.dtype == np.uint8 else np.float32)

    first = numbers(np.arange(1))
    _require_room(patches * first.nbytes, device)
    stored = torch.empty((patches, *first.shape[1:]), dtype=torch.from_numpy(first).dtype, device=device)
    for start in range(0, patches, CHUNK):
        rows = np.arange(start, min(start + CHUNK, patches))
        stored[start : start + CHUNK] = torch.from_numpy(numbers(rows)).to(device)
    return DeviceSource(
        source, stored, torch.tensor(source.facts.labels, device=device), 1 if packed is None else packed.divisor
    )


def _require_room(size: int, device: torch.device) -> None:
    if device.type != "cuda":
        return
    free = torch.cuda.mem_get_info(device)[0]
    if size > (1 - LEFT_FREE) * free:
        raise UserError(
            f"machine.data_on_device: the data set needs {size / 2**30:.1f} GiB, more than half of the "
            f"{free / 2**30:.1f} GiB of free device memory; leave the option out, or pack the data set "
            "(`compactnas prepare`)"
        )
