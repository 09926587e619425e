"""A draw in which all networks that a derivation can give are equally likely."""

from __future__ import annotations

import torch

from compactnas.nn.supernet import certain_sample
from compactnas.search.architecture import Architecture
from compactnas.search.random_genotype import random_connected
from compactnas.search.sampling import Draw


def draw_uniform_path(architecture: Architecture, generator: torch.Generator) -> Draw:
    """Draw a genotype uniformly, with its depths; it has no gradient to the architecture."""
    genotype = random_connected(architecture.space, generator, architecture.fixed_depths)
    return Draw(certain_sample(architecture.space, genotype), architecture.probabilities(), None)
