"""Search strategies: how an architecture is drawn, learnt and concluded on a shared supernet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.config import SearchConfig
from compactnas.distributed.process_group import ProcessGroup
from compactnas.nn.sample import Sample
from compactnas.nn.supernet import SuperNet
from compactnas.search.architecture import Alpha, Architecture
from compactnas.search.cell_counts import Scores
from compactnas.search.derivation import Derived
from compactnas.search.effects import Measured
from compactnas.search.sampling import Draw
from compactnas.search.trials import Chooser
from compactnas.search.unrolled import frozen
from compactnas.space.genotype import Genotype

FORWARD, BACKWARD_TO_WEIGHTS, BACKWARD_TO_MAPS = 1, 1, 1
"""Passes over a network in the unit of a forward pass."""

FORWARD_OF_STEP = FORWARD / (FORWARD + BACKWARD_TO_WEIGHTS + BACKWARD_TO_MAPS)
"""Share of a step of the weights that its forward pass takes."""


@runtime_checkable
class ArchitectureStep(Protocol):
    """One step of the architecture, from which a strategy computes its gradient. All its losses use the same draw.

    Attributes:
        weights: Parameters of the supernet.
        choices: Parameters of the architecture.
        optimizer: Optimizer of the weights.
        processes: Processes of the run.
    """

    weights: Sequence[nn.Parameter]
    choices: Sequence[nn.Parameter]
    optimizer: torch.optim.SGD
    processes: ProcessGroup

    def validation_loss(self) -> Float[Tensor, ""]:
        """Compute the loss on the batch of D_V, with the objective and the strategy's own penalty."""
        ...

    def training_loss(self) -> Float[Tensor, ""]:
        """Compute the cross-entropy on the batch of D_T."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Accumulate gradients in the precision of the run."""
        ...


@runtime_checkable
class TrainedSearch(Protocol):
    """A search after its last epoch, from which a strategy concludes.

    Attributes:
        architecture: The learnt architecture.
        supernet: The trained supernet.
    """

    @property
    def architecture(self) -> Architecture: ...  # described above

    @property
    def supernet(self) -> SuperNet: ...

    def derive(self, scores: Scores | None = None) -> Derived:
        """Derive the most probable network within the budgets and the skip limit, or the one with the best scores."""
        ...

    def accuracies(self, samples: Iterable[Sample], count: int) -> list[float]:
        """Measure the accuracy on D_V of each of ``count`` samples with the weights of the supernet."""
        ...

    def figures(self, genotype: Genotype) -> Mapping[str, Any]:
        """Measure the accuracy of a network on D_V with the weights of the supernet, and count its MACs."""
        ...

    def random_networks(self) -> Measured:
        """Measure random networks, each on one batch of D_V, in `search.candidates` passes over D_V."""
        ...

    def best_candidate(self, choose: Chooser) -> Derived:
        """Measure candidates on the supernet and return the best one."""
        ...


@runtime_checkable
class Strategy(Protocol):
    """How a search draws and learns an architecture.

    To add one, write `search/strategies/NAME.py` with a class that inherits from this one, in the constant `STRATEGY`.
    `draw` is all that it needs; each other method has a default. An instance keeps no state between steps.

    Attributes:
        learns_alpha: Whether the architecture is trained.
        single_path: Whether a weight step runs one operation per edge.
        alpha_passes: Passes of an architecture step over what a weight step runs, in units of a forward pass.
        options: Options of `SearchConfig` that this strategy has and others may not have.
        least_operations: Smallest number of candidate operations that it can draw from.
        least_candidates: Smallest `search.candidates` that it can choose with.
        scaled_gradients: Whether it works with the scaled gradients of `machine.precision: 16-mixed`.
        betas: Betas of Adam on the architecture.
        decays_unsampled: Whether weights that did not run always decay, as with `unsampled_weights: decay`.
    """

    learns_alpha: ClassVar[bool] = True
    single_path: ClassVar[bool] = False
    alpha_passes: ClassVar[int] = FORWARD + BACKWARD_TO_MAPS
    options: ClassVar[tuple[str, ...]] = ()
    least_operations: ClassVar[int] = 1
    least_candidates: ClassVar[int] = 1
    scaled_gradients: ClassVar[bool] = True
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    decays_unsampled: ClassVar[bool] = False

    @classmethod
    def build(cls, config: SearchConfig) -> Strategy:
        """Build the strategy from the options of a search."""
        return cls()

    @classmethod
    def measured_batches(cls, candidates: int, batches: int) -> int:
        """Count the batches that it classifies at its end with the candidates; D_V has ``batches``."""
        return 0

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw an architecture for one forward pass.

        Args:
            architecture: Architecture to draw from.
            tau: Temperature.
            generator: Source of all random numbers, on the CPU.
            gradient: Whether the draw has gradients to the architecture: true in a step of the architecture.
        """
        ...

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Float[Tensor, ""] | None:
        """Compute an additional loss of the strategy, on the CPU; None adds nothing.

        Args:
            architecture: Architecture that is trained.
            draw: Draw of this step.
            progress: Share of the search that is done, from 0 to 1.
        """
        return None

    def architecture_gradient(self, step: ArchitectureStep) -> None:
        """Compute the gradient of the architecture in `grad`; by default, of the loss on D_V with frozen weights."""
        with frozen(step.weights):
            step.backward(step.validation_loss())

    def project_alpha(self, architecture: Architecture, draw: Draw, before: Alpha) -> None:
        """Correct alpha after its step; ``before`` is alpha before the step."""

    def conclude(self, search: TrainedSearch) -> Derived:
        """Choose the network after the last epoch; by default the most probable one."""
        return search.derive()
