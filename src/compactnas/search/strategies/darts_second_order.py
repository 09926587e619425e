"""DARTS (Liu et al. 2019), second order: the gradient of alpha looks through one step of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import Derived
from compactnas.search.perturbation import Derivation, conclude_mixture
from compactnas.search.sampling import DepthMode, Draw
from compactnas.search.strategies._beta_decay import beta_decay
from compactnas.search.strategies._mixture import draw_mixture
from compactnas.search.strategy import (
    BACKWARD_TO_MAPS,
    BACKWARD_TO_WEIGHTS,
    FORWARD,
    ArchitectureStep,
    Strategy,
    TrainedSearch,
)
from compactnas.search.unrolled import leave_unrolled_gradient

WHOLE = FORWARD + BACKWARD_TO_WEIGHTS + BACKWARD_TO_MAPS


@dataclass(frozen=True)
class DartsSecondOrder(Strategy):
    """The mixture of DARTS with the gradient of its section 2.3.

    Attributes:
        depth_mode: How depths are drawn.
        beta_decay: Weight of Beta-decay at the end of the search.
        derivation: What decides between operations after the last epoch.
    """

    # The step, the loss after it, and both sides of the finite difference.
    alpha_passes: ClassVar[int] = 2 * WHOLE + 2 * (FORWARD + BACKWARD_TO_MAPS)
    scaled_gradients: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ("beta_decay", "derivation")

    depth_mode: DepthMode = "mixture"
    beta_decay: float = 0.0
    derivation: Derivation = "alpha"

    @classmethod
    def build(cls, config: SearchConfig) -> DartsSecondOrder:
        """Build the strategy from the options of a search."""
        return cls(config.depth_mode, config.beta_decay, config.derivation)

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Return the mixture for one forward pass."""
        with torch.set_grad_enabled(gradient):
            operations = architecture.probabilities()
        return draw_mixture(architecture, operations, tau, generator, self.depth_mode, gradient=gradient)

    def architecture_gradient(self, step: ArchitectureStep) -> None:
        """Compute the gradient of the loss after one step of the weights."""
        leave_unrolled_gradient(
            step.training_loss, step.validation_loss, step.optimizer, step.weights, step.choices, step.processes
        )

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Float[Tensor, ""] | None:
        """Compute Beta-decay."""
        return beta_decay(architecture, self.beta_decay, progress)

    def conclude(self, search: TrainedSearch) -> Derived:
        """Choose by alpha or by perturbation."""
        return conclude_mixture(search, self.derivation, self.depth_mode)


STRATEGY = DartsSecondOrder
