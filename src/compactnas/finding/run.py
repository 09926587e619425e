"""Run a find: from a plan to a trained network and a report, in one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from compactnas.config import require_objective_options
from compactnas.errors import UserError
from compactnas.finding.config import FindConfig
from compactnas.finding.finals import final_config, ranked_finalists, train_winner
from compactnas.finding.plan import Plan
from compactnas.finding.planning import TimedPlan
from compactnas.finding.pool import make_pool
from compactnas.finding.ranking import entrants, rank
from compactnas.finding.report import report
from compactnas.finding.results import Found
from compactnas.finding.rungs import ensemble_rights, run_rungs
from compactnas.finding.searches import run_searches
from compactnas.finding.setting import Setting
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.runs.folder import first_difference, run_writer, start, write_splits
from compactnas.training.runtime import Listener, Silent

OWN = "find"
"""Folder, inside that of the find, of everything but the winner's training."""

PLAN = "plan.json"


def require_new(folder: Path, *, resume: bool) -> None:
    """Check that a folder is new, or holds a find to resume.

    Raises:
        UserError: It holds something else.
    """
    own = folder / OWN
    if own.exists() and not resume:
        raise UserError(f"{folder}: already has a find; continue it with --resume, or choose a new folder")
    if not own.exists() and any((folder / name).exists() for name in ("config.yaml", "search", "train")):
        raise UserError(f"{folder}: holds another run; choose a new folder")


def run_find(
    setting: Setting, timed: TimedPlan, folder: Path, *, resume: bool = False, listener: Listener | None = None
) -> Found:
    """Run all stages of a plan. A call that was interrupted can be repeated with `resume`.

    Args:
        setting: Data, config, options and device.
        timed: Plan; a folder that has one keeps it.
        folder: Folder of the find; afterwards it is also the run of the winner.
        resume: Continue an interrupted find in this folder.
        listener: Receives the progress.

    Raises:
        UserError: The folder holds something else, or a find with other options.
    """
    listener = listener or Silent()
    require_new(folder, resume=resume)
    own = folder / OWN
    if not own.exists():
        require_objective_options(setting.config.search)
    with run_writer(folder):
        for text in (
            *start(own, setting.config, setting.data, resume=resume, stage=PLAN),
            *setting.data.warnings,
            *setting.folds.notes,
        ):
            listener.warn(text)
        _require_same(own / "find.json", setting.choice)
        if (own / PLAN).exists():
            timed = TimedPlan.read(own / PLAN)
        timed.write(own / PLAN)
        parts = {f"fold{number}": fold.parts["validation"] for number, fold in enumerate(setting.folds.each)}
        write_splits(own, parts, "folds.npz")
        sharing = setting.sharing.kept(own / "threads.json")
        if sharing != setting.sharing:
            setting = replace(setting, sharing=sharing)
        found = _stages(setting, timed.plan, folder, listener)
        write_json(own / "result.json", found.to_json())
        write_bytes(own / "report.txt", "".join(f"{line}\n" for line in report(found)).encode())
    return found


def seconds_of(folder: Path) -> dict[str, float]:
    """Read the seconds that each stage took; an interruption is left out."""
    raw: dict[str, float] = read_json(folder / OWN / "seconds.json", "find again")
    return raw


def _stages(setting: Setting, plan: Plan, folder: Path, listener: Listener) -> Found:
    own = folder / OWN
    with _timed(own, "searches"):
        searches = run_searches(setting, plan, own / "searches", listener)
    with _timed(own, "candidates"):
        candidates = make_pool(setting, plan, searches, own / "candidates.jsonl")
    if len(candidates) < plan.candidates:
        listener.warn(f"{len(candidates)} candidates instead of {plan.candidates}: there are no more within the budget")
    with _timed(own, "ranking"):
        scores = rank(setting, plan, searches, candidates, own / "ranking.jsonl", listener) if searches else []
    entered = entrants(plan, candidates, scores)
    with _timed(own, "halving"):
        rows = run_rungs(setting, plan, candidates, entered, own / "halving", listener)
        finalists = ranked_finalists(rows)
        ensemble = ensemble_rights(setting, plan, finalists, own / "halving")
    with _timed(own, "training"):
        config = final_config(setting, plan, rows, own / "halving")
        evaluation = train_winner(setting, config, candidates[finalists[0]].genotype, folder, listener)
    return Found(plan, candidates, entered, scores, rows, ensemble, evaluation)


def _require_same(file: Path, choice: FindConfig) -> None:
    """Write the options, or check that they are those of the find that is resumed."""
    now = json.loads(json.dumps(asdict(choice)))
    if file.exists():
        key = first_difference(read_json(file, "choose a new folder"), now)
        if key:
            raise UserError(f"{file}: differs from the given options in {key}; resume with the same value")
    write_json(file, now)


@contextmanager
def _timed(own: Path, stage: str) -> Iterator[None]:
    """Add the seconds of a stage to a file of its own, so that all other files are the same in each repetition."""
    began, file = time.perf_counter(), own / "seconds.json"
    yield
    before = read_json(file, "remove it") if file.exists() else {}
    try:
        known = {str(name): float(seconds) for name, seconds in before.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not the seconds of a find ({error}); remove it") from None
    write_json(file, known | {stage: round(known.get(stage, 0.0) + time.perf_counter() - began, 3)})
