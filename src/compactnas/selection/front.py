"""The front of accuracy against cost from a few searches: for each budget the best network that they give within it.

No budget has a search of its own: a search at its end is derived within each (`compactnas.search.derivation`),
with samples beside, and the supernet judges which of them stands for the budget. Networks may be retrained, each in a
run folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from compactnas.config import RunConfig
from compactnas.cost.constraints import Budget
from compactnas.data import Dataset, open_dataset
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.io.jsonl import Row, read_rows
from compactnas.pipeline import evaluate_stage, train_stage
from compactnas.runs.folder import sole_writer, start
from compactnas.selection.choice import AGAIN, require_same_choice
from compactnas.selection.config import FrontConfig, SelectConfig
from compactnas.selection.holdout import HoldOut
from compactnas.selection.rankings import supernet_accuracy
from compactnas.selection.searches import FinishedSearch, read_searches
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener, Silent


@dataclass(frozen=True)
class Point:
    """One budget and the network that stands for it.

    Attributes:
        most: MACs that it may have.
        genotype: the network.
        macs: that it has.
        parameters: Number of its trained weights.
        supernet: accuracy on the held-out patches with the searches' weights.
        tried: networks within the budget that the supernets judged.
    """

    most: float
    genotype: Genotype
    macs: int
    parameters: int
    supernet: float
    tried: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.most / 1e6:g}M"

    def row(self) -> Row:
        """As JSON values."""
        return {
            "name": self.name,
            "max_macs": self.most,
            "macs": self.macs,
            "parameters": self.parameters,
            "supernet_oa": round(self.supernet, 6),
            "tried": self.tried,
            "genotype": self.genotype.to_values(),
        }


def front_stage(
    config: RunConfig,
    choice: FrontConfig,
    folders: Sequence[Path],
    folder: Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> list[Row]:
    """Find a network for each budget; writes `pareto/front.json` and a folder of each network in `networks`.

    Args:
        config: the data, the trainings and the machine.
        choice: Options of the front.
        folders: Folders of the searches.
        folder: Folder of the front.
        resume: go on where a front in this folder stopped.
        listener: Receives the progress.
        data: the opened data of the config, if it is open already.

    Returns:
        A row for each budget, the smallest first; `front` says whether no other network is as good and costs less.

    Errors:
        UserError: a folder holds no finished search, the searches do not go together or with the data, nothing is held
            out, or a budget is less than the smallest network.
    """
    listener = listener or Silent()
    searches = read_searches(folders)
    data = data or open_dataset(config.data)
    select = SelectConfig(by=("supernet",), holdout=choice.holdout, holdout_fraction=choice.holdout_fraction)
    held_out = HoldOut.of(data, searches, config, select)
    candidates = {most: _within(searches, held_out.macs(most), choice.samples, config.seed) for most in choice.budgets}
    with sole_writer(folder):
        for text in (*start(folder, config, resume=resume, stage="pareto"), *data.warnings):
            listener.warn(text)
        require_same_choice(folder / "pareto" / "pareto.json", choice, folders, free="retrain")
        points = list(_points(held_out, candidates, folder / "pareto" / "judged.json", listener))
        rows = [point.row() for point in points]
        for point in points:
            write_bytes(folder / "networks" / point.name / "genotype.json", point.genotype.to_json().encode())
        write_json(folder / "pareto" / "front.json", marked(rows, "supernet_oa"))
    if not choice.retrain:
        return marked(rows, "supernet_oa")
    for point, row in zip(points, rows, strict=True):
        own = folder / "networks" / point.name
        if not (own / "evaluation.json").exists():
            train_stage(config, own, str(own / "genotype.json"), resume=True, listener=listener, data=data)
            evaluate_stage(own, data=data)
        row |= _trained(own)
    by = "validation_oa" if len(data.parts["validation"]) else "supernet_oa"
    write_json(folder / "pareto" / "front.json", marked(rows, by))
    return marked(rows, by)


def _trained(folder: Path) -> Row:
    """Accuracy of a retrained network: on the validation part, by which the front is drawn, and on the test part."""
    again = "remove its folder to train it again"
    try:
        last = read_rows(folder / "train" / "metrics.jsonl", again)[-1]
        found = {"validation_oa": last["validation_oa"]} if "validation_oa" in last else {}
        return found | {"test_oa": read_json(folder / "evaluation.json", again)["measures"]["oa"]}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder}: not a trained network ({error}); {again}") from None


def marked(rows: Sequence[Row], by: str) -> list[Row]:
    """Rows that say whether they stand on the front: no other is at least as good and costs less, or the same and is
    better."""

    def beaten(row: Row) -> bool:
        return any(
            other["macs"] <= row["macs"]
            and other[by] >= row[by]
            and (other["macs"], other[by]) != (row["macs"], row[by])
            for other in rows
        )

    return [dict(row) | {"front": not beaten(row)} for row in rows]


def _within(searches: Sequence[FinishedSearch], budget: Budget, samples: int, seed: int) -> list[Genotype]:
    """Derive networks within a budget from each search, with samples; every network once."""
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence((seed, int(budget.most))).generate_state(1)[0])
    )
    found = [search.derive([budget]) for search in searches]
    found += [search.sample(generator, [budget]) for search in searches for _ in range(samples)]
    return list(dict.fromkeys(found))


def _points(
    held_out: HoldOut, candidates: dict[float, list[Genotype]], file: Path, listener: Listener
) -> Iterator[Point]:
    """The best network of each budget, or of a smaller one where that is better; what is judged is kept in a file."""
    known: dict[str, float] = read_json(file, AGAIN) if file.exists() else {}
    listener.start("judging on held-out patches", 1, sum(map(len, candidates.values())), 0)
    try:
        for most, genotypes in candidates.items():
            for genotype in genotypes:
                key = genotype.to_json()
                if key not in known:
                    known[key] = supernet_accuracy(genotype, held_out)
                    write_json(file, known)
                listener.step({"accuracy": known[key]})
            best = max(genotypes, key=lambda one: known[one.to_json()])
            cost = held_out.cost(best)
            yield Point(most, best, cost.macs, cost.parameters, known[best.to_json()], len(genotypes))
    finally:
        listener.end()
