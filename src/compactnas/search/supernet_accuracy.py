"""Accuracy of a sample with the weights of the supernet."""

from __future__ import annotations

import torch

from compactnas.data.batches import Batches
from compactnas.data.prefetch import prefetched
from compactnas.nn.sample import Sample
from compactnas.search.bilevel import BilevelStep
from compactnas.training.optim import forward_logits, loss_and_accuracy


@torch.no_grad()
def supernet_accuracy(bilevel: BilevelStep, batches: Batches, sample: Sample) -> float:
    """Measure the accuracy of a sample on the batches of the first epoch.

    Each batch is normalised by its own statistics: the supernet keeps none, because those of its training mix many
    paths.
    """
    fabric = bilevel.fabric
    total, seen = torch.zeros(1, device=fabric.device), 0
    for step, (x, y) in enumerate(prefetched(batches.epoch(0, 0), fabric.device, bilevel.memory)):
        rows = batches.rows(step)
        logits = forward_logits(fabric, bilevel.supernet, x, sample)
        total += rows * loss_and_accuracy(logits, y, rows)[1]
        seen += rows
    bilevel.processes.sum([total])
    return float(total) / seen
