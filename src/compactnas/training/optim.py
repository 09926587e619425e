"""Optimiser steps in any precision, on one or several processes.

Loss, accuracy and gradients refer to the whole batch: each process computes the sums over its own rows,
and the sums are added up. In fp16 the loss is scaled before the backward pass, and gradients are unscaled
before they are clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.process_group import ProcessGroup
from compactnas.training.divergence import DivergedError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricOptimizer


def process_group_of(fabric: Fabric) -> ProcessGroup:
    """Process group of a Fabric."""
    return ProcessGroup(fabric.global_rank, fabric.world_size)


Module = TypeVar("Module", bound=nn.Module)


def to_device(network: Module, device: torch.device, memory: torch.memory_format) -> Module:
    """Move a network to a device and memory format."""
    return network.to(device, memory_format=memory)  # type: ignore[no-any-return, call-overload]  # absent from torch's stubs


def forward_logits(fabric: Fabric, network: nn.Module, *inputs: Any) -> Float[Tensor, "batch classes"]:
    """Compute logits in the run's precision, and return them in at least 32 bits for the loss.

    Inputs keep their precision, because raw values must be normalised before they are rounded.
    """
    with fabric.autocast():
        logits: Tensor = network(*inputs)
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def loss_and_accuracy(
    logits: Float[Tensor, "batch classes"], y: Int64[Tensor, " batch"], rows: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy and accuracy of this process's rows, divided by the number of `rows` in the whole batch.

    Summed over the processes, both are the means over the batch.
    """
    hits = (logits.detach().argmax(dim=-1) == y).float()
    if len(y) == rows:
        return F.cross_entropy(logits, y), hits.mean()
    return F.cross_entropy(logits, y, reduction="sum") / rows, hits.sum() / rows


def set_up_optimizer(fabric: Fabric, optimizer: torch.optim.Optimizer) -> _FabricOptimizer:
    """Wrap an optimiser so that it steps in the run's precision."""
    return cast("_FabricOptimizer", fabric.setup_optimizers(optimizer))


def take_step(
    fabric: Fabric,
    processes: ProcessGroup,
    optimizer: _FabricOptimizer,
    parameters: Sequence[Tensor],
    figures: Sequence[Tensor],
    clip: float = 0.0,
) -> None:
    """Sum the gradients over the processes and take a step. `figures` are summed in place too.

    All processes must have run the same path, so that the same parameters have gradients.

    Args:
        fabric: Device and precision.
        processes: Processes of the run.
        optimizer: Optimiser of the parameters.
        parameters: Parameters to update.
        figures: This process's sums, on the gradients' device. The first one is the loss.
        clip: Largest norm of the gradient; 0 does not clip.

    Raises:
        DivergedError: The loss is on the CPU and not finite.
    """
    processes.sum([*(p.grad for p in parameters if p.grad is not None), *figures])
    if figures[0].device.type == "cpu" and not math.isfinite(float(figures[0])):
        raise DivergedError("the loss")
    if clip:
        fabric.strategy.precision.unscale_gradients(optimizer.optimizer)
        nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
    optimizer.step()
