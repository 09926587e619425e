"""The two half-steps of a search (paper, Algorithm 1): weights on a batch of D_T, architecture on a batch of D_V."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.cost.constraints import budgets_of, require_possible
from compactnas.cost.table import CostTable
from compactnas.data import Facts, Normalization
from compactnas.distributed.sync_layers import use_global_layers
from compactnas.nn.sample import moved
from compactnas.nn.supernet import SuperNet
from compactnas.search.architecture import Architecture
from compactnas.search.objective import ObjectiveContext
from compactnas.search.objectives import build_objective
from compactnas.search.sampling import Draw
from compactnas.search.strategies import STRATEGIES
from compactnas.space.search_space import Space
from compactnas.training.optim import (
    forward_logits,
    loss_and_accuracy,
    process_group_of,
    set_up_optimizer,
    take_step,
    to_device,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Batch = tuple[Tensor, Tensor, int]
"""Patches and classes of this process, and the number of patches of the batch in all processes."""


class AlphaStepResult(NamedTuple):
    """Figures of a step of the architecture, without gradients.

    Attributes:
        loss: Cross-entropy on the batch of D_V.
        accuracy: Accuracy on the batch.
        complexity: Loss of the objective on cost.
        penalty: Additional loss of the strategy; None without one.
    """

    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    complexity: Float[Tensor, ""]
    penalty: Float[Tensor, ""] | None = None


class BilevelStep:
    """Supernet, architecture and their optimizers, and one step of each.

    The strategy (`compactnas.search.strategies`) draws and trains the architecture. The objective
    (`compactnas.search.objectives`) adds a loss on its cost.

    Args:
        space: Search space.
        config: Options of the search.
        facts: Facts about the patches.
        normalisation: Normalization of the training part.
        fabric: Device, precision and processes.
        seed: Seed of the first weights and of all draws.
        channels_last: Whether tensors are kept in the channels-last format.
    """

    def __init__(
        self,
        space: Space,
        config: SearchConfig,
        facts: Facts,
        normalisation: Normalization,
        fabric: Fabric,
        *,
        seed: int,
        channels_last: bool,
    ) -> None:
        self.config, self.fabric, self.processes = config, fabric, process_group_of(fabric)
        self.generator = torch.Generator().manual_seed(seed)
        self.architecture = Architecture(
            space, config.search_depth, config.initial_depth, config.depth_logit, self.generator
        )
        self.strategy = STRATEGIES[config.strategy].build(config)
        built = self.architecture.built_depths
        sizes = max(built), len(facts.bands), len(facts.classes), facts.patch_px
        self.table = CostTable.of(space, *sizes)
        self.budgets = budgets_of(config, space, *sizes)
        require_possible(self.budgets, space, self.architecture.fixed_depths)
        self.objective = build_objective(ObjectiveContext(config, space, self.table, self.budgets))
        torch.manual_seed(seed)
        supernet = SuperNet(space, built, len(facts.bands), len(facts.classes), config.normalized_operations)
        supernet.normalise.set(normalisation.mean, normalisation.std)
        use_global_layers(supernet, self.processes)
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        self.supernet = to_device(supernet, fabric.device, self.memory)
        self.parameters = list(self.supernet.parameters())
        weights = torch.optim.SGD(
            self.parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.nesterov and config.momentum > 0,
            foreach=True,
        )
        self.choices = [p for p in self.architecture.parameters() if p.requires_grad]
        alphas = torch.optim.Adam(
            self.choices,
            lr=config.alpha_learning_rate,
            betas=self.strategy.betas,
            weight_decay=config.alpha_weight_decay,
        )
        self.weights, self.alphas = set_up_optimizer(fabric, weights), set_up_optimizer(fabric, alphas)

    def weight_step(self, x: Tensor, y: Tensor, tau: float, rate: float, rows: int = 0) -> tuple[Tensor, Tensor]:
        """Train the weights that a drawn architecture uses, and return loss and accuracy.

        Args:
            x: Patches of D_T, or the share of this process.
            y: Their classes.
            tau: Temperature.
            rate: Learning rate.
            rows: Patches of the batch in all processes; 0 if these are all.
        """
        draw = self.draw(tau, gradient=False)
        logits = forward_logits(self.fabric, self.supernet, x, draw.sample)
        loss, accuracy = loss_and_accuracy(logits, y, rows or len(y))
        self.weights.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.config.unsampled_weights == "decay" or self.strategy.decays_unsampled:
            for p in self.parameters:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
        for group in self.weights.param_groups:
            group["lr"] = rate
        loss = loss.detach()
        take_step(
            self.fabric, self.processes, self.weights, self.parameters, (loss, accuracy), self.config.gradient_clip
        )
        return loss, accuracy

    def alpha_step(
        self,
        x: Tensor,
        y: Tensor,
        tau: float,
        rows: int = 0,
        batch_t: Batch | None = None,
        progress: float = 0.0,
    ) -> AlphaStepResult:
        """Train the architecture.

        Args:
            x: Patches of D_V, or the share of this process.
            y: Their classes.
            tau: Temperature.
            rows: Patches of the batch in all processes; 0 if these are all.
            batch_t: Batch of D_T, for strategies that look through a step of the weights.
            progress: Share of the search that is done, from 0 to 1.
        """
        before = self.architecture.alpha.detach().clone()
        self.alphas.zero_grad(set_to_none=True)
        step = _AlphaStep(self, tau, progress, (x, y, rows or len(y)), batch_t)
        self.strategy.architecture_gradient(step)
        draw, found = step.result()
        self.objective.update(self.architecture, draw)
        loss, accuracy = found.loss, found.accuracy
        if self.processes.count > 1:  # the gradient of alpha is on the CPU
            loss, accuracy = loss.cpu(), accuracy.cpu()
        take_step(self.fabric, self.processes, self.alphas, self.choices, (loss, accuracy))
        self.strategy.project_alpha(self.architecture, draw, before)
        return found._replace(loss=loss, accuracy=accuracy)

    def draw(self, tau: float, *, gradient: bool) -> Draw:
        """Draw an architecture, the same in all processes because their generators and alphas are."""
        draw = self.strategy.draw(self.architecture, tau, self.generator, gradient=gradient)
        self.processes.require_same(
            "the drawn architecture", [draw.sample.path, draw.sample.depths, draw.sample.widths]
        )
        return draw


class _AlphaStep:
    """One step of the architecture: its losses, all with the same draw (see `search.strategy.ArchitectureStep`)."""

    def __init__(
        self, bilevel: BilevelStep, tau: float, progress: float, batch_v: Batch, batch_t: Batch | None
    ) -> None:
        self.bilevel, self.tau, self.progress = bilevel, tau, progress
        self.batch_v, self.batch_t = batch_v, batch_t
        self.weights: Sequence[torch.nn.Parameter] = bilevel.parameters
        self.choices: Sequence[torch.nn.Parameter] = bilevel.choices
        optimizer = bilevel.weights.optimizer
        assert isinstance(optimizer, torch.optim.SGD)
        self.optimizer, self.processes = optimizer, bilevel.processes
        self._generator_state = bilevel.generator.get_state()
        self._found: tuple[Draw, AlphaStepResult] | None = None

    def validation_loss(self) -> Float[Tensor, ""]:
        bilevel, (x, y, rows) = self.bilevel, self.batch_v
        draw = self._draw()
        logits = forward_logits(bilevel.fabric, bilevel.supernet, x, draw.sample)
        loss, accuracy = loss_and_accuracy(logits, y, rows)
        complexity = bilevel.objective.loss(bilevel.architecture, draw)
        penalty = bilevel.strategy.penalty(bilevel.architecture, draw, self.progress)
        own = None if penalty is None else penalty.detach()
        self._found = draw, AlphaStepResult(loss.detach(), accuracy, complexity.detach(), own)
        if not bilevel.processes.is_rank_zero:  # cost and penalty are not sums over patches: one process counts them
            return loss
        loss = loss + moved(complexity, loss.device)
        return loss if penalty is None else loss + moved(penalty, loss.device)

    def training_loss(self) -> Float[Tensor, ""]:
        assert self.batch_t is not None, "this strategy needs the batch of D_T"
        (x, y, rows), bilevel = self.batch_t, self.bilevel
        logits = forward_logits(bilevel.fabric, bilevel.supernet, x, self._draw().sample)
        return loss_and_accuracy(logits, y, rows or len(y))[0]

    def backward(self, loss: Tensor) -> None:
        self.bilevel.fabric.backward(loss)

    def result(self) -> tuple[Draw, AlphaStepResult]:
        """Return the draw and the figures of the last loss on D_V."""
        assert self._found is not None, "the strategy computed no loss on D_V"
        return self._found

    def _draw(self) -> Draw:
        self.bilevel.generator.set_state(self._generator_state)
        return self.bilevel.draw(self.tau, gradient=True)
