"""The search (paper, Algorithm 1): weights on D_T and architecture on D_V, in turn.

The loop knows neither how an architecture is drawn nor how its loss is made: a strategy is a
sampler and a loss (`compactnas.strategies`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from compactnas.budget import budgets_of, price_of, require_possible
from compactnas.checkpoints import EACH_EPOCH, Keeping
from compactnas.config import SearchConfig
from compactnas.cost import CostTable
from compactnas.data import Indices, Normalisation, Source
from compactnas.data.batches import Batches
from compactnas.data.feeding import Batch, fed
from compactnas.deriving import Derived, Guard, derive_within
from compactnas.files import write_bytes, write_json
from compactnas.genotype import Genotype
from compactnas.loop import Listener, cosine
from compactnas.runs import Row, write_rows
from compactnas.sampling import Architecture, Draw, derive
from compactnas.selection import Selection
from compactnas.space import Space
from compactnas.spread import spread
from compactnas.stage import Position, Stage, Tell
from compactnas.step import answers, loss_and_hits, ranks_of, set_up, take_step
from compactnas.strategies import STRATEGIES
from compactnas.strategies.trials import Chooser
from compactnas.strategies.uniform import Genotypes
from compactnas.strategies.unrolled import frozen, leave_unrolled_gradient
from compactnas.supernet import SuperNet, certain_sample

STREAM_WEIGHTS, STREAM_ALPHA = 1, 2
"""Numbers that keep the draws of the two readers of data apart."""


class Search:
    """One search: the supernet, the architecture, their optimisers, and the steps.

    Args:
        space: what is chosen from.
        config: how.
        source: the patches.
        halves: rows of D_T and D_V.
        normalisation: of the training part.
        seed: of everything that is drawn.
        fabric: the machine.
        channels_last: memory format.
    """

    def __init__(
        self,
        space: Space,
        config: SearchConfig,
        source: Source,
        halves: tuple[Indices, Indices],
        normalisation: Normalisation,
        seed: int,
        fabric: Fabric,
        *,
        channels_last: bool,
    ) -> None:
        facts = source.facts
        self.space, self.config, self.fabric, self.ranks = space, config, fabric, ranks_of(fabric)
        self.generator = torch.Generator().manual_seed(seed)
        self.architecture = Architecture(space, config.depth, config.fixed_depth, config.depth_logit, self.generator)
        self.strategy = STRATEGIES[config.strategy](config)
        self.sampler = self.strategy.sampler
        built = self.architecture.built_depths
        self.table = CostTable.of(space, max(built), len(facts.bands), len(facts.classes), facts.patch_px)
        self.budgets = budgets_of(config, space, max(built), len(facts.bands), len(facts.classes), facts.patch_px)
        require_possible(self.architecture, self.budgets)
        self.guard = Guard(config.guard_operations, config.guard_edges)
        self.price = price_of(config, space, self.table, self.budgets)
        torch.manual_seed(seed)
        supernet = SuperNet(space, built, len(facts.bands), len(facts.classes))
        supernet.normalise.set(normalisation.mean, normalisation.std)
        spread(supernet, self.ranks)
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        self.supernet = supernet.to(fabric.device, memory_format=self.memory)  # type: ignore[call-overload]  # absent from torch's stubs
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
        self.weights, self.alphas = set_up(fabric, weights), set_up(fabric, alphas)
        self.train_batches, self.alpha_batches = (
            Batches(
                source,
                rows,
                config.batch_size,
                seed,
                stream,
                config.augment,
                drop_last=len(rows) >= config.batch_size,
                ranks=self.ranks,
            )
            for rows, stream in zip(halves, (STREAM_WEIGHTS, STREAM_ALPHA), strict=True)
        )
        self.steps = min(len(self.train_batches), len(self.alpha_batches))

    def tau(self, epoch: int) -> float:
        """Temperature of an epoch: linear from start to end."""
        first, last = self.config.tau_start, self.config.tau_end
        return first + (last - first) * epoch / max(self.config.epochs - 1, 1)

    def run_epoch(self, epoch: int, tell: Tell, at: Position | None = None) -> Row:
        """The steps of an epoch, from a position in it on; `tell` hears of each and may stop them."""
        at = at or Position()
        config, means, tau, first = self.config, at.means, self.tau(epoch), at.step
        rate = config.learning_rate
        pairs = zip(
            self._fed(self.train_batches, epoch, first), self._fed(self.alpha_batches, epoch, first), strict=False
        )
        for step, (batch_t, batch_v) in zip(range(first, self.steps), pairs, strict=False):
            progress = (epoch + step / self.steps) / config.epochs
            rate = cosine(config.learning_rate, config.learning_rate_min, progress) * at.factor
            rows, rows_v = self.train_batches.rows(step), self.alpha_batches.rows(step)
            loss, hits = self.weight_step(*batch_t, tau, rate, rows)
            means.add(rows, loss_weights=loss, accuracy_weights=hits)
            if epoch >= config.warmup and self.strategy.choose is None:
                loss_v, hits_v, complexity = self.alpha_step(*batch_v, tau, rows_v, (*batch_t, rows))
                means.add(rows_v, loss_alpha=loss_v, accuracy_alpha=hits_v, complexity=complexity)
            if not tell({"loss": float(loss), "accuracy": float(hits)} if self._cheap_to_read else {}):
                break
        return means.result() | {"tau": round(tau, 6), "learning_rate": round(rate, 8)} | self.describe()

    @property
    def _cheap_to_read(self) -> bool:
        return self.fabric.device.type == "cpu"  # elsewhere, reading a loss waits for the device

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
        logits = answers(self.fabric, self.supernet, x, draw.sample)
        loss, hits = loss_and_hits(logits, y, rows or len(y))
        self.weights.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.config.unsampled_weights == "decay":
            for p in self.parameters:
                if p.grad is None:
                    p.grad = torch.zeros_like(p)
        for group in self.weights.param_groups:
            group["lr"] = rate
        loss = loss.detach()
        take_step(self.fabric, self.ranks, self.weights, self.parameters, (loss, hits), self.config.gradient_clip)
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
        before = self.architecture.alpha.detach().clone()
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
        if self.ranks.count > 1:  # alpha's gradient lies on the CPU
            nll, hits = nll.cpu(), hits.cpu()
        take_step(self.fabric, self.ranks, self.alphas, self.choices, (nll, hits))
        if self.strategy.settle is not None:
            self.strategy.settle(self.architecture, draw, before)
        return nll, hits, complexity

    def _architecture_loss(self, draw: Draw, x: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """The loss of the architecture; without gradient its two terms, NLL and cost, and between them the accuracy."""
        nll, hits = loss_and_hits(answers(self.fabric, self.supernet, x, draw.sample), y, rows or len(y))
        complexity = self.price(self.architecture, draw)
        # The cost is no sum over patches: the first process counts it for all.
        loss = nll + complexity.to(nll.device) if self.ranks.first else nll
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
            return loss_and_hits(answers(self.fabric, self.supernet, x, again().sample), y, rows or len(y))[0]

        weights = self.weights.optimizer
        assert isinstance(weights, torch.optim.SGD)
        leave_unrolled_gradient(training_loss, loss, weights, self.parameters, self.choices, self.ranks)
        return draws[-1], figures

    def _draw(self, tau: float, *, gradient: bool) -> Draw:
        """What this step runs, in every process the same: generators and alpha are."""
        draw = self.sampler.draw(self.architecture, tau, self.generator, gradient=gradient)
        self.ranks.require_same("the drawn architecture", [draw.sample.path, draw.sample.depths])
        return draw

    def _fed(self, batches: Batches, epoch: int, first: int) -> Iterator[Batch]:
        return fed(batches.epoch(epoch, first), self.fabric.device, self.memory)

    def _rows_of(self, epoch: int, step: int) -> Indices:
        """Rows of the two batches of a step."""
        return np.concatenate([batches.chosen(epoch, step) for batches in (self.train_batches, self.alpha_batches)])

    def describe(self) -> Row:
        """Where the architecture stands: entropy, expected cost, and the network it would give now."""
        architecture = self.architecture
        if self.strategy.choose is not None:  # it stands still; all depths are drawn as often
            even = (self.space.min_depth + self.space.max_depth) / 2
            return {"depths": [float(d) for d in architecture.fixed_depths or (even,) * self.space.blocks]}
        genotype = self.derived().genotype
        expected = self.table.expected(architecture.probabilities().detach(), architecture.depth_weights())
        row: Row = {
            "entropy": round(architecture.entropy(), 6),
            "expected_macs": round(float(expected)),
            "depths": [round(float(d), 4) for d in architecture.mean_depths()],
            "derived_depths": list(genotype.depths),
            "derived_macs": self.table.total(self.space, genotype),
            "guarded_edges": self.guard.count(derive(architecture)),
            "genotype_nodes": [[list(edge) for edge in edges] for edges in genotype.nodes],
        }
        return row | ({"multipliers": [round(m, 6) for m in self.price.state()]} if self.budgets else {})

    def derived(self) -> Derived:
        """The network that the architecture stands for now."""
        guard = self.guard if self.config.guard != "log" else None
        if self.budgets or guard:
            return derive_within(self.architecture, self.budgets, guard)
        return Derived(derive(self.architecture), "")

    def state(self) -> dict[str, Any]:
        """All that a resumed search needs to go on to the same bytes."""
        return {
            "supernet": self.supernet.state_dict(),
            "architecture": self.architecture.state_dict(),
            "weights": self.weights.state_dict(),
            "alphas": self.alphas.state_dict(),
            "generator": self.generator.get_state(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "price": self.price.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up such a state."""
        self.supernet.load_state_dict(state["supernet"])
        self.architecture.load_state_dict(state["architecture"])
        self.weights.load_state_dict(state["weights"])
        self.alphas.load_state_dict(state["alphas"])
        self.generator.set_state(state["generator"])
        self.fabric.strategy.precision.load_state_dict(state.get("scaler", {}))
        self.price.restore(state.get("price", []))

    def over(self, rows: list[Row]) -> bool:
        """Whether the cell would collapse, or the genotype has stood still for `stop_after` epochs."""
        if self.config.guard == "stop" and rows and rows[-1]["guarded_edges"] > self.guard.most:
            return len(rows) > self.config.warmup
        wait = self.config.stop_after
        if not wait or len(rows) - self.config.warmup <= wait:
            return False
        last = rows[-wait - 1 :]
        return all(
            (row["genotype_nodes"], row["derived_depths"]) == (last[0]["genotype_nodes"], last[0]["derived_depths"])
            for row in last
        )

    def run(self, folder: Path, listener: Listener, *, resume: bool, keeping: Keeping = EACH_EPOCH) -> Genotype:
        """Search to the end and write metrics, the architecture's probabilities and the genotype.

        Args:
            folder: of the run; the search's own files go to `folder/search`.
            listener: is told how it goes.
            resume: go on from the newest checkpoint, if there is one.
            keeping: when checkpoints are made.
        """
        stage = Stage(
            folder / "search",
            f"search {self.config.setting}",
            self.config.epochs,
            self.steps,
            self.config.max_steps,
            self.run_epoch,
            self.state,
            self.restore,
            self._rows_of,
            self.config.on_divergence,
            self.over,
            self.ranks,
            keeping,
        )
        rows = stage.run(listener, resume=resume)
        if self.strategy.choose is None:
            genotype, left = self.derived()
        else:
            (genotype, left), best = self._selection(self.strategy.choose).run(
                folder / "search", listener, resume=resume
            )
            rows = [*rows[:-1], rows[-1] | {"accuracy_alpha": best["accuracy"], "derived_macs": best["macs"]}]

        def write() -> None:
            if self.strategy.choose is not None:
                write_rows(folder / "search" / "metrics.jsonl", rows)
            write_json(folder / "search" / "alpha.json", self._architecture_values())
            write_bytes(folder / "genotype.json", genotype.to_json().encode())

        if left:
            listener.warn(f"budget: {left}")
        self.ranks.lead(write)
        return genotype

    def _selection(self, choose: Chooser) -> Selection:
        """What follows the epochs of a strategy that learns no alpha; two candidates, where only a setting is tried."""
        return Selection(
            Genotypes(self.space, self.architecture.fixed_depths),
            self.budgets,
            choose,
            2 if self.config.max_steps else self.config.candidates,
            self.accuracy,
            lambda genotype: self.price.of(self.space, genotype),
            lambda genotype: self.table.total(self.space, genotype),
            self.alpha_batches.seed,
            self.ranks,
        )

    @torch.no_grad()
    def accuracy(self, genotype: Genotype) -> float:
        """Accuracy on D_V with the supernet's weights, in its unturned batches of the first epoch.

        Normalised by each batch's own statistics: those of the weights' training are of mixed paths, and the supernet
        keeps none.
        """
        sample, batches = certain_sample(self.space, genotype), replace(self.alpha_batches, augment="none")
        total, seen = torch.zeros(1, device=self.fabric.device), 0
        for step, (x, y) in enumerate(self._fed(batches, 0, 0)):
            rows = batches.rows(step)
            total += rows * loss_and_hits(answers(self.fabric, self.supernet, x, sample), y, rows)[1]
            seen += rows
        self.ranks.sum([total])
        return float(total) / seen

    def _architecture_values(self) -> dict[str, Any]:
        architecture = self.architecture
        return {
            "operations": list(self.space.operations),
            "edges": [list(edge) for edge in self.space.edges],
            "probabilities": [[round(float(v), 6) for v in row] for row in architecture.probabilities().detach()],
            "depths": list(range(1, max(architecture.built_depths) + 1)),
            "depth_probabilities": [[round(float(v), 6) for v in row] for row in architecture.depth_weights()],
        }
