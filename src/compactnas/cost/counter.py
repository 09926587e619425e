"""Cost of a network: parameters and multiply-accumulates, counted by operator.

Convention: MACs are the multiply-accumulates of convolutions and linear layers for one patch;
normalisation, activation, pooling and addition are not counted, as in the paper's tables, whose
column "FLOPs" holds MACs. Parameters are all trained weights.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compactnas.nn.network import Network
from compactnas.space.genotype import Genotype


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    Attributes:
        macs: Number of multiply-accumulates for one patch.
        parameters: Number of trained weights.
    """

    macs: int
    parameters: int

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.4f} M parameters, {self.macs / 1e6:.3f} M MACs"


def count(module: nn.Module, bands: int, patch_px: int) -> Cost:
    """Count the cost of a module for input of shape (batch, bands, patch_px, patch_px), without running it."""
    meta = deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        meta(torch.empty(1, bands, patch_px, patch_px, device="meta"))
    return Cost(counter.get_total_flops() // 2, sum(p.numel() for p in module.parameters()))


ELEMENT_MACS = 54.0
"""Number of multiply-accumulates that take as long in training as writing one element of a map. Fitted on a CPU
(`benchmarks/work.py`, docs/performance.md). Pools cost time, but no MACs."""


def count_elements(module: nn.Module, bands: int, patch_px: int) -> int:
    """Count the elements that a module's layers write for one patch (bands, patch_px, patch_px), without running it."""
    meta, total = deepcopy(module).to("meta").eval(), 0

    def add(layer: nn.Module, given: tuple[object, ...], written: object) -> None:
        nonlocal total
        if isinstance(written, Tensor) and written is not given[0]:
            total += written.numel() * getattr(layer, "map_writes", 1)

    for layer in meta.modules():
        if not any(layer.children()):
            layer.register_forward_hook(add)
    with torch.no_grad():
        meta(torch.empty(1, bands, patch_px, patch_px, device="meta"))
    return total


def work(module: nn.Module, bands: int, patch_px: int) -> float:
    """Estimate the work of a pass over one patch: its MACs, plus the elements that it writes, converted to MACs."""
    return count(module, bands, patch_px).macs + ELEMENT_MACS * count_elements(module, bands, patch_px)


@lru_cache(maxsize=1024)
def genotype_cost(genotype: Genotype, bands: int, classes: int, patch_px: int) -> Cost:
    """Count the cost of the network that a genotype describes."""
    with torch.device("meta"):
        network = Network(genotype, bands, classes)
    return count(network, bands, patch_px)
