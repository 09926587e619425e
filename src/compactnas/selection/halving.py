"""Short trainings by successive halving (Jamieson and Talwalkar 2016): one in `eta` continues to the next rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compactnas.errors import UserError
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.runs.checkpoints import PATTERN, CheckpointPolicy
from compactnas.selection.holdout import HoldOut
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener
from compactnas.training.trainer import Training

AGAIN = "remove the folder and select again"


def rungs_of(epochs: int, eta: int, rungs: int) -> list[int]:
    """List the epoch at which each rung ends, counted from the start of a training."""
    return [epochs * eta**rung for rung in range(rungs)]


def goes_on(scores: dict[int, float], eta: int) -> list[int]:
    """Select the candidates that continue: the best one in `eta`, at least one; of equal ones the first."""
    best = sorted(scores, key=lambda number: (-scores[number], number))
    return sorted(best[: max(1, len(best) // eta)])


def halve(genotypes: Sequence[Genotype], held_out: HoldOut, folder: Path, listener: Listener) -> list[float]:
    """Train candidates and drop the worst until the last rung is done. An interrupted call can be repeated.

    Each training continues from the previous rung, on the cosine schedule of the longer training. Each rung thus ends
    at the lowest learning rate and compares networks that have settled.

    Args:
        genotypes: Genotypes of the candidates.
        held_out: Patches for training and measuring the candidates.
        folder: Folder of the trainings, and of `halving.jsonl` with a row for each training of a rung.
        listener: Receives the progress.

    Returns:
        Score of each candidate: the epochs of its last rung plus its accuracy on the hold-out after them, so that a
        candidate that trained longer is better.
    """
    choice, file = held_out.choice, folder / "halving.jsonl"
    done = {(int(row["candidate"]), int(row["epochs"])): row for row in _read(file)}
    alive, scores = list(range(len(genotypes))), dict[int, float]()
    for rung, epochs in enumerate(rungs_of(choice.epochs, choice.eta, choice.rungs)):
        for number in alive:
            if (number, epochs) not in done:
                accuracy = _train(genotypes[number], number, epochs, held_out, folder, listener)
                done[number, epochs] = {"candidate": number, "rung": rung, "epochs": epochs, "accuracy": accuracy}
                write_rows(file, list(done.values()))
            scores[number] = epochs + float(done[number, epochs]["accuracy"])
        left = goes_on({number: scores[number] for number in alive}, choice.eta)
        if rung + 1 == choice.rungs or len(alive) == 1:
            left = []
        for number in set(alive) - set(left):
            for checkpoint in (_own(folder, number) / "train").glob(PATTERN):
                checkpoint.unlink(missing_ok=True)
        if not left:
            break
        alive = left
    return [scores[number] for number in range(len(genotypes))]


def _train(genotype: Genotype, number: int, epochs: int, held_out: HoldOut, folder: Path, listener: Listener) -> float:
    """Train a candidate up to a number of epochs, and return its accuracy on the hold-out."""
    name = f"candidate {number}, to epoch {epochs}"
    _, rows = train_short(genotype, epochs, held_out, _own(folder, number), listener, name)
    return float(rows[-1]["validation_oa"])


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
