"""Measure random networks on a trained supernet, each on one batch of D_V."""

from __future__ import annotations

from pathlib import Path

import torch

from compactnas.data.batches import Batches, drawing
from compactnas.data.streams import Stream
from compactnas.nn.supernet import certain_sample
from compactnas.search.bilevel import BilevelStep
from compactnas.search.effects import Measured
from compactnas.search.random_genotype import random_live
from compactnas.search.supernet_accuracy import batch_accuracies
from compactnas.search.supernet_candidates import measured_samples
from compactnas.training.runtime import Listener


def measure_random(
    bilevel: BilevelStep, batches: Batches, passes: int, folder: Path | None, listener: Listener
) -> Measured:
    """Measure random networks of the space without dead nodes, one a batch.

    Args:
        bilevel: Holds the supernet, the architecture and the cost of a network.
        batches: Batches of D_V.
        passes: Number of passes over D_V.
        folder: Folder of `seconds.json`, to which the time is added; None writes nothing.
        listener: Receives the progress.

    Raises:
        StoppedError: SIGTERM or SIGUSR1 asked to stop. Nothing is kept: a resumed search measures again.
    """
    architecture, space = bilevel.architecture, bilevel.architecture.space
    seed = int(drawing(batches.seed, Stream.CANDIDATES).integers(2**62))
    generator = torch.Generator().manual_seed(seed)
    count = passes * len(batches)
    genotypes = [random_live(space, generator, architecture.fixed_depths) for _ in range(count)]
    samples = (certain_sample(space, genotype) for genotype in genotypes)
    accuracy = batch_accuracies(bilevel, batches)
    found = measured_samples(samples, count, accuracy, folder, listener, bilevel.processes)
    accuracies = torch.tensor(found, dtype=torch.float64)
    for turn in range(len(batches)):  # batches differ in difficulty
        accuracies[turn :: len(batches)] -= accuracies[turn :: len(batches)].mean()
    costs = torch.tensor([bilevel.objective.cost_of(space, one) for one in genotypes], dtype=torch.float64)
    return Measured(genotypes, accuracies - costs)
