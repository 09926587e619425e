"""A search (paper, Algorithm 1): weights on D_T and architecture on D_V in turn, from the first epoch to a genotype."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.data import Indices, Normalization, Source
from compactnas.data.batches import Batches
from compactnas.data.prefetch import Batch, prefetched
from compactnas.data.streams import Stream
from compactnas.io.atomic import write_bytes, write_json
from compactnas.io.jsonl import Row, write_rows
from compactnas.nn.sample import Sample
from compactnas.nn.supernet import SuperNet, certain_sample
from compactnas.runs.checkpoints import EACH_EPOCH, CheckpointPolicy
from compactnas.search.architecture import Architecture
from compactnas.search.bilevel import BilevelStep
from compactnas.search.cell_counts import Scores
from compactnas.search.derivation import Derived, derive, derive_within
from compactnas.search.effects import Measured
from compactnas.search.random_networks import measure_random
from compactnas.search.records import architecture_values, epoch_figures, same_genotype, uniform_figures
from compactnas.search.skip_limit import SkipLimit
from compactnas.search.supernet_accuracy import supernet_accuracy
from compactnas.search.supernet_candidates import candidates_of, measured_samples
from compactnas.search.trials import Chooser
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.resumable_loop import ResumableLoop, StepResult
from compactnas.training.runtime import Listener, Silent, cosine

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class SearchData:
    """Data of a search.

    Attributes:
        source: The patches.
        halves: Rows of D_T and D_V.
        normalisation: Normalization of the training part.
    """

    source: Source
    halves: tuple[Indices, Indices]
    normalisation: Normalization


class Searcher:
    """A search over its epochs.

    Args:
        space: Search space.
        config: Options of the search.
        data: Patches, and their halves.
        fabric: Device, precision and processes.
        seed: Random seed.
        channels_last: Whether tensors are kept in the channels-last format.
    """

    def __init__(
        self, space: Space, config: SearchConfig, data: SearchData, fabric: Fabric, *, seed: int, channels_last: bool
    ) -> None:
        self.space, self.config, self.fabric = space, config, fabric
        self.bilevel = BilevelStep(
            space, config, data.source.facts, data.normalisation, fabric, seed=seed, channels_last=channels_last
        )
        self.processes, self.strategy = self.bilevel.processes, self.bilevel.strategy
        self.skip_limit = SkipLimit(config.skip_limit_operations, config.skip_limit_edges)
        self.limit = SkipLimit.of(config)
        self.train_batches, self.alpha_batches = (
            Batches(
                data.source,
                rows,
                config.batch_size,
                seed=seed,
                stream=stream,
                augment=config.augment,
                drop_last=len(rows) >= config.batch_size,
                processes=self.processes,
            )
            for rows, stream in zip(data.halves, (Stream.SEARCH_WEIGHTS, Stream.SEARCH_ALPHA), strict=True)
        )
        self.steps = min(len(self.train_batches), len(self.alpha_batches))
        self.rate = config.learning_rate  # of the last step

    @property
    def architecture(self) -> Architecture:
        """The architecture that the search trains."""
        return self.bilevel.architecture

    @property
    def supernet(self) -> SuperNet:
        """The supernet whose weights the search trains."""
        return self.bilevel.supernet

    def tau(self, epoch: int) -> float:
        """Temperature of an epoch: linear from start to end."""
        first, last = self.config.tau_start, self.config.tau_end
        return first + (last - first) * epoch / max(self.config.epochs - 1, 1)

    def run_epoch(self, epoch: int, first_step: int = 0, rate_factor: float = 1.0) -> Generator[StepResult, None, None]:
        """Run the steps of an epoch, from ``first_step`` on."""
        config, tau = self.config, self.tau(epoch)
        batches_t = self._prefetched(self.train_batches, epoch, first_step)
        batches_v = self._prefetched(self.alpha_batches, epoch, first_step)
        on_cpu = self.fabric.device.type == "cpu"  # on other devices, reading a loss waits for the device
        for step, batch_t, batch_v in zip(range(first_step, self.steps), batches_t, batches_v, strict=False):
            progress = (epoch + step / self.steps) / config.epochs
            self.rate = cosine(config.learning_rate, config.learning_rate_min, progress) * rate_factor
            rows, rows_v = self.train_batches.rows(step), self.alpha_batches.rows(step)
            loss, accuracy = self.bilevel.weight_step(*batch_t, tau, self.rate, rows)
            means: list[tuple[int, dict[str, Tensor]]] = [(rows, {"loss_weights": loss, "accuracy_weights": accuracy})]
            if epoch >= config.warmup and self.strategy.learns_alpha:
                found = self.bilevel.alpha_step(*batch_v, tau, rows_v, (*batch_t, rows), progress)
                figures = {
                    "loss_alpha": found.loss,
                    "accuracy_alpha": found.accuracy,
                    "complexity": found.complexity,
                    "penalty": found.penalty,
                }
                means.append((rows_v, {name: value for name, value in figures.items() if value is not None}))
            yield StepResult(tuple(means), {"loss": float(loss), "accuracy": float(accuracy)} if on_cpu else {})

    def epoch_row(self, epoch: int) -> Row:
        """Temperature, learning rate of the last step, and figures of the architecture."""
        tau = {"tau": round(self.tau(epoch), 6)} if self.strategy.learns_alpha else {}
        return tau | {"learning_rate": round(self.rate, 8)} | self.describe()

    def describe(self) -> Row:
        """Describe the current architecture."""
        if not self.strategy.learns_alpha:
            return uniform_figures(self.architecture)
        return epoch_figures(self.bilevel, self.derive().genotype, self.skip_limit)

    def data_rows(self, epoch: int, step: int) -> Indices:
        """Rows of the data in the two batches of a step."""
        return np.concatenate([batches.chosen(epoch, step) for batches in (self.train_batches, self.alpha_batches)])

    def state(self) -> dict[str, Any]:
        """Return all that a resumed search needs to end with the same bytes."""
        bilevel = self.bilevel
        return {
            "supernet": bilevel.supernet.state_dict(),
            "architecture": bilevel.architecture.state_dict(),
            "weights": bilevel.weights.state_dict(),
            "alphas": bilevel.alphas.state_dict(),
            "generator": bilevel.generator.get_state(),
            "scaler": self.fabric.strategy.precision.state_dict(),
            "objective": bilevel.objective.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load such a state."""
        bilevel = self.bilevel
        bilevel.supernet.load_state_dict(state["supernet"])
        bilevel.architecture.load_state_dict(state["architecture"])
        bilevel.weights.load_state_dict(state["weights"])
        bilevel.alphas.load_state_dict(state["alphas"])
        bilevel.generator.set_state(state["generator"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        bilevel.objective.restore(state["objective"])

    def finished(self, rows: list[Row]) -> bool:
        """Check whether the cell has collapsed, or the genotype has not changed for `stop_after` epochs."""
        if self.config.skip_limit == "stop" and rows and rows[-1]["guarded_edges"] > self.skip_limit.most:
            return len(rows) > self.config.warmup
        wait = self.config.stop_after
        if not wait or len(rows) - self.config.warmup <= wait:
            return False
        return same_genotype(rows[-wait - 1 :])

    def run(
        self, folder: str | Path, listener: Listener, *, resume: bool, policy: CheckpointPolicy = EACH_EPOCH
    ) -> Genotype:
        """Search to the end and write metrics, `alpha.json` and `genotype.json`.

        Args:
            folder: Folder of the run; files of the search go to its folder `search`.
            listener: Receives progress and warnings.
            resume: Start from the newest checkpoint, if there is one.
            policy: When checkpoints are written, and how many are kept.
        """
        folder = Path(folder)
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
        derived = self.conclude(folder / "search", listener, resume=resume)

        def write() -> None:
            if derived.metrics:
                write_rows(folder / "search" / "metrics.jsonl", [*rows[:-1], rows[-1] | dict(derived.metrics)])
            write_json(folder / "search" / "alpha.json", architecture_values(self.architecture, derived.scores))
            write_bytes(folder / "genotype.json", derived.genotype.to_json().encode())

        if derived.unused:
            listener.warn(f"budget: {derived.unused}")
        self.processes.on_rank_zero(write)
        return derived.genotype

    def derive(self, scores: Scores | None = None) -> Derived:
        """Derive the most probable network within the budgets and the skip limit, or the one with the best scores."""
        if self.bilevel.budgets or self.limit:
            return replace(derive_within(self.architecture, self.bilevel.budgets, self.limit, scores), scores=scores)
        return Derived(derive(self.architecture, scores), scores=scores)

    def conclude(
        self, folder: str | Path | None = None, listener: Listener | None = None, *, resume: bool = False
    ) -> Derived:
        """Choose the network after the last epoch, by the rule of the strategy.

        Args:
            folder: Folder for measured candidates; None writes nothing.
            listener: Receives the progress.
            resume: Keep the measurements that the folder holds.
        """
        folder = None if folder is None else Path(folder)
        return self.strategy.conclude(_Concluding(self, folder, listener or Silent(), resume))

    def accuracy(self, genotype: Genotype) -> float:
        """Measure the accuracy of a network on the whole batches of D_V with the weights of the supernet."""
        return self.accuracy_of(certain_sample(self.space, genotype))

    def accuracy_of(self, sample: Sample) -> float:
        """Measure the accuracy of a sample on the whole batches of D_V with the weights of the supernet."""
        return supernet_accuracy(self.bilevel, self.unaugmented, sample)

    @property
    def unaugmented(self) -> Batches:
        """Batches of D_V as they are."""
        return replace(self.alpha_batches, augment="none")

    def _prefetched(self, batches: Batches, epoch: int, first: int) -> Iterator[Batch]:
        return prefetched(batches.epoch(epoch, first), self.fabric.device, self.bilevel.memory)


@dataclass(frozen=True)
class _Concluding:
    """A finished search in the form that its strategy needs (`compactnas.search.strategy.TrainedSearch`)."""

    search: Searcher
    folder: Path | None
    listener: Listener
    resume: bool

    @property
    def architecture(self) -> Architecture:
        return self.search.architecture

    @property
    def supernet(self) -> SuperNet:
        return self.search.supernet

    def derive(self, scores: Scores | None = None) -> Derived:
        return self.search.derive(scores)

    def accuracies(self, samples: Iterable[Sample], count: int) -> list[float]:
        search = self.search
        return measured_samples(samples, count, search.accuracy_of, self.folder, self.listener, search.processes)

    def figures(self, genotype: Genotype) -> Row:
        macs = self.search.bilevel.table.total(self.search.space, genotype)
        return {"accuracy_alpha": round(self.search.accuracy(genotype), 6), "derived_macs": macs}

    def best_candidate(self, choose: Chooser) -> Derived:
        search = self.search
        count, seed = search.config.candidates_tried, search.alpha_batches.seed
        candidates = candidates_of(search.bilevel, search.limit, search.accuracy, count, seed)
        return candidates.best(choose, self.folder, self.listener, resume=self.resume)

    def random_networks(self) -> Measured:
        passes, batches = self.search.config.candidates_tried, self.search.unaugmented
        return measure_random(self.search.bilevel, batches, passes, self.folder, self.listener)


def conclude(search: Searcher) -> Genotype:
    """Choose the network of a search that has run its epochs, without writing files."""
    return search.conclude().genotype
