"""Accuracy of samples with the weights of the supernet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from compactnas.data.batches import Batches
from compactnas.data.prefetch import Batch, prefetched
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


def batch_accuracies(bilevel: BilevelStep, batches: Batches) -> Callable[[Sample], float]:
    """Make a function that measures each sample it gets on the next batch of the first epoch, over and over again."""

    def each() -> Iterator[tuple[int, Batch]]:
        while True:
            yield from enumerate(prefetched(batches.epoch(0, 0), bilevel.fabric.device, bilevel.memory))

    found = each()

    @torch.no_grad()
    def measure(sample: Sample) -> float:
        step, (x, y) = next(found)
        accuracy = loss_and_accuracy(
            forward_logits(bilevel.fabric, bilevel.supernet, x, sample), y, batches.rows(step)
        )[1]
        bilevel.processes.sum([accuracy])
        return float(accuracy)

    return measure
