"""The search (paper, Algorithm 1): weights on D_T, architecture on D_V, in turn, from the first epoch to a genotype."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.data import Indices, Normalisation, Source
from compactnas.data.batches import Batches
from compactnas.data.prefetch import Batch, fed
from compactnas.io.atomic import write_bytes, write_json
from compactnas.io.jsonl import Row, write_rows
from compactnas.nn.supernet import certain_sample
from compactnas.runs.checkpoints import EACH_EPOCH, CheckpointPolicy
from compactnas.search.bilevel import HalfSteps
from compactnas.search.derivation import Derived, derive_within
from compactnas.search.sampling import derive
from compactnas.search.strategies.trials import Chooser
from compactnas.search.strategies.uniform import Genotypes
from compactnas.search.supernet_candidates import Selection
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.optim import forward_logits, loss_and_accuracy
from compactnas.training.resumable_loop import ResumableLoop, StepResult
from compactnas.training.runtime import Listener, cosine

STREAM_WEIGHTS, STREAM_ALPHA = 1, 2
"""Numbers that keep the draws of the two readers of data apart."""


class Search(HalfSteps):
    """One search: the half-steps over the epochs, and what is found.

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
        super().__init__(space, config, source.facts, normalisation, seed, fabric, channels_last=channels_last)
        self.train_batches, self.alpha_batches = (
            Batches(
                source,
                rows,
                config.batch_size,
                seed,
                stream,
                config.augment,
                drop_last=len(rows) >= config.batch_size,
                processes=self.processes,
            )
            for rows, stream in zip(halves, (STREAM_WEIGHTS, STREAM_ALPHA), strict=True)
        )
        self.steps = min(len(self.train_batches), len(self.alpha_batches))
        self.rate = config.learning_rate  # of the last step

    def tau(self, epoch: int) -> float:
        """Temperature of an epoch: linear from start to end."""
        first, last = self.config.tau_start, self.config.tau_end
        return first + (last - first) * epoch / max(self.config.epochs - 1, 1)

    def run_epoch(self, epoch: int, first_step: int = 0, rate_factor: float = 1.0) -> Generator[StepResult, None, None]:
        """Run the steps of an epoch, from `first_step` on."""
        config, tau = self.config, self.tau(epoch)
        batches_t = self._fed(self.train_batches, epoch, first_step)
        batches_v = self._fed(self.alpha_batches, epoch, first_step)
        on_cpu = self.fabric.device.type == "cpu"  # elsewhere, reading a loss waits for the device
        for step, batch_t, batch_v in zip(range(first_step, self.steps), batches_t, batches_v, strict=False):
            progress = (epoch + step / self.steps) / config.epochs
            self.rate = cosine(config.learning_rate, config.learning_rate_min, progress) * rate_factor
            rows, rows_v = self.train_batches.rows(step), self.alpha_batches.rows(step)
            loss, hits = self.weight_step(*batch_t, tau, self.rate, rows)
            means: list[tuple[int, dict[str, Tensor]]] = [(rows, {"loss_weights": loss, "accuracy_weights": hits})]
            if epoch >= config.warmup and self.strategy.choose is None:
                loss_v, hits_v, complexity = self.alpha_step(*batch_v, tau, rows_v, (*batch_t, rows))
                means.append((rows_v, {"loss_alpha": loss_v, "accuracy_alpha": hits_v, "complexity": complexity}))
            shown = {"loss": float(loss), "accuracy": float(hits)} if on_cpu else {}
            yield StepResult(tuple(means), shown)

    def epoch_row(self, epoch: int) -> Row:
        """Temperature, learning rate of the last step, and what the architecture looks like."""
        return {"tau": round(self.tau(epoch), 6), "learning_rate": round(self.rate, 8)} | self.describe()

    def _fed(self, batches: Batches, epoch: int, first: int) -> Iterator[Batch]:
        return fed(batches.epoch(epoch, first), self.fabric.device, self.memory)

    def data_rows(self, epoch: int, step: int) -> Indices:
        """Rows of the data in the two batches of a step."""
        return np.concatenate([batches.chosen(epoch, step) for batches in (self.train_batches, self.alpha_batches)])

    def describe(self) -> Row:
        """Where the architecture stands: entropy, expected cost, and the network it would give now."""
        architecture = self.architecture
        if self.strategy.choose is not None:  # it stands still; all depths are drawn as often
            even = (self.space.min_depth + self.space.max_depth) / 2
            return {"depths": [float(d) for d in architecture.fixed_depths or (even,) * self.space.blocks]}
        genotype = self.derived().genotype
        p_widths = architecture.width_probabilities()
        table = self.table.at(None if p_widths is None else p_widths.detach())
        expected = table.expected(architecture.probabilities().detach(), architecture.depth_weights())
        row: Row = {
            "entropy": round(architecture.entropy(), 6),
            "expected_macs": round(float(expected)),
            "depths": [round(float(d), 4) for d in architecture.mean_depths()],
            "derived_depths": list(genotype.depths),
            "derived_macs": self.table.total(self.space, genotype),
            "guarded_edges": self.guard.count(derive(architecture)),
            "genotype_nodes": [[list(edge) for edge in edges] for edges in genotype.nodes],
        }
        if self.space.widths:
            row["derived_widths"] = list(genotype.block_channels)
        return row | ({"multipliers": [round(m, 6) for m in self.price.state()]} if self.budgets else {})

    def derived(self) -> Derived:
        """The network that the architecture stands for now."""
        guard = self.guard if self.config.skip_limit != "log" else None
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

    def finished(self, rows: list[Row]) -> bool:
        """Whether the cell would collapse, or the genotype has stood still for `stop_after` epochs."""
        if self.config.skip_limit == "stop" and rows and rows[-1]["guarded_edges"] > self.guard.most:
            return len(rows) > self.config.warmup
        wait = self.config.stop_after
        if not wait or len(rows) - self.config.warmup <= wait:
            return False
        last = rows[-wait - 1 :]
        return all(
            row.get(key) == last[0].get(key)
            for row in last
            for key in ("genotype_nodes", "derived_depths", "derived_widths")
        )

    def run(self, folder: Path, listener: Listener, *, resume: bool, policy: CheckpointPolicy = EACH_EPOCH) -> Genotype:
        """Search to the end and write metrics, the architecture's probabilities and the genotype.

        Args:
            folder: of the run; the search's own files go to `folder/search`.
            listener: is told how it goes.
            resume: go on from the newest checkpoint, if there is one.
            policy: when checkpoints are written, and how many are kept.
        """
        loop = ResumableLoop(
            self,
            listener,
            folder / "search",
            f"search {self.config.setting}",
            epochs=self.config.epochs,
            steps=self.steps,
            max_steps=self.config.max_steps,
            on_divergence=self.config.on_divergence,
            processes=self.processes,
            policy=policy,
        )
        rows = loop.run(resume=resume)
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
        self.processes.on_rank_zero(write)
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
            self.processes,
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
            total += rows * loss_and_accuracy(forward_logits(self.fabric, self.supernet, x, sample), y, rows)[1]
            seen += rows
        self.processes.sum([total])
        return float(total) / seen

    def _architecture_values(self) -> dict[str, Any]:
        architecture = self.architecture
        widths: dict[str, Any] = {}
        if (p := architecture.width_probabilities()) is not None:
            widths["widths"] = [list(row) for row in self.space.block_widths]
            widths["width_probabilities"] = [[round(float(v), 6) for v in row] for row in p.detach()]
        return widths | {
            "operations": list(self.space.operations),
            "edges": [list(edge) for edge in self.space.edges],
            "probabilities": [[round(float(v), 6) for v in row] for row in architecture.probabilities().detach()],
            "depths": list(range(1, max(architecture.built_depths) + 1)),
            "depth_probabilities": [[round(float(v), 6) for v in row] for row in architecture.depth_weights()],
        }
