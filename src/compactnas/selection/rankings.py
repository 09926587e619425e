"""The rankings, by name. Each gives a candidate a number; larger is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from torch import nn

from compactnas.data.batches import Batches
from compactnas.data.prefetch import prefetched
from compactnas.data.streams import Stream
from compactnas.evaluation.evaluate import measure
from compactnas.nn.supernet import copy_weights
from compactnas.selection.holdout import HoldOut
from compactnas.selection.proxies import Images, Labels, gradnorm, naswot, synflow
from compactnas.space.genotype import Genotype
from compactnas.training.norm_statistics import CALIBRATION, recalibrate
from compactnas.training.optim import to_device

Score = Callable[[Genotype, HoldOut], float]

PROXY_BATCH = 128
"""Number of patches in the batch of a proxy, as in Mellor et al. 2021."""


@dataclass(frozen=True)
class Ranking:
    """A method to rank candidates.

    Attributes:
        source: Paper that proposed it.
        score: Function that scores one candidate; None if candidates compete (`compactnas.selection.halving`).
    """

    source: str
    score: Score | None


def supernet_accuracy(genotype: Genotype, held_out: HoldOut, calibration: int = CALIBRATION) -> float:
    """Measure the accuracy on the hold-out with the supernets' weights, as the mean over the searches.

    Every supernet measures every candidate, so that no candidate gains from the search that it comes from. The
    normalisation is recalibrated on patches of D_T with this network, because the statistics of the search mix many
    paths (Bender et al. 2018; Guo et al. 2020).

    Args:
        genotype: Genotype of the candidate.
        held_out: Held-out patches, and the searches.
        calibration: Number of patches that recalibrate the normalisation.
    """
    accuracies = []
    for search, supernet in zip(held_out.searches, held_out.supernets, strict=True):
        network = held_out.network(genotype, seed=0, normalised=False)
        copy_weights(supernet, network)
        network = to_device(network, held_out.fabric.device, held_out.memory)
        size = search.config.search.batch_size
        seen = np.setdiff1d(search.weights_rows, held_out.rows)
        batches = Batches(held_out.source, seen, size, seed=held_out.config.seed, stream=Stream.CALIBRATION)
        recalibrate(network, batches, -(-calibration // size), held_out.fabric.device, held_out.memory)
        rows, last = held_out.unseen(search), held_out.config.machine.channels_last
        accuracies.append(measure(network, held_out.source, rows, held_out.fabric.device, channels_last=last)[0].oa)
    return fmean(accuracies)


def _proxy(proxy: Callable[[nn.Module, Images, Labels], float], *, normalised: bool) -> Score:
    """Make a score from a proxy: its mean over several initialisations, on one batch of the training part."""

    def score(genotype: Genotype, held_out: HoldOut) -> float:
        seed, device = held_out.config.seed, held_out.fabric.device
        size = min(PROXY_BATCH, len(held_out.train))
        images, labels = next(
            iter(
                prefetched(
                    Batches(held_out.source, held_out.train, size, seed=seed, stream=Stream.PROXY).epoch(0),
                    device,
                    held_out.memory,
                )
            )
        )
        scores = []
        for number in range(held_out.choice.initialisations):
            network = held_out.network(genotype, seed + number, normalised=normalised)
            network = to_device(network, device, held_out.memory)
            scores.append(proxy(network, images, labels))
        return fmean(scores)

    return score


RANKINGS = {
    "supernet": Ranking("Bender et al. 2018; Guo et al. 2020", supernet_accuracy),
    "synflow": Ranking("Tanaka et al. 2020; Abdelfattah et al. 2021", _proxy(synflow, normalised=False)),
    "naswot": Ranking("Mellor et al. 2021", _proxy(naswot, normalised=True)),
    "gradnorm": Ranking("Abdelfattah et al. 2021", _proxy(gradnorm, normalised=True)),
    "parameters": Ranking("counted", lambda genotype, held_out: float(held_out.cost(genotype).parameters)),
    "macs": Ranking("counted", lambda genotype, held_out: float(held_out.cost(genotype).macs)),
    "halving": Ranking("Jamieson and Talwalkar 2016", None),
}
"""Name in `--by` -> ranking. `parameters` and `macs` are controls that every other ranking has to beat."""
