"""Short trainings by successive halving (Jamieson and Talwalkar 2016): one in `eta` continues to the next rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from compactnas.config import RunConfig
from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.io.jsonl import Row, read_rows
from compactnas.runs.checkpoints import CheckpointPolicy, remove_checkpoints
from compactnas.runs.folder import run_writer
from compactnas.selection.config import SelectConfig
from compactnas.selection.holdout import HoldOut
from compactnas.selection.rung_table import Key, RungTable
from compactnas.selection.searches import read_searches
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener
from compactnas.training.side_by_side import Crew, Sharing
from compactnas.training.trainer import Training
from compactnas.training.workers import ENDS_WITHIN_S, Work

AGAIN = "remove the folder and select again"


def rungs_of(epochs: int, eta: int, rungs: int) -> list[int]:
    """List the epoch at which each rung ends, counted from the start of a training."""
    return [epochs * eta**rung for rung in range(rungs)]


def goes_on(scores: dict[int, float], eta: int) -> list[int]:
    """Select the candidates that continue: the best one in `eta`, at least one; of equal ones the first."""
    best = sorted(scores, key=lambda number: (-scores[number], number))
    return sorted(best[: max(1, len(best) // eta)])


def halve(
    genotypes: Sequence[Genotype], held_out: HoldOut, folder: Path, listener: Listener, sharing: Sharing
) -> list[float]:
    """Train candidates and drop the worst until the last rung is done. An interrupted call can be repeated.

    Each training continues from the previous rung, on the cosine schedule of the longer training. Each rung thus ends
    at the lowest learning rate and compares networks that have settled.

    Args:
        genotypes: Genotypes of the candidates.
        held_out: Patches for training and measuring the candidates.
        folder: Folder of the trainings, and of `halving.jsonl` with a row for each training of a rung.
        listener: Receives the progress.
        sharing: Number of trainings at a time, and their threads.

    Returns:
        Score of each candidate: the epochs of its last rung plus its accuracy on the hold-out after them, so that a
        candidate that trained longer is better.
    """
    choice, file = held_out.choice, folder / "halving.jsonl"
    table = RungTable(file, {(int(row["candidate"]), int(row["epochs"])): row for row in _read(file)})
    alive, scores = list(range(len(genotypes))), dict[int, float]()
    with _crew(held_out, folder, listener, sharing) as crew:
        for rung, epochs in enumerate(rungs_of(choice.epochs, choice.eta, choice.rungs)):
            tasks = [_Task(genotypes[number], number, rung, epochs) for number in alive]
            table.fill(crew, f"halving, to epoch {epochs}", tasks)
            for number in alive:
                scores[number] = epochs + float(table.rows[number, epochs]["accuracy"])
            left = goes_on({number: scores[number] for number in alive}, choice.eta)
            if rung + 1 == choice.rungs or len(alive) == 1:
                left = []
            for number in set(alive) - set(left):
                remove_checkpoints(_own(folder, number) / "train")
            if not left:
                break
            alive = left
    return [scores[number] for number in range(len(genotypes))]


@dataclass(frozen=True)
class _Task:
    """Training of a candidate to the end of a rung."""

    genotype: Genotype
    number: int
    rung: int
    epochs: int

    @property
    def name(self) -> str:
        return f"candidate {self.number}, to epoch {self.epochs}"

    @property
    def key(self) -> Key:
        return self.number, self.epochs

    def row(self, result: float) -> Row:
        return {"candidate": self.number, "rung": self.rung, "epochs": self.epochs, "accuracy": result}


def _crew(held_out: HoldOut, folder: Path, listener: Listener, sharing: Sharing) -> Crew:
    """Prepare to train candidates, in this process or in others that open the data and the searches again."""
    searches = [search.folder for search in held_out.searches]
    there = partial(_reopened, held_out.config, held_out.choice, searches, folder)
    return Crew(sharing, partial(_trainer, held_out, folder), there, listener)


def _reopened(config: RunConfig, choice: SelectConfig, searches: Sequence[Path], folder: Path) -> Work:
    return _trainer(HoldOut.of(open_dataset(config.data), read_searches(searches), config, choice), folder)


def _trainer(held_out: HoldOut, folder: Path) -> Work:
    """Make the function that trains a candidate to the end of a rung and returns its accuracy on the hold-out."""
    _ = held_out.teacher_probabilities  # now, so that the threads of a rung do not change them

    def train(task: _Task, listener: Listener) -> float:
        own = _own(folder, task.number)
        with run_writer(own, wait_s=ENDS_WITHIN_S):
            _, rows = train_short(task.genotype, task.epochs, held_out, own, listener, task.name)
        return float(rows[-1]["validation_oa"])

    return train


def train_short(
    genotype: Genotype, epochs: int, held_out: HoldOut, folder: Path, listener: Listener, name: str
) -> tuple[Training, list[Row]]:
    """Train a candidate up to a number of epochs, from the last checkpoint in a folder.

    Args:
        genotype: Genotype of the candidate.
        epochs: Number of epochs, counted from the start of its training.
        held_out: Patches for training and measuring it, and the config.
        folder: Folder of the training.
        listener: Receives the progress.
        name: Name for progress and messages.

    Returns:
        The finished training, and its metrics of each epoch.
    """
    config, seed = held_out.config, held_out.config.seed
    training = Training(
        held_out.network(genotype, seed),
        replace(config.train, epochs=epochs),
        held_out.source,
        held_out.train,
        held_out.rows,
        seed,
        held_out.fabric,
        channels_last=config.machine.channels_last,
        teacher_probabilities=held_out.teacher_probabilities,
    )
    policy = CheckpointPolicy(60 * config.machine.checkpoint_minutes, 1)
    return training, training.run(folder, listener, resume=True, name=name, policy=policy)


def _own(folder: Path, number: int) -> Path:
    return folder / "halving" / f"{number:03d}"


def _read(file: Path) -> list[Row]:
    rows = read_rows(file, AGAIN) if file.exists() else []
    try:
        for row in rows:
            _ = int(row["candidate"]), int(row["epochs"]), float(row["accuracy"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not the rungs of a selection ({error}); {AGAIN}") from None
    return rows
