"""Rank the candidates by the supernets, each on the groups that it has not seen, and choose those that are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from compactnas.errors import UserError
from compactnas.finding.plan import Plan
from compactnas.finding.pool import AGAIN, RANDOM
from compactnas.finding.setting import Setting
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.selection.candidates import Candidate
from compactnas.selection.rankings import supernet_accuracy
from compactnas.selection.searches import FinishedSearch
from compactnas.training.runtime import Listener

SAVE_EVERY = 10
"""Number of measurements after which the table is written."""


def rank(
    setting: Setting,
    plan: Plan,
    searches: Sequence[FinishedSearch],
    candidates: Sequence[Candidate],
    file: Path,
    listener: Listener,
) -> list[float]:
    """Measure every candidate with every supernet on the fold that its search held out.

    Args:
        setting: Folds and device.
        plan: Numbers of patches.
        searches: Search number N held out fold N.
        candidates: Candidates.
        file: Table that keeps the accuracies.
        listener: Receives the progress.

    Returns:
        Mean accuracy of each candidate over the folds.
    """
    rows = read_rows(file, AGAIN) if file.exists() else []
    try:
        done = {(int(row["fold"]), int(row["candidate"])): float(row["accuracy"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not the ranking of a find ({error}); {AGAIN}") from None
    listener.start("ranking by the supernets", 1, len(searches) * len(candidates) - len(done), 0)
    try:
        for fold, search in enumerate(searches):
            held_out = setting.measured_by(search, fold, plan.ranked_rows)
            for number, candidate in enumerate(candidates):
                if (fold, number) in done:
                    continue
                accuracy = round(supernet_accuracy(candidate.genotype, held_out, plan.calibration), 6)
                rows.append({"fold": fold, "candidate": number, "accuracy": accuracy})
                if len(rows) % SAVE_EVERY == 0:
                    write_rows(file, rows)
                listener.step({"accuracy": accuracy})
    finally:
        listener.end()
    write_rows(file, rows)
    return scores_of(rows, len(candidates))


def scores_of(rows: Sequence[Row], candidates: int) -> list[float]:
    """Mean accuracy of each candidate over the folds."""
    found: list[list[float]] = [[] for _ in range(candidates)]
    for row in rows:
        found[int(row["candidate"])].append(float(row["accuracy"]))
    return [fmean(values) for values in found]


def entrants(plan: Plan, candidates: Sequence[Candidate], scores: Sequence[float]) -> dict[int, str]:
    """Choose the candidates of the first rung, each with the reason.

    The first random candidates are the controls, whatever their scores. The results of the searches enter too, and then
    the best by the supernets.

    Args:
        plan: Numbers of entrants and controls.
        candidates: Candidates.
        scores: Their scores; empty without searches, and then the entrants are random.

    Returns:
        Number of each entrant -> `control`, `end`, `ranked` or `random`.
    """
    chosen = dict.fromkeys([n for n, one in enumerate(candidates) if one.origin == RANDOM][: plan.controls], "control")
    for number, candidate in enumerate(candidates):
        if candidate.origin == "end" and len(chosen) < plan.entrants:
            chosen.setdefault(number, "end")
    order = sorted(range(len(candidates)), key=lambda number: (-scores[number] if scores else 0.0, number))
    for number in order:
        if len(chosen) < plan.entrants:
            chosen.setdefault(number, "ranked" if scores else RANDOM)
    return chosen
