"""The supernet, the architecture, and the two half-steps of the search (paper, Algorithm 1).

A step knows neither how an architecture is drawn nor how its loss is made: a strategy is a sampler and a loss
(`compactnas.search.strategies`).
"""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.cost.table import CostTable
from compactnas.data import Facts, Normalisation
from compactnas.distributed.sync_layers import use_global_layers
from compactnas.nn.supernet import SuperNet
from compactnas.search.budget import budgets_of, price_of, require_possible
from compactnas.search.derivation import Guard
from compactnas.search.sampling import Architecture, Draw
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategies.unrolled import frozen, leave_unrolled_gradient
from compactnas.space.search_space import Space
from compactnas.training.optim import (
    forward_logits,
    loss_and_accuracy,
    process_group_of,
    set_up_optimizer,
    take_step,
    to_device,
)


class HalfSteps:
    """What a search moves, and how: its weights on a batch of D_T, its architecture on a batch of D_V.

    Args:
        space: what is chosen from.
        config: of the search.
        facts: of the patches.
        normalisation: of the training part.
        seed: of the first weights and of everything that is drawn.
        fabric: the machine.
        channels_last: memory format.
    """

    def __init__(
        self,
        space: Space,
        config: SearchConfig,
        facts: Facts,
        normalisation: Normalisation,
        seed: int,
        fabric: Fabric,
        *,
        channels_last: bool,
    ) -> None:
        self.space, self.config, self.fabric, self.processes = space, config, fabric, process_group_of(fabric)
        self.generator = torch.Generator().manual_seed(seed)
        self.architecture = Architecture(
            space, config.search_depth, config.initial_depth, config.depth_logit, self.generator
        )
        self.strategy = STRATEGIES[config.strategy](config)
        self.sampler = self.strategy.sampler
        built = self.architecture.built_depths
        self.table = CostTable.of(space, max(built), len(facts.bands), len(facts.classes), facts.patch_px)
        self.budgets = budgets_of(config, space, max(built), len(facts.bands), len(facts.classes), facts.patch_px)
        require_possible(self.architecture, self.budgets)
        self.guard = Guard(config.skip_limit_operations, config.skip_limit_edges)
        self.price = price_of(config, space, self.table, self.budgets)
        torch.manual_seed(seed)
        supernet = SuperNet(space, built, len(facts.bands), len(facts.classes))
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
            nesterov=config.nesterov,
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
        """One step of the weights that a drawn architecture uses; gives loss and accuracy.

        Args:
            x: patches, or this process's share of them.
            y: their classes.
            tau: temperature.
            rate: learning rate.
            rows: patches of the batch in all processes; 0, these are all.
        """
        draw = self._draw(tau, gradient=False)
        logits = forward_logits(self.fabric, self.supernet, x, draw.sample)
        loss, hits = loss_and_accuracy(logits, y, rows or len(y))
        self.weights.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.config.unsampled_weights == "decay":
            for p in self.parameters:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
        for group in self.weights.param_groups:
            group["lr"] = rate
        loss = loss.detach()
        take_step(self.fabric, self.processes, self.weights, self.parameters, (loss, hits), self.config.gradient_clip)
        return loss, hits

    def alpha_step(
        self, x: Tensor, y: Tensor, tau: float, rows: int = 0, batch_t: tuple[Tensor, Tensor, int] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the architecture; gives loss, accuracy and the complexity's loss.

        Weights are frozen, so that nothing is computed for them.

        Args:
            x: patches of D_V, or this process's share of them.
            y: their classes.
            tau: temperature.
            rows: patches of the batch in all processes; 0, these are all.
            batch_t: the weights' batch and its patches in all processes, for a strategy that looks through their step.
        """
        before = self.architecture.alpha.detach().clone() if self.strategy.settle is not None else None
        self.alphas.zero_grad(set_to_none=True)
        if self.strategy.unrolled:
            assert batch_t is not None
            draw, figures = self._unrolled_gradient((x, y, rows), batch_t, tau)
        else:
            with frozen(self.parameters):
                draw = self._draw(tau, gradient=True)
                loss, *figures = self._architecture_loss(draw, x, y, rows)
                self.fabric.backward(loss)
        nll, hits, complexity = figures
        if self.processes.count > 1:  # alpha's gradient lies on the CPU
            nll, hits = nll.cpu(), hits.cpu()
        take_step(self.fabric, self.processes, self.alphas, self.choices, (nll, hits))
        if self.strategy.settle is not None and before is not None:
            self.strategy.settle(self.architecture, draw, before)
        return nll, hits, complexity

    def _architecture_loss(self, draw: Draw, x: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """The loss of the architecture; without gradient its two terms, NLL and cost, and between them the accuracy."""
        nll, hits = loss_and_accuracy(forward_logits(self.fabric, self.supernet, x, draw.sample), y, rows or len(y))
        complexity = self.price(self.architecture, draw)
        # The cost is no sum over patches: the first process counts it for all.
        loss = nll + complexity.to(nll.device) if self.processes.is_rank_zero else nll
        return loss, nll.detach(), hits, complexity.detach()

    def _unrolled_gradient(
        self, batch_v: tuple[Tensor, Tensor, int], batch_t: tuple[Tensor, Tensor, int], tau: float
    ) -> tuple[Draw, list[Tensor]]:
        """Leave the architecture's second-order gradient; all its losses are of one draw."""
        state, draws, figures = self.generator.get_state(), list[Draw](), list[Tensor]()

        def again() -> Draw:
            self.generator.set_state(state)
            draws.append(self._draw(tau, gradient=True))
            return draws[-1]

        def loss() -> Tensor:
            total, *figures[:] = self._architecture_loss(again(), *batch_v)
            return total

        def training_loss() -> Tensor:
            x, y, rows = batch_t
            return loss_and_accuracy(forward_logits(self.fabric, self.supernet, x, again().sample), y, rows or len(y))[
                0
            ]

        weights = self.weights.optimizer
        assert isinstance(weights, torch.optim.SGD)
        leave_unrolled_gradient(training_loss, loss, weights, self.parameters, self.choices, self.processes)
        return draws[-1], figures

    def _draw(self, tau: float, *, gradient: bool) -> Draw:
        """What this step runs, in every process the same: generators and alpha are."""
        draw = self.sampler.draw(self.architecture, tau, self.generator, gradient=gradient)
        self.processes.require_same(
            "the drawn architecture", [draw.sample.path, draw.sample.depths, draw.sample.widths]
        )
        return draw
