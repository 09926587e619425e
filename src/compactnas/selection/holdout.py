"""Data for ranking candidates: held-out patches, training patches, and the searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
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


@dataclass(frozen=True)
class HoldOut:
    """Patches on which rankings measure, without the test part.

    Attributes:
        data: Opened data set.
        searches: Searches that the candidates come from.
        config: Options of the trainings, of the candidates' budgets, and of the machine.
        choice: Options of the selection.
        fabric: Fabric that sets up the device.
        train: Rows to train on.
        rows: Held-out rows, which rankings measure on.
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
        """Cut the hold-out, and check that the data is that of the searches.

        Errors:
            UserError: the data has other bands or classes, tests on what it would be chosen by, or holds nothing out.
        """
        facts, machine = data.source.facts, config.machine
        if machine.devices * machine.nodes > 1:
            raise UserError("machine.devices: a selection computes on one device; leave devices and nodes at 1")
        task = Task(facts.bands, facts.classes, facts.patch_px, facts.lcz)
        parts = data.parts
        for search in searches:
            if Task.read(search.folder) != task:
                raise UserError(f"{search.folder}: was searched for other bands or classes than {facts.name} has")
            if np.isin(search.weights_rows, parts["test"]).any() or search.weights_rows.max() >= len(facts.labels):
                raise UserError(
                    f"{search.folder}: its weights have seen patches of this test part; give the data of the search"
                )
        if choice.holdout == "random":
            rng = drawing(config.seed, Stream.HOLDOUT)
            holdout, train = (np.sort(rows) for rows in cut(parts["train"], choice.holdout_fraction, None, rng))
        else:
            holdout, train = parts["validation"], parts["train"]
            if not len(holdout):
                raise UserError(
                    f"{facts.name}: the validation part is empty; give data.validation_fraction, or --holdout random"
                )
        return cls(data, tuple(searches), config, choice, make_fabric(machine), train, holdout)

    @cached_property
    def source(self) -> Source:
        """The patches, on the device if the config wants them there."""
        source = self.data.source
        return on_device(source, self.fabric.device) if self.config.machine.data_on_device else source

    @property
    def memory(self) -> torch.memory_format:
        """Of activations."""
        return torch.channels_last if self.config.machine.channels_last else torch.contiguous_format

    @cached_property
    def normalisation(self) -> Normalization:
        """Of the whole training part, as trainings have it."""
        return measure_normalization(self.data.source, self.data.parts["train"])

    @cached_property
    def supernets(self) -> tuple[SuperNet, ...]:
        """Of the searches, with their weights, on the CPU."""
        return tuple(search.supernet() for search in self.searches)

    @cached_property
    def teacher_probabilities(self) -> Float[Tensor, "rows classes"] | None:
        """Answers of the teachers, if the training has any."""
        return predict_by_teachers(self.config.train, self.data, self.fabric.device)

    def unseen(self, search: FinishedSearch) -> Indices:
        """The held-out rows that a search's weights were not trained on.

        Errors:
            UserError: The part has no patches.
        """
        rows = np.setdiff1d(self.rows, search.weights_rows)
        if not len(rows):
            raise UserError(
                f"{search.folder}: its weights have seen all held-out patches; leave `supernet` out of --by"
            )
        return rows

    def network(self, genotype: Genotype, seed: int, *, normalised: bool = True) -> Network:
        """The untrained network of a genotype, its input's normalisation set, on the CPU."""
        facts = self.source.facts
        torch.manual_seed(seed)
        network = build(ModelSpec(SEARCHED, len(facts.bands), len(facts.classes), facts.patch_px, genotype))
        assert isinstance(network, Network)
        if normalised:
            normalise_of(network).set(self.normalisation.mean, self.normalisation.std)
        return network

    @property
    def _sizes(self) -> tuple[Space, int, int, int, int]:
        """The space and all else that the costs of its networks depend on."""
        facts, depth = self.source.facts, max(max(search.built) for search in self.searches)
        return self.searches[0].space, depth, len(facts.bands), len(facts.classes), facts.patch_px

    @cached_property
    def _tables(self) -> tuple[CostTable, CostTable]:
        """MACs and weights of each choice of the space, so that a network's cost is a sum."""
        return CostTable.of(*self._sizes, "macs"), CostTable.of(*self._sizes, "parameters")

    def cost(self, genotype: Genotype) -> Cost:
        """Of the network of a genotype."""
        macs, parameters = (table.total(self.searches[0].space, genotype) for table in self._tables)
        return Cost(macs, parameters)

    def macs(self, most: float) -> Budget:
        """A limit of MACs."""
        return Budget("macs", most, self._tables[0])

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Limits of a candidate."""
        return budgets_of(self.config.search, *self._sizes)


def on_one_device(config: RunConfig) -> RunConfig:
    """The config of a search, for a selection: what it computes it computes on one device, and to the end."""
    return replace(
        config,
        machine=replace(config.machine, devices=1, nodes=1),
        train=replace(config.train, max_steps=0, validate_every=0),
    )
