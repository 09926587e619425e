"""Read the folders of a study's jobs into the view that its report shows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from compactnas.data.npy import lengths
from compactnas.data.part_checks import MAY_MEMORISE
from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.io.jsonl import read_rows
from compactnas.reporting.run.reading import AGAIN, RunFolder, read_run
from compactnas.reporting.study.view import (
    JobView,
    Kind,
    Method,
    Place,
    SearchView,
    Spent,
    SplitView,
    StudyView,
    TrainingView,
)
from compactnas.space.genotype import Genotype
from compactnas.studies.config import RANDOM, StudyConfig
from compactnas.studies.jobs import StudyJob, expand
from compactnas.studies.running import chosen

APART = ("d1", "group", "fold", "block")
MIXED = ("d2", "random")


def study_view(study: StudyConfig, root: str | Path, title: str = "") -> StudyView:
    """Read everything that the report shows of a study, as far as it is done.

    Raises:
        UserError: A file of a finished job is damaged.
    """
    jobs, root = expand(study), Path(root)
    runs = {job: read_run(job.folder(root)) for job in jobs if job.done(root)}
    searches = [view for job, run in runs.items() if job.kind != "train" for view in _searches(job, run)]
    return StudyView(
        title=title,
        data=Path(study.data.path).name,
        search_split="each fold" if study.folds else study.search_split,
        splits=tuple(_split(study, split, runs) for split in study.tested),
        grounds=tuple(study.grounds.items()),
        methods=_methods(study, jobs),
        searches=tuple(_with_selection(searches, runs, jobs, root)),
        search_clocks={
            job.method: spent
            for job, run in runs.items()
            if job.kind == "random_search" and (spent := _spent(run, "search")) is not None
        },
        trainings=tuple(view for job, run in runs.items() if (view := _training(job, run)) is not None),
        jobs=tuple(JobView(job.name, job.key, job.method, job.kind != "train", job in runs) for job in jobs),
        retrainings=study.retrainings,
        selection=study.selection,
        sizes=next(((s.bands, s.classes, s.patch_px) for run in runs.values() if (s := run.spec)), None),
        warnings=_warnings(runs, study.search_split),
        config=yaml.safe_dump(json.loads(json.dumps(asdict(study))), sort_keys=False),
        environment=_environment(list(runs.values())),
    )


def _methods(study: StudyConfig, jobs: list[StudyJob]) -> tuple[Method, ...]:
    """List the methods in the paper's order, and unknown ones last."""
    known: dict[str, Kind] = {
        **dict.fromkeys(study.baselines, "baseline"),
        **dict.fromkeys(study.networks, "given"),
        **dict.fromkeys(study.methods, "searched"),
        RANDOM: "random",
        **dict.fromkeys(study.random_searches, "random"),
    }
    named = list(dict.fromkeys(job.method for job in jobs))
    ordered = [key for key in known if key in named] + [key for key in named if key not in known]
    return tuple(Method(key, known.get(key, "random")) for key in ordered)


def _searches(job: StudyJob, run: RunFolder) -> list[SearchView]:
    """Read a search as one view, or a random search as a view for each candidate. No search is marked as selected."""
    if job.kind == "random_search":
        return _candidates(job, run)
    if run.genotype is None:
        raise UserError(f"{run.path}: a finished search without genotype.json; {AGAIN}")
    last = run.search[-1] if run.search else {}
    macs, accuracy = last.get("derived_macs"), last.get("accuracy_alpha")
    return [
        SearchView(
            method=job.method,
            split=job.split,
            seed=job.config.seed,
            genotype=run.genotype,
            accuracy=float(accuracy) if isinstance(accuracy, int | float) else math.nan,
            selected=False,
            rows=tuple(run.search),
            macs=macs if isinstance(macs, int) else None,
            spent=_spent(run, "search"),
        )
    ]


def _candidates(job: StudyJob, run: RunFolder) -> list[SearchView]:
    """Read the candidates of a random search, and mark the selected one."""
    file = run.path / "search" / "candidates.jsonl"
    rows = read_rows(file, AGAIN)
    try:
        found = [
            SearchView(
                method=job.method,
                split=job.split,
                seed=int(row["candidate"]),
                genotype=Genotype.from_values(row["genotype"], str(file)),
                accuracy=float(row["accuracy"]),
                selected=False,
                rows=(),
                macs=int(row["macs"]),
                spent=None,
            )
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f"{file}: not the candidates of a random search ({error}); {AGAIN}") from None
    taken = next((place for place, one in enumerate(found) if one.genotype == run.genotype), None)
    return [replace(one, selected=place == taken) for place, one in enumerate(found)]


def _with_selection(
    views: list[SearchView], runs: dict[StudyJob, RunFolder], jobs: list[StudyJob], root: Path
) -> list[SearchView]:
    """Mark the searches whose networks are trained: for each training, the best of its finished searches."""
    trainings = [job for job in jobs if job.kind == "train"]
    needed = {tuple(need for need in job.needs if need.kind == "search" and need in runs) for job in trainings}
    taken = {chosen(done, root) for done in needed if done}
    trained = {(job.method, job.split, job.config.seed) for job in runs if job.folder(root) in taken}
    return [replace(one, selected=True) if (one.method, one.split, one.seed) in trained else one for one in views]


def _training(job: StudyJob, run: RunFolder) -> TrainingView | None:
    if job.kind != "train" or run.evaluation is None:
        return None
    return TrainingView(job.method, job.split, job.config.seed, run.evaluation, run.genotype, _spent(run, "train"))


def _split(study: StudyConfig, split: str, runs: dict[StudyJob, RunFolder]) -> SplitView:
    """Describe a split from the first finished job that records it."""
    rule = study.data_of(split).split
    here = [run for job, run in runs.items() if job.split == split]
    shared = any(MAY_MEMORISE in text for run in here for text in run.warnings)
    said = study.places_of(split)
    place: Place = "mixed" if rule in MIXED or shared else said or ("apart" if rule in APART else "unknown")
    parts = next(filter(None, (_parts(run.path / "splits.npz") for run in here)), {})
    measured = ({run.evaluation.part: run.evaluation.n} for run in here if run.evaluation is not None)
    bands = next(filter(None, (_bands(run.path / "normalisation.json") for run in here)), ())
    pixel_m = next((run.task.pixel_m for run in here if run.task and run.task.pixel_m), None)
    majority = next((run.evaluation.majority for run in here if run.evaluation and run.evaluation.n), None)
    return SplitView(split, rule, place, parts or next(measured, {}), bands, pixel_m, majority)


def _bands(file: Path) -> tuple[str, ...]:
    """Read the names of the bands; empty if only the small files of a job were kept."""
    return tuple(read_json(file, AGAIN)) if file.exists() else ()


def _parts(file: Path) -> dict[str, int]:
    """Count the patches of each part that has any."""
    if not file.exists():
        return {}
    try:
        return {name: patches for name, patches in lengths(file).items() if patches}
    except ValueError as error:
        raise UserError(f"{file}: not the parts of a split ({error}); {AGAIN}") from None


def _spent(run: RunFolder, stage: str) -> Spent | None:
    """Read the time of a stage; None if it was not kept."""
    file = run.path / stage / "seconds.json"
    seconds = read_json(file, AGAIN) if file.exists() else None
    if not isinstance(seconds, int | float):
        return None
    machine = run.config.get("machine")
    machine = machine if isinstance(machine, dict) else {}
    gpu = run.environment.get("gpu") if machine.get("device") in ("auto", "cuda") else None
    threads = machine.get("threads") or run.environment.get("threads")
    return Spent(float(seconds), threads if isinstance(threads, int) else 1, str(gpu or ""))


def _warnings(runs: dict[StudyJob, RunFolder], search_split: str) -> tuple[str, ...]:
    """List each warning once, with its splits."""
    splits: dict[str, dict[str, None]] = {}
    for job, run in runs.items():
        for text in run.warnings:
            splits.setdefault(text, {})[job.split or search_split] = None
    return tuple(f"{', '.join(where)}: {text}" for text, where in splits.items())


def _environment(runs: list[RunFolder]) -> tuple[tuple[str, str], ...]:
    """List the environment, with several values if jobs ran in several environments."""
    values: dict[str, dict[str, Any]] = {}
    for run in runs:
        for name, value in run.environment.items():
            if value is not None:
                values.setdefault(str(name), {})[str(value)] = None
    return tuple((name, " / ".join(found)) for name, found in values.items())
