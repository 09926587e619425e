"""Data for ranking candidates: held-out patches, training patches, and the searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.config import RunConfig
from compactnas.cost.constraints import Budget, budgets_of
from compactnas.cost.counter import Cost
from compactnas.cost.table import CostTable
from compactnas.data import Dataset, Indices, Normalization, Source, measure_normalization
from compactnas.data.batches import drawing
from compactnas.data.device_cache import on_device
from compactnas.data.splits import cut
from compactnas.data.streams import Stream
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.nn.supernet import SuperNet
from compactnas.runs.task import Task
from compactnas.selection.config import SelectConfig
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.distillation import predict_by_teachers
from compactnas.training.runtime import make_fabric

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class HoldOut:
    """Held-out patches for rankings, and the data and searches that rankings use. The test part is never used.

    Attributes:
        data: Opened data set.
        searches: Searches that the candidates come from.
        config: Config with the options of the trainings, the budgets of candidates, and the machine.
        choice: Options of the selection.
        fabric: Fabric that sets up the device.
        train: Rows to train on.
        rows: Held-out rows to measure on.
    """

    data: Dataset
    searches: tuple[FinishedSearch, ...]
    config: RunConfig
    choice: SelectConfig
    fabric: Fabric
    train: Indices
    rows: Indices

    @classmethod
    def of(cls, data: Dataset, searches: Sequence[FinishedSearch], config: RunConfig, choice: SelectConfig) -> HoldOut:
        """Choose the held-out rows, and check that the data matches the searches.

        Raises:
            UserError: The data has other bands or classes, a search was trained on patches of its test part, or no
                patches are held out.
        """
        facts, machine = data.source.facts, config.machine
        if machine.world_size > 1:
            raise UserError(
                "machine.devices: a selection runs on one device; leave machine.devices and machine.nodes at 1"
            )
        if config.train.start_from:
            raise UserError(
                "train.start_from: the candidates are different networks, so none can start from the weights of "
                "another; leave it out"
            )
        task = Task.of(facts)
        parts = data.parts
        for search in searches:
            if Task.read(search.folder) != task:
                raise UserError(
                    f"{search.folder}: was searched for other bands or classes than {facts.name} has; give the data of "
                    "the search"
                )
            if np.isin(search.weights_rows, parts["test"]).any() or search.weights_rows.max() >= len(facts.labels):
                raise UserError(
                    f"{search.folder}: its weights were trained on patches of this test part; give the data of the "
                    "search"
                )
        if choice.holdout == "random":
            rng = drawing(config.seed, Stream.HOLDOUT)
            holdout, train = (np.sort(rows) for rows in cut(parts["train"], choice.holdout_fraction, rng))
        else:
            holdout, train = parts["validation"], parts["train"]
            if not len(holdout):
                raise UserError(
                    f"{facts.name}: the validation part is empty; give data.validation_fraction, or --holdout random"
                )
        return cls(data, tuple(searches), config, choice, make_fabric(machine), train, holdout)

    @cached_property
    def source(self) -> Source:
        """Patches, on the device if `machine.data_on_device` is on."""
        source = self.data.source
        return on_device(source, self.fabric.device) if self.config.machine.data_on_device else source

    @property
    def memory(self) -> torch.memory_format:
        """Memory format of activations."""
        return torch.channels_last if self.config.machine.channels_last else torch.contiguous_format

    @cached_property
    def normalisation(self) -> Normalization:
        """Normalisation by the whole training part, as in trainings."""
        return measure_normalization(self.data.source, self.data.parts["train"])

    @cached_property
    def supernets(self) -> tuple[SuperNet, ...]:
        """Supernets of the searches, with their weights, on the CPU."""
        return tuple(search.supernet() for search in self.searches)

    @cached_property
    def teacher_probabilities(self) -> Float[Tensor, "rows classes"] | None:
        """Probabilities that the teachers predict; None without teachers."""
        recipe = self.config.train
        return predict_by_teachers(
            recipe.teachers, self.data, self.fabric.device, temperature=recipe.teacher_temperature
        )

    def unseen(self, search: FinishedSearch) -> Indices:
        """Find the held-out rows that a search's weights were not trained on.

        Raises:
            UserError: There are no such rows.
        """
        rows = np.setdiff1d(self.rows, search.weights_rows)
        if not len(rows):
            raise UserError(
                f"{search.folder}: its weights were trained on all held-out patches; leave `supernet` out of --by"
            )
        return rows

    def network(self, genotype: Genotype, seed: int, *, normalised: bool = True) -> Network:
        """Build the untrained network of a genotype on the CPU, with the normalisation of its input."""
        facts = self.source.facts
        torch.manual_seed(seed)
        network = build(ModelSpec(SEARCHED, len(facts.bands), len(facts.classes), facts.patch_px, genotype))
        assert isinstance(network, Network)
        if normalised:
            normalise_of(network).set(self.normalisation.mean, self.normalisation.std)
        return network

    @property
    def _sizes(self) -> tuple[Space, int, int, int, int]:
        """Space, largest depth, bands, classes and patch size, which determine the costs of networks."""
        facts, depth = self.source.facts, max(max(search.built) for search in self.searches)
        return self.searches[0].space, depth, len(facts.bands), len(facts.classes), facts.patch_px

    @cached_property
    def _tables(self) -> tuple[CostTable, CostTable]:
        """MACs and parameters of each choice of the space: the cost of a network is a sum over its choices."""
        return CostTable.of(*self._sizes, "macs"), CostTable.of(*self._sizes, "parameters")

    def cost(self, genotype: Genotype) -> Cost:
        """Compute the cost of a genotype's network."""
        macs, parameters = (table.total(self.searches[0].space, genotype) for table in self._tables)
        return Cost(macs, parameters)

    def macs(self, most: float) -> Budget:
        """Make a budget of MACs."""
        return Budget("macs", most, self._tables[0])

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of a candidate."""
        return budgets_of(self.config.search, *self._sizes)


def on_one_device(config: RunConfig) -> RunConfig:
    """Adapt the config of a search to a selection: one device, no step limit, and evaluation only at the end."""
    return replace(
        config,
        machine=replace(config.machine, devices=1, nodes=1),
        train=replace(config.train, max_steps=0, validate_every=0),
    )
