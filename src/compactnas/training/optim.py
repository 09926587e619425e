"""One step of an optimiser, in any precision, alone or together with other processes.

What a batch gives (loss, accuracy, gradients) is of the whole batch: each process computes its rows'
part of the sums, and the parts are added up. In fp16 the loss is scaled before the backward pass, and
gradients are clipped at their true size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.process_group import ProcessGroup


class DivergedError(ArithmeticError):
    """A loss is no finite number. No step was taken with it where reading a loss is cheap."""


def process_group_of(fabric: Fabric) -> ProcessGroup:
    """This process's place among those of its run."""
    return ProcessGroup(fabric.global_rank, fabric.world_size)


Module = TypeVar("Module", bound=nn.Module)


def to_device(network: Module, device: torch.device, memory: torch.memory_format) -> Module:
    """The network on a device, its weights in this format."""
    return network.to(device, memory_format=memory)  # type: ignore[no-any-return, call-overload]  # absent from torch's stubs


def forward_logits(fabric: Fabric, network: nn.Module, *inputs: Any) -> Float[Tensor, "batch classes"]:
    """Logits, computed in the run's precision and given in at least 32 bits, as losses want them.

    Inputs stay as they are: raw values are normalised before they lose digits.
    """
    with fabric.autocast():
        logits: Tensor = network(*inputs)
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def loss_and_accuracy(
    logits: Float[Tensor, "batch classes"], y: Int64[Tensor, " batch"], rows: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy and accuracy, means over a batch of so many rows, of which these may be a part.

    The sums of both over the parts of a batch are the batch's means, whatever the parts' sizes.
    """
    hits = (logits.detach().argmax(dim=-1) == y).float()
    if len(y) == rows:
        return F.cross_entropy(logits, y), hits.mean()
    return F.cross_entropy(logits, y, reduction="sum") / rows, hits.sum() / rows


def set_up_optimizer(fabric: Fabric, optimizer: torch.optim.Optimizer) -> _FabricOptimizer:
    """The optimiser with a step in the run's precision."""
    found = fabric.setup_optimizers(optimizer)
    assert isinstance(found, _FabricOptimizer)
    return found


def take_step(
    fabric: Fabric,
    processes: ProcessGroup,
    optimizer: _FabricOptimizer,
    parameters: Sequence[Tensor],
    figures: Sequence[Tensor],
    clip: float = 0.0,
) -> None:
    """One step with the gradient of the whole batch; afterwards `figures`, on the gradient's device, are sums too.

    All processes have run the same path, so that the same parameters have a gradient in each of them.

    Errors:
        DivergedError: the first figure, the loss, lies on the CPU and is no finite number.
    """
    processes.sum([*(p.grad for p in parameters if p.grad is not None), *figures])
    if figures[0].device.type == "cpu" and not math.isfinite(float(figures[0])):
        raise DivergedError("the loss")
    if clip:
        fabric.strategy.precision.unscale_gradients(optimizer.optimizer)
        nn.utils.clip_grad_norm_(parameters, clip, foreach=True)
    optimizer.step()
