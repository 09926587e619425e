"""What all stages of a find share: folds, config, device, and the sizes that the plan needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from compactnas.config import RunConfig, TrainConfig
from compactnas.cost.constraints import Budget, budgets_of, require_possible
from compactnas.cost.table import CostTable
from compactnas.data import Dataset, cut_halves, measure_normalization
from compactnas.data.batches import drawing
from compactnas.data.device_cache import on_device
from compactnas.data.streams import Stream
from compactnas.errors import UserError
from compactnas.finding.config import FindConfig
from compactnas.finding.folds import Folds, make_folds
from compactnas.finding.plan import Sizes
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive_within
from compactnas.search.perturbation import mixture_passes
from compactnas.search.searcher import SearchData
from compactnas.search.skip_limit import SkipLimit
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategy import FORWARD_OF_STEP
from compactnas.selection.config import SelectConfig
from compactnas.selection.holdout import HoldOut
from compactnas.selection.searches import FinishedSearch
from compactnas.training.runtime import make_fabric
from compactnas.training.side_by_side import Sharing

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Setting:
    """Data, config and device of a find.

    Attributes:
        config: Config of the data, the space, the searches, the trainings and the machine.
        choice: Options of the find.
        data: Data as it was opened.
        folds: Folds of its training part.
        fabric: Device and precision.
        sharing: Number of searches or short trainings at a time, and their threads.
    """

    config: RunConfig
    choice: FindConfig
    data: Dataset
    folds: Folds
    fabric: Fabric
    sharing: Sharing

    @classmethod
    def of(cls, config: RunConfig, choice: FindConfig, data: Dataset, processes: int = 1) -> Setting:
        """Make the folds, and check that a network can be within the budget and the skip limit.

        Args:
            config: Config of the find.
            choice: Options of the find.
            data: Data of the config.
            processes: Number of searches or short trainings at a time; 0 runs one for each core of a CPU, as far as the
                memory reaches.

        Raises:
            UserError: There is no budget, no network is within it and the skip limit of the searches, or the data has
                no groups.
        """
        if config.machine.world_size > 1:
            raise UserError("machine.devices: find runs on one device; leave machine.devices and machine.nodes at 1")
        sharing = Sharing.on(data, config.data, config.machine, processes)
        folds = make_folds(data, choice.folds, config.data.split_seed)
        if choice.searches and choice.searches > len(folds.each):
            raise UserError(
                f"searches: {choice.searches} searches need as many folds, but there are {len(folds.each)}; give fewer"
            )
        setting = cls(config, choice, data, folds, make_fabric(config.machine), sharing)
        if not setting.budgets:
            raise UserError(
                "search.max_macs: find needs a budget; give --max-macs 20M, --max-parameters or --max-latency-ms"
            )
        require_possible(setting.budgets, config.space, setting.architecture().fixed_depths)
        if setting.skip_limit:
            derive_within(setting.architecture(), setting.budgets, setting.skip_limit)  # raises if it rules out all
        return setting

    def architecture(self) -> Architecture:
        """An untrained architecture of the space."""
        search = self.config.search
        return Architecture(
            self.config.space, search.search_depth, search.initial_depth, 0.0, torch.Generator().manual_seed(0)
        )

    @cached_property
    def depth(self) -> int:
        """Largest depth of a block."""
        search = self.config.search
        return self.config.space.max_depth if search.search_depth else search.initial_depth

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        facts = self.data.source.facts
        return self.depth, len(facts.bands), len(facts.classes), facts.patch_px

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of a candidate."""
        return budgets_of(self.config.search, self.config.space, *self._shape)

    @property
    def skip_limit(self) -> SkipLimit | None:
        """Skip limit of the networks that the searches derive."""
        return SkipLimit.of(self.config.search) if self.choice.searches != 0 else None

    @cached_property
    def tables(self) -> dict[str, CostTable]:
        """MACs and parameters of each choice of the space."""
        space, shape = self.config.space, self._shape
        return {"macs": CostTable.of(space, *shape, "macs"), "parameters": CostTable.of(space, *shape, "parameters")}

    @property
    def short_train(self) -> TrainConfig:
        """Config of short trainings: no teachers, no limits, and evaluation only at the end."""
        return replace(self.config.train, teachers=(), max_steps=0, validate_every=0)

    @cached_property
    def _placed(self) -> tuple[Dataset, ...]:
        """Data set of each fold, on the device if the config asks for it."""
        if not self.config.machine.data_on_device:
            return self.folds.each
        source = on_device(self.data.source, self.fabric.device)
        return tuple(replace(fold, source=source) for fold in self.folds.each)

    @cached_property
    def _hold_outs(self) -> dict[tuple[int, bool], HoldOut]:
        """Hold-outs that were made before: each measures the normalisation of its patches once."""
        return {}

    def held_out(self, fold: int, *, averaged: bool = False) -> HoldOut:
        """Make the hold-out of a fold, for short trainings.

        Args:
            fold: Number of the fold.
            averaged: Whether the trainings average their weights at the end, if the config asks for it.
        """
        if (fold, averaged) not in self._hold_outs:
            train = self.short_train if averaged else replace(self.short_train, average_last=0.0)
            machine = replace(self.config.machine, data_on_device=False)  # `_placed` has done it
            config, data = replace(self.config, train=train, machine=machine), self._placed[fold]
            rows = data.parts["train"], data.parts["validation"]
            self._hold_outs[fold, averaged] = HoldOut(data, (), config, SelectConfig(), self.fabric, *rows)
        return self._hold_outs[fold, averaged]

    def measured_by(self, search: FinishedSearch, fold: int, most: int) -> HoldOut:
        """Make the hold-out on which a supernet measures candidates.

        Args:
            search: Search that held out the fold.
            fold: Number of the fold.
            most: Largest number of held-out patches, drawn at random.
        """
        held_out = self.held_out(fold)
        rows = held_out.rows
        if len(rows) > most:
            rows = np.sort(drawing(self.config.seed, Stream.POOL, 1, fold).choice(rows, most, replace=False))
        return replace(held_out, searches=(search,), rows=rows)

    def search_data(self, fold: int) -> SearchData:
        """Make the data of a search that holds out a fold."""
        data = self._placed[fold]
        parts = cut_halves(data, self.config.search.halves, self.config.seed)
        return SearchData(data.source, parts, measure_normalization(data.source, data.parts["train"]))

    def sizes(self) -> Sizes:
        """Count what the time depends on."""
        search, train, parts = self.config.search, self.config.train, self.folds.whole.parts
        folds = [fold.parts for fold in self.folds.each]
        strategy = STRATEGIES[search.strategy]
        whole = max(len(fold["train"]) for fold in folds)
        batches = max(1, whole // 2 // search.batch_size)
        return Sizes(
            folds=len(folds),
            search_steps=batches,
            fold_steps=-(-whole // train.batch_size),
            fold_rows=max(len(fold["validation"]) for fold in folds),
            steps=-(-len(parts["train"]) // train.batch_size),
            rows=len(parts["train"]),
            test_rows=len(parts["test"]),
            warmup=search.warmup,
            measured=search.batch_size * strategy.measured_batches(search.candidates, batches),
            mixed_steps=FORWARD_OF_STEP * mixture_passes(search, self.config.space) * batches,
            teachers=len(train.teachers),
        )
