"""Recompute the running statistics of normalisation layers, after the weights were averaged or taken over."""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from compactnas.data.batches import Batches
from compactnas.data.prefetch import prefetched
from compactnas.distributed.sync_layers import GlobalBatchNorm

CALIBRATION = 2048
"""Default number of patches that recalibrate a network."""


@torch.no_grad()
def recalibrate(
    network: nn.Module, batches: Batches, most: int, device: torch.device, memory: torch.memory_format
) -> None:
    """Set the statistics of the normalisation layers to their mean over at most `most` batches.

    Args:
        network: Network on the device; afterwards it is in eval mode.
        batches: Batches of patches.
        most: Largest number of batches.
        device: Device of the network.
        memory: Memory format of activations.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | GlobalBatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
    network.train()
    for x, _ in prefetched(islice(batches.epoch(0), most), device, memory):
        network(x)
    network.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
