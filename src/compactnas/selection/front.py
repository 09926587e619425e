"""Find the front of accuracy against cost: the best network of a few searches within each of several budgets.

No budget needs a search of its own. Each finished search is derived within each budget
(`compactnas.search.derivation`), and sampled networks join in. The network with the best accuracy on the supernets
represents the budget. Networks can be retrained, each in its own run folder.
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
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.runs.folder import run_writer, start
from compactnas.selection.choice import AGAIN, require_same_choice
from compactnas.selection.config import FrontConfig, SelectConfig
from compactnas.selection.holdout import HoldOut
from compactnas.selection.pareto_front import decides, pareto_front
from compactnas.selection.rankings import supernet_accuracy
from compactnas.selection.searches import FinishedSearch, read_searches
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener, Silent


@dataclass(frozen=True)
class Point:
    """A budget and its best network.

    Attributes:
        most: Budget in MACs.
        genotype: Genotype of the network.
        macs: MACs of the network.
        parameters: Number of trained weights of the network.
        supernet: Accuracy on the held-out patches with the supernets' weights.
        tried: Number of networks within the budget that were compared.
    """

    most: float
    genotype: Genotype
    macs: int
    parameters: int
    supernet: float
    tried: int

    @property
    def name(self) -> str:
        """Name of the network's folder."""
        return f"{self.most / 1e6:g}M"

    def row(self) -> Row:
        """Point as JSON values."""
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
    """Find a network for each budget. Writes `pareto/front.json`, and a folder for each network in `networks`.

    Args:
        config: Config of the data, the trainings and the machine.
        choice: Options of the front.
        folders: Folders of the searches.
        folder: Folder of the front.
        resume: Continue an interrupted front in this folder.
        listener: Receives the progress.
        data: Data of the config, if it is already open.

    Returns:
        A row for each budget, smallest first. `front` is true if no other network is as accurate and cheaper.

    Raises:
        UserError: A folder holds no finished search, the searches or the data do not match, no patches are held out,
            or no network is small enough for a budget.
    """
    listener = listener or Silent()
    searches = read_searches(folders)
    data = data or open_dataset(config.data)
    select = SelectConfig(by=("supernet",), holdout=choice.holdout, holdout_fraction=choice.holdout_fraction)
    held_out = HoldOut.of(data, searches, config, select)
    candidates = {most: _within(searches, held_out.macs(most), choice.samples, config.seed) for most in choice.budgets}
    with run_writer(folder):
        for text in (*start(folder, config, data, resume=resume, stage="pareto"), *data.warnings):
            listener.warn(text)
        require_same_choice(folder / "pareto" / "pareto.json", choice, folders, free="retrain")
        points = list(_points(held_out, candidates, folder / "pareto" / "judged.json", listener))
        rows = [point.row() for point in points]
        for point in points:
            write_bytes(folder / "networks" / point.name / "genotype.json", point.genotype.to_json().encode())
        front = marked(rows, "supernet_oa")
        write_json(folder / "pareto" / "front.json", front)
        if not choice.retrain:
            return front
        for point, row in zip(points, rows, strict=True):
            own = folder / "networks" / point.name
            if not (own / "evaluation.json").exists():
                train_stage(config, own, str(own / "genotype.json"), resume=True, listener=listener, data=data)
                evaluate_stage(own, data=data)
            row |= _trained(own)
        front = marked(rows, decides(list(rows[0])))
        write_json(folder / "pareto" / "front.json", front)
        return front


def _trained(folder: Path) -> Row:
    """Read the accuracy of a retrained network on the validation part, which decides the front, and the test part."""
    again = "remove its folder to train it again"
    try:
        validation = read_rows(folder / "train" / "metrics.jsonl", again)[-1].get("validation_oa")
        found = {} if validation is None else {"validation_oa": validation}
        return found | {"test_oa": read_json(folder / "evaluation.json", again)["measures"]["oa"]}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder}: not a trained network ({error}); {again}") from None


def marked(rows: Sequence[Row], by: str) -> list[Row]:
    """Mark each row that is on the front (`front`).

    Args:
        rows: Rows with `macs` and the accuracy.
        by: Key of the accuracy.
    """
    front = set(pareto_front([(float(row["macs"]), float(row[by])) for row in rows]))
    return [dict(row) | {"front": number in front} for number, row in enumerate(rows)]


def _within(searches: Sequence[FinishedSearch], budget: Budget, samples: int, seed: int) -> list[Genotype]:
    """Derive a network within a budget from each search, and sample others; each network once."""
    generator = torch.Generator().manual_seed(
        int(np.random.SeedSequence((seed, int(budget.most))).generate_state(1)[0])
    )
    found = [search.derive([budget]) for search in searches]
    found += [search.sample(generator, [budget]) for search in searches for _ in range(samples)]
    return list(dict.fromkeys(found))


def _points(
    held_out: HoldOut, candidates: dict[float, list[Genotype]], file: Path, listener: Listener
) -> Iterator[Point]:
    """Yield the best network of each budget. A file keeps the measured accuracies."""
    known: dict[str, float] = read_json(file, AGAIN) if file.exists() else {}
    listener.start("measuring on held-out patches", 1, sum(map(len, candidates.values())), 0)
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
