"""Cost of a network: parameters and multiply-accumulates, counted by operator.

Convention: MACs are the multiply-accumulates of convolutions and linear layers for one patch;
normalisation, activation, pooling and addition are not counted, as in the paper's tables, whose
column "FLOPs" holds MACs. Parameters are all trained weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

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


def _of_filter(written: Tensor, given: Sequence[Any]) -> int:
    """Each number that a convolution or a linear layer writes takes one filter of its weight."""
    return int(written.numel() * prod(given[1].shape[1:]))


def _of_transposed_filter(written: Tensor, given: Sequence[Any]) -> int:
    """Each number that a transposed convolution reads takes one filter of its weight."""
    return int(given[0].numel() * prod(given[1].shape[1:]))


def _of_product(written: Tensor, given: Sequence[Any]) -> int:
    """Each number of a matrix product takes one row of the first matrix."""
    return written.numel() * int(given[0].shape[-1])


MACS: dict[Any, Callable[[Tensor, Sequence[Any]], int]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d, F.linear), _of_filter),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _of_transposed_filter),
    **dict.fromkeys((torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.mm, Tensor.bmm), _of_product),
    **dict.fromkeys((Tensor.__matmul__,), _of_product),
}
"""Operators that multiply and accumulate, and their number of MACs from the output and the inputs."""
UNKNOWN = (torch.einsum, torch.addmm, torch.baddbmm, torch.tensordot, F.bilinear, F.scaled_dot_product_attention)
"""Operators that multiply and accumulate, but that no network here uses yet."""


class _Counter(TorchFunctionMode):
    """Sum the MACs of the operators that are called.

    Torch's own `FlopCounterMode` gives the same numbers, but it loads torch's compiler, which takes two seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in MACS:
            self.macs += MACS[func](found, args)
        assert func not in UNKNOWN, f"{func.__name__}: add a rule that counts its MACs"
        return found


def _without_values(module: nn.Module) -> nn.Module:
    """Copy a module to the CPU with arbitrary weights.

    On the device `meta` nothing would be computed, but torch then loads its compiler, which takes longer than a patch.
    `empty_like` of a tensor there, also inside `to_empty`, would load sympy, which takes half a second.
    """

    def empty(old: Tensor) -> Tensor:
        return torch.empty(old.shape, dtype=old.dtype, device="cpu")

    copies: dict[int, Tensor] = {id(old): empty(old) for old in module.buffers()}
    for old in module.parameters():
        copies[id(old)] = nn.Parameter(empty(old), old.requires_grad)
    return deepcopy(module, copies).eval()  # takes these for the tensors of the module


@torch.no_grad()
def _pass_a_patch(network: nn.Module, bands: int, patch_px: int) -> None:
    network(torch.zeros(1, bands, patch_px, patch_px, device="cpu"))


def count(module: nn.Module, bands: int, patch_px: int) -> Cost:
    """Count the cost of a module for input of shape (batch, bands, patch_px, patch_px)."""
    copy = _without_values(module)
    with _Counter() as counter:
        _pass_a_patch(copy, bands, patch_px)
    return Cost(counter.macs, sum(p.numel() for p in module.parameters()))


ELEMENT_MACS = 54.0
"""Number of multiply-accumulates that take as long in training as writing one element of a map. Fitted on a CPU
(`benchmarks/work.py`, docs/performance.md). Pools cost time, but no MACs."""


def count_elements(module: nn.Module, bands: int, patch_px: int) -> int:
    """Count the elements that a module's layers write for one patch (bands, patch_px, patch_px)."""
    copy, total = _without_values(module), 0

    def add(layer: nn.Module, given: tuple[object, ...], written: object) -> None:
        nonlocal total
        if isinstance(written, Tensor) and written is not given[0]:
            total += written.numel() * getattr(layer, "map_writes", 1)

    for layer in copy.modules():
        if not any(layer.children()):
            layer.register_forward_hook(add)
    _pass_a_patch(copy, bands, patch_px)
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
