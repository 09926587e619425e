"""Read the folder of a finished search: its config, the networks that it found, and its supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from compactnas.config import RunConfig
from compactnas.cost.constraints import Budget
from compactnas.data import Indices
from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.io.jsonl import Row, read_rows
from compactnas.nn.supernet import SuperNet
from compactnas.runs.checkpoints import Checkpoints
from compactnas.runs.folder import first_difference, read_config, read_split
from compactnas.runs.task import Task
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.genotype import FORMAT, Genotype
from compactnas.space.search_space import Space

AGAIN = "name the folder of a finished `compactnas search`"


class _Beliefs(NamedTuple):
    """Logits at the end of a search.

    Attributes:
        operations: Logits of the operations of each edge: logarithms of probabilities, or scores.
        sizes: Logits of the depths of each block, and of its widths if they are searched for.
        scored: Whether the operations have scores, which compare edges too.
    """

    operations: torch.Tensor
    sizes: tuple[torch.Tensor, ...]
    scored: bool

    def noisy(self, generator: torch.Generator) -> _Beliefs:
        """Add Gumbel noise to all logits."""
        operations, *sizes = (_noisy(logits, generator) for logits in (self.operations, *self.sizes))
        return _Beliefs(operations, tuple(sizes), self.scored)


@dataclass(frozen=True)
class FinishedSearch:
    """A search that has ended.

    Attributes:
        folder: Folder of the run.
        config: Config of the run.
        found: Genotype that it ended with.
    """

    folder: Path
    config: RunConfig
    found: Genotype

    @classmethod
    def read(cls, folder: Path) -> FinishedSearch:
        """Read the folder of a search.

        Raises:
            UserError: The folder holds no search, or one that has not ended.
        """
        if not (folder / "search").is_dir():
            raise UserError(f"{folder}: holds no search; {AGAIN}")
        if not (folder / "genotype.json").exists():
            raise UserError(f"{folder}: its search has not ended; continue it with `compactnas search --resume`")
        search = cls(folder, read_config(folder), Genotype.load(folder))
        search.require_own(search.found, folder / "genotype.json")
        return search

    @property
    def space(self) -> Space:
        """Search space of the run."""
        return self.config.space

    @property
    def built(self) -> tuple[int, ...]:
        """Number of cells in each block of its supernet."""
        depth = self.space.max_depth if self.config.search.search_depth else self.config.search.initial_depth
        return (depth,) * self.space.blocks

    def require_own(self, genotype: Genotype, where: Path) -> None:
        """Check that a network belongs to the space and fits into the supernet."""
        space = self.space
        shape = (genotype.layout, genotype.channels, len(genotype.nodes), len(genotype.depths))
        names = {name for edges in genotype.nodes for name, _ in edges}
        own = (space.layout, space.channels, space.nodes_of(genotype.depths), space.blocks)
        other_channels = not space.widths and genotype.block_channels != space.block_channels
        if shape != own or other_channels or not names <= set(space.operations):
            raise UserError(f"{where}: the network is outside the search space; {AGAIN}")
        space.widths_of(genotype)
        if any(depth > most for depth, most in zip(genotype.depths, self.built, strict=True)):
            raise UserError(
                f"{where}: a block has {max(genotype.depths)} cells, but the supernet only {max(self.built)}; {AGAIN}"
            )

    def after_epochs(self) -> list[tuple[int, Genotype]]:
        """Read the genotypes derived after each epoch; empty for a strategy that does not train alpha."""
        file = self.folder / "search" / "metrics.jsonl"
        found = []
        for row in read_rows(file, AGAIN):
            if "genotype_nodes" in row:
                values = {"format": FORMAT, "layout": self.space.layout, "channels": self.space.channels}
                values |= {"depths": row.get("derived_depths"), "nodes": row["genotype_nodes"]}
                values |= {"widths": row.get("derived_widths")} if self.space.widths else {}
                if self.space.channels_by_block and not self.space.widths:
                    values["widths"] = list(self.space.channels_by_block)
                found.append((_whole(row, "epoch", file), self._own(values, file)))
        return found

    def measured(self) -> list[tuple[int, Genotype]]:
        """Read the candidates that `uniform` and `evolution` measured on their supernet, best first."""
        file = self.folder / "search" / "candidates.jsonl"
        if not file.exists():
            return []
        rows = read_rows(file, AGAIN)
        if not all(type(row.get("score")) in (int, float) for row in rows):
            raise UserError(f"{file}: not the candidates of a search, because a score is missing; {AGAIN}")
        best = sorted(rows, key=lambda row: -float(row["score"]))
        return [(_whole(row, "candidate", file), self._own(row.get("genotype"), file)) for row in best]

    @cached_property
    def _beliefs(self) -> _Beliefs:
        """Logits at the end of the search, from `alpha.json`."""
        file, space = self.folder / "search" / "alpha.json", self.space
        raw = read_json(file, AGAIN)
        depths = max(self.built)
        try:
            keys = ["probabilities", "depth_probabilities", *["width_probabilities"] * bool(space.widths)]
            tables = [torch.tensor(raw[key], dtype=torch.float32) for key in keys]
            shapes = [tuple(table.shape) for table in tables]
            own = [(len(space.edges), len(space.operations)), (space.blocks, depths), (space.blocks, len(space.widths))]
            if shapes != own[: len(keys)]:
                raise ValueError(f"tables of {' and '.join(map(str, shapes))}")
            if not all(bool(((table >= 0) & (table <= 1)).all()) for table in tables):
                raise ValueError("numbers outside 0 to 1")
            scores = torch.tensor(raw["scores"], dtype=torch.float32) if "scores" in raw else None
            if scores is not None and (scores.shape != tables[0].shape or not bool(scores.isfinite().all())):
                raise ValueError(f"scores of {tuple(scores.shape)}, or not finite")
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise UserError(f"{file}: not the probabilities of this search ({error}); {AGAIN}") from None
        logs = [table.clamp_min(1e-7).log() for table in tables]  # the file has six decimals
        return _Beliefs(logs[0] if scores is None else scores, tuple(logs[1:]), scores is not None)

    def sample(self, generator: torch.Generator, budgets: Sequence[Budget] = ()) -> Genotype:
        """Sample a network from the alpha at the end of the search, or from the scores that it derived its network by.

        Gumbel noise is added to the logits before the derivation. The operation of each edge and the depth and width of
        each block are thus drawn by their probabilities, and a node keeps the strongest edges after the noise.

        Args:
            generator: Random generator of the noise.
            budgets: Budgets of the network; the skip limit of the search holds too.
        """
        return self._derived(self._beliefs.noisy(generator), budgets)

    def derive(self, budgets: Sequence[Budget] = ()) -> Genotype:
        """Derive the most probable network within budgets, or the one with the best scores, as the search did."""
        return self._derived(self._beliefs, budgets)

    def _derived(self, beliefs: _Beliefs, budgets: Sequence[Budget]) -> Genotype:
        config, (depths, *widths) = self.config.search, beliefs.sizes
        architecture = Architecture(self.space, config.search_depth, config.initial_depth, 0.0, torch.Generator())
        with torch.no_grad():
            architecture.alpha.copy_(beliefs.operations)
            if config.search_depth:
                architecture.depth_logits.copy_(depths[:, self.space.min_depth - 1 :])
            if architecture.width_logits is not None:
                architecture.width_logits.copy_(widths[0])
        limit, scores = SkipLimit.of(config), beliefs.operations.double() if beliefs.scored else None
        if budgets or limit:
            return derive_within(architecture, budgets, limit, scores).genotype
        return derive(architecture, scores)

    @cached_property
    def weights_rows(self) -> Indices:
        """Rows of D_T, the half of the training part that trained its weights."""
        return read_split(self.folder / "search", "weights", AGAIN)

    def supernet(self) -> SuperNet:
        """Load its supernet with the weights of the last checkpoint.

        Raises:
            UserError: There is no checkpoint, or it belongs to another supernet.
        """
        task = Task.read(self.folder)
        state, _ = Checkpoints(self.folder / "search", 1).newest()
        if state is None:
            raise UserError(
                f"{self.folder / 'search'}: holds no checkpoint, which the ranking `supernet` needs; leave `supernet` "
                "out of --by"
            )
        network = SuperNet(
            self.space, self.built, len(task.bands), len(task.classes), self.config.search.normalized_operations
        )
        try:
            network.load_state_dict(state["state"]["supernet"])
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self.folder / 'search'}: its checkpoint is of another network ({reason}); leave `supernet` out of "
                "--by"
            ) from None
        return network

    def _own(self, values: Any, file: Path) -> Genotype:
        """Make a genotype from the values in a table, and check it."""
        genotype = Genotype.from_values(values, str(file))
        self.require_own(genotype, file)
        return genotype


def read_searches(folders: Sequence[Path]) -> list[FinishedSearch]:
    """Read several finished searches of the same space and task.

    Raises:
        UserError: A folder holds no finished search, two folders are the same, or two searches differ in space or task.
    """
    places = [folder.resolve() for folder in folders]
    for place, folder in zip(places, folders, strict=True):
        if places.count(place) > 1:
            raise UserError(f"{folder}: is named twice; name each search once")
    searches = [FinishedSearch.read(folder) for folder in folders]
    first = searches[0]
    for other in searches[1:]:
        key = first_difference(vars(first.space), vars(other.space))
        if key:
            raise UserError(
                f"{other.folder}: differs from {first.folder} in space.{key}; select among searches of one space"
            )
        if Task.read(other.folder) != Task.read(first.folder):
            raise UserError(
                f"{other.folder}: was searched for other bands or classes than {first.folder}; select among searches "
                "of the same bands and classes"
            )
    return searches


def _noisy(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return logits - torch.empty_like(logits).exponential_(generator=generator).log()


def _whole(row: Row, key: str, file: Path) -> int:
    if type(row.get(key)) is not int:
        raise UserError(f"{file}: `{key}` is missing in a row or not a whole number; {AGAIN}")
    return int(row[key])
