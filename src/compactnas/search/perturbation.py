"""Choose operations by the accuracy that the supernet loses without them (DARTS-PT, Wang et al. 2021, section 4).

Alpha says how loud an operation is in the mixture, not what the network is worth without it. DARTS-PT removes each
operation of an edge in turn, keeps the one whose removal costs the most accuracy on D_V, and keeps the edges of a node
in the same way. Here all are measured on the same trained supernet, without training between two decisions, so that
one network is chosen for all edges together and within the budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import torch

from compactnas.config import SearchConfig
from compactnas.nn.sample import Mixture, Sample
from compactnas.search.architecture import Architecture
from compactnas.search.cell_counts import Scores
from compactnas.search.derivation import Derived
from compactnas.search.sampling import DepthMode, expected_backbone
from compactnas.search.strategy import TrainedSearch
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space

Derivation = Literal["alpha", "perturbation"]

POINTS = 100.0
"""Scores of an accuracy of one: a point of accuracy counts as much as a factor of e in the probability of a depth."""


class Removal(NamedTuple):
    """Removal of an operation of an edge from the supernet, or of the whole edge if the operation is None."""

    edge: int
    operation: int | None = None


def removals(space: Space) -> list[Removal]:
    """List all removals that change something: `none` is never computed, and a residual layout keeps all its rows."""
    single = [index for index, name in enumerate(space.operations) if name != NONE]
    whole = [] if space.layout_of.residual else [None]
    return [Removal(edge, index) for edge in range(len(space.edges)) for index in (*single, *whole)]


def measurements(space: Space) -> int:
    """Count the passes over D_V that the choice takes: the whole supernet, and each removal."""
    return 1 + len(removals(space))


def mixture_passes(config: SearchConfig, space: Space) -> int:
    """Count the passes of the supernet's mixture over D_V at the end of a search; none if alpha decides."""
    return measurements(space) if config.derivation == "perturbation" else 0


def mixture_without(architecture: Architecture, removal: Removal | None, mode: DepthMode) -> Sample:
    """Make the sample that runs the mixture of the supernet without one operation or edge.

    As in the published code, the weights of the other operations stay as they are. Depths are mixed by their
    probabilities, or the most probable ones with ``depth_mode: sample``.
    """
    p = architecture.probabilities().detach()
    kept = [list(range(p.shape[1])) for _ in range(len(p))]
    if removal is not None:
        kept[removal.edge] = [] if removal.operation is None else _without(kept[removal.edge], removal.operation)
    mixture = Mixture(tuple(map(tuple, kept)), p)
    return expected_backbone(architecture, mode).with_cell((0,) * len(p), p, mixture=mixture).sample


def perturbation_scores(
    architecture: Architecture, mode: DepthMode, accuracies: Callable[[Iterable[Sample], int], Sequence[float]]
) -> Scores:
    """Score each operation of each edge by the accuracy that its removal costs, plus that of removing its edge.

    The second part is the same for all operations of an edge: it decides between the edges of a node.

    Args:
        architecture: Learnt architecture.
        mode: How the depths were drawn.
        accuracies: Measures the accuracy on D_V of each of this number of samples with the weights of the supernet.
    """
    every = removals(architecture.space)
    samples = (mixture_without(architecture, removal, mode) for removal in (None, *every))
    whole, *without = accuracies(samples, measurements(architecture.space))
    scores = torch.zeros(architecture.alpha.shape, dtype=torch.float64)
    for removal, accuracy in zip(every, without, strict=True):
        columns = slice(None) if removal.operation is None else removal.operation
        scores[removal.edge, columns] += POINTS * (whole - accuracy)
    return scores


def conclude_mixture(search: TrainedSearch, derivation: Derivation, mode: DepthMode) -> Derived:
    """Derive the network by alpha, or the one with the largest sum of scores; within the budgets and the skip limit."""
    if derivation == "alpha":
        return search.derive()
    return search.derive(perturbation_scores(search.architecture, mode, search.accuracies))


def _without(indices: Sequence[int], index: int) -> list[int]:
    return [one for one in indices if one != index]
