"""Train the winner on all patches but the test part, and measure it on the test part, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from compactnas.config import RunConfig
from compactnas.evaluation.evaluation import Evaluation
from compactnas.finding.plan import Plan
from compactnas.finding.rungs import place_of, scores_of
from compactnas.finding.setting import Setting
from compactnas.io.jsonl import Row
from compactnas.nn.registry import FILE as MODEL
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener


def ranked_finalists(rows: Sequence[Row]) -> list[int]:
    """List the candidates of the last rung, best first; the first one is the winner."""
    scores = scores_of(rows, max(int(row["rung"]) for row in rows))
    return sorted(scores, key=lambda number: (-scores[number], number))


def averaged_share(rows: Sequence[Row], winner: int) -> float:
    """Share of the epochs to average: the median of the starts that the held-out folds chose for the winner."""
    last = max(int(row["rung"]) for row in rows)
    own = [row for row in rows if row["rung"] == last and row["candidate"] == winner and "averaged_from" in row]
    return round(median(1 - (row["averaged_from"] - 1) / row["epochs"] for row in own), 6) if own else 0.0


def teachers_of(plan: Plan, finalists: Sequence[int], folder: Path) -> tuple[str, ...]:
    """List the networks of the last rung that teach: the best candidates, each without another fold."""
    pairs = [
        (number, (place + turn) % plan.folds) for turn in range(plan.folds) for place, number in enumerate(finalists)
    ]
    return tuple(str(place_of(folder, number, fold).absolute()) for number, fold in pairs[: plan.teachers])


def final_config(setting: Setting, plan: Plan, rows: Sequence[Row], folder: Path) -> RunConfig:
    """Make the config of the winner's training.

    Args:
        setting: Config of the find.
        plan: Epochs and number of teachers.
        rows: Rows of all rungs.
        folder: Folder of the short trainings.
    """
    finalists = ranked_finalists(rows)
    train = replace(
        setting.config.train,
        epochs=plan.epochs,
        max_steps=0,
        validate_every=0,
        average_last=averaged_share(rows, finalists[0]),
    )
    if plan.teachers and not train.teachers:
        train = replace(train, teachers=teachers_of(plan, finalists, folder))
    return replace(setting.config, train=train)


def train_winner(setting: Setting, config: RunConfig, winner: Genotype, folder: Path, listener: Listener) -> Evaluation:
    """Train the winner in the folder of the find, and measure it on the test part."""
    data = setting.folds.whole
    if not (folder / MODEL).exists():  # the last file of a training
        train_stage(config, folder, winner, resume=True, listener=listener, data=data)
    return evaluate_stage(folder, data=data, machine=config.machine)
