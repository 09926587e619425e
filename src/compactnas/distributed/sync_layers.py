"""Batch norm and dropout for a batch that is split over several processes.

The output of these two layers depends on the whole batch. Torch's `SyncBatchNorm` needs CUDA; `GlobalBatchNorm` runs
on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.process_group import ProcessGroup

Map = Float[Tensor, "batch channels height width"]
Channels = Float[Tensor, "channels"]
DIMS = (0, 2, 3)


class GlobalBatchNorm(nn.Module):
    """Batch norm with the statistics of the whole batch, whose parts are in several processes.

    It keeps the parameters and buffers of a `BatchNorm2d` under the same names, so their state dicts are
    interchangeable. A process's part of the batch may be empty.

    Args:
        norm: Layer to replace.
        processes: Processes of the run.
    """

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, norm: nn.BatchNorm2d, processes: ProcessGroup) -> None:
        super().__init__()
        self.processes, self.eps = processes, norm.eps
        self.momentum: float | None = norm.momentum
        self.register_parameter("weight", norm.weight)
        self.register_parameter("bias", norm.bias)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))

    def reset_running_stats(self) -> None:
        """Forget all batches; without a momentum, the statistics are then the plain mean over the next ones."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def forward(self, x: Map) -> Map:
        return self.scaled(x, self.weight, self.bias)

    def scaled(self, x: Map, weight: Channels | None, bias: Channels | None = None) -> Map:
        """Normalise with a given weight and bias instead of the layer's own."""
        if not self.training and self.running_mean is not None:
            return F.batch_norm(x, self.running_mean, self.running_var, weight, bias, False, 0.0, self.eps)
        y, mean, variance, total = _normalise(x, weight, bias, self.eps, self.processes)
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * (total / (total - 1)), share)
        return y


class _Normalise(torch.autograd.Function):
    """Batch norm that exchanges moments forward and two sums per channel backward (Ioffe and Szegedy 2015, sec. 3)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, processes: ProcessGroup
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        channels = x.shape[1]
        wide = _wide(x)
        if len(x):
            variance, mean = torch.var_mean(wide, DIMS, correction=0)
        else:
            variance, mean = wide.new_zeros(channels), wide.new_zeros(channels)
        count = mean.new_full((1,), x.numel() / channels)
        every = processes.gather(torch.cat([mean, variance, count]))
        means, variances, counts = every[:, :channels], every[:, channels:-1], every[:, -1:]
        total = counts.sum()
        share = counts / total
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean).square())).sum(0)
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), total)
        ctx.processes = processes
        ctx.mark_non_differentiable(mean, variance, total)
        return y, mean, variance, total

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor, *unused: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        x, weight, mean, deviations, total = ctx.saved_tensors
        wide, centred = _wide(grad), _wide(x) - _across(mean)
        sums = torch.stack([wide.sum(DIMS), (wide * centred).sum(DIMS) * deviations])
        grad_bias, grad_weight = sums.clone()  # of this process's rows; summed later with the other gradients
        grad_x = None
        if ctx.needs_input_grad[0]:
            ctx.processes.sum([sums])
            sums = sums / total
            wide = torch.addcmul(wide - _across(sums[0]), centred, _across(sums[1] * deviations), value=-1)
            grad_x = wide.mul_(_across(deviations if weight is None else deviations * weight)).to(x.dtype)
        return (
            grad_x,
            grad_weight if ctx.needs_input_grad[1] else None,
            grad_bias if ctx.needs_input_grad[2] else None,
            None,
            None,
        )


_normalise: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]] = _Normalise.apply


def _wide(x: Tensor) -> Tensor:
    """Convert to at least 32 bits, because sums over a batch are too large for 16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _across(channels: Tensor) -> Tensor:
    return channels.view(1, -1, 1, 1)


def memory_of(x: Map) -> torch.memory_format:
    """Memory format of a feature map."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


class GlobalDropout(nn.Module):
    """Dropout that draws for the whole batch and uses this process's rows.

    The generators of all processes stay in the same state, and on the CPU each patch gets the same draw as with
    one process.
    """

    def __init__(self, p: float, processes: ProcessGroup) -> None:
        super().__init__()
        self.p, self.processes = p, processes

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        counts = self.processes.gather(torch.tensor([float(len(x))])).flatten().tolist()
        before, total = int(sum(counts[: self.processes.rank])), int(sum(counts))
        memory = memory_of(x) if x.dim() == 4 else torch.contiguous_format
        kept = torch.empty((total, *x.shape[1:]), dtype=x.dtype, device=x.device, memory_format=memory)
        return x * kept.bernoulli_(1 - self.p).div_(1 - self.p)[before : before + len(x)]


def use_global_layers(network: nn.Module, processes: ProcessGroup) -> None:
    """Replace batch norm and dropout by their versions for several processes. Does nothing with one process."""
    if processes.count == 1:
        return
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, GlobalBatchNorm(child, processes))
        elif isinstance(child, nn.Dropout):
            setattr(network, name, GlobalDropout(child.p, processes))
        else:
            assert not isinstance(child, nn.modules.batchnorm._BatchNorm | nn.modules.dropout._DropoutNd), child
            use_global_layers(child, processes)
