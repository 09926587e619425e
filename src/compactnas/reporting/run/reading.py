"""Read a run folder for the report. Missing files are left out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.evaluation.calibration import Reliability
from compactnas.evaluation.evaluation import Evaluation
from compactnas.evaluation.groups import GroupCounts
from compactnas.evaluation.metrics import Measures
from compactnas.io.atomic import read_json
from compactnas.io.jsonl import Row, read_valid_rows
from compactnas.io.untrusted import MOST_BYTES, MOST_YAML_BYTES, parse_yaml, read_text
from compactnas.nn.registry import ModelSpec
from compactnas.runs.data_summary import DataSummary
from compactnas.runs.task import Task
from compactnas.space.genotype import Genotype

AGAIN = "remove it, or write it again with compactnas"


@dataclass(frozen=True)
class Alpha:
    """Probabilities at the end of a search (`search/alpha.json`).

    Attributes:
        edges: Edges as (computed node, source state).
        operations: Names of the candidate operations.
        probabilities: Probabilities, (edge, operation).
        depths: Candidate depths of a block.
        depth_probabilities: Probabilities, (block, depth).
        widths: Candidate widths of each block in channels; empty if widths were not searched.
        width_probabilities: Probabilities, (block, width).
    """

    edges: list[list[int]]
    operations: list[str]
    probabilities: list[list[float]]
    depths: list[int]
    depth_probabilities: list[list[float]]
    widths: list[list[int]]
    width_probabilities: list[list[float]]


@dataclass(frozen=True)
class RunFolder:
    """Contents of a run folder; None or empty if a file is missing.

    Attributes:
        path: Path of the folder.
        config: Values of `config.yaml`.
        config_text: Text of `config.yaml`.
        environment: Values of `environment.json`.
        spec: Description of the trained network.
        genotype: Genotype of the network.
        search: Rows of `search/metrics.jsonl`.
        alpha: Probabilities of the architecture.
        train: Rows of `train/metrics.jsonl`.
        evaluation: Values of `evaluation.json`.
        task: Values of `task.json`.
        data: Values of `data_summary.json`.
        warnings: Warnings about the data and about damaged files.
    """

    path: Path
    config: dict[str, Any]
    config_text: str
    environment: dict[str, Any]
    spec: ModelSpec | None
    genotype: Genotype | None
    search: list[Row]
    alpha: Alpha | None
    train: list[Row]
    evaluation: Evaluation | None
    task: Task | None
    data: DataSummary | None
    warnings: tuple[str, ...]


def read_run(folder: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        UserError: The folder does not exist, it holds no run, or a file is damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the folder of a run")
    warnings = [str(text) for text in _list(folder / "warnings.json")]
    text = _text(folder / "config.yaml", MOST_YAML_BYTES)
    run = RunFolder(
        path=folder,
        config=_config(text, folder / "config.yaml"),
        config_text=text,
        environment=_object(folder / "environment.json"),
        spec=ModelSpec.read(folder) if (folder / "model.json").exists() else None,
        genotype=Genotype.load(folder) if (folder / "genotype.json").exists() else None,
        search=_rows(folder / "search" / "metrics.jsonl", warnings),
        alpha=_alpha(folder / "search" / "alpha.json"),
        train=_rows(folder / "train" / "metrics.jsonl", warnings),
        evaluation=_evaluation(folder / "evaluation.json"),
        task=Task.read(folder) if (folder / "task.json").exists() else None,
        data=DataSummary.read(folder),
        warnings=tuple(warnings),
    )
    if not (run.config_text or run.genotype or run.search or run.train or run.evaluation):
        raise UserError(f"{folder}: holds no run; name a folder that `compactnas run`, `search` or `train` wrote")
    return run


def _text(file: Path, most: int = MOST_BYTES) -> str:
    """Read a text file; empty if it does not exist. Bytes that are not UTF-8 are replaced."""
    return read_text(file, AGAIN, most, errors="replace") if file.exists() else ""


def _config(text: str, file: Path) -> dict[str, Any]:
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{file}: not YAML ({error}); {AGAIN}") from None
    return values if isinstance(values, dict) else {}


def _object(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty if the file does not exist."""
    if not file.exists():
        return {}
    values = read_json(file, AGAIN)
    if not isinstance(values, dict):
        raise UserError(f"{file}: not a JSON object; {AGAIN}")
    return values


def _list(file: Path) -> list[Any]:
    """Read a JSON list; empty if the file does not exist."""
    values = read_json(file, AGAIN) if file.exists() else []
    if not isinstance(values, list):
        raise UserError(f"{file}: not a JSON list; {AGAIN}")
    return values


def _rows(file: Path, warnings: list[str]) -> list[Row]:
    """Read the valid rows of a table; a warning counts the lines that are skipped."""
    rows, bad = read_valid_rows(file, AGAIN) if file.exists() else ([], 0)
    if bad:
        warnings.append(f"{file.parent.name}/{file.name}: {bad} of {bad + len(rows)} lines are unreadable and left out")
    return rows


def _alpha(file: Path) -> Alpha | None:
    raw = _object(file)
    if not raw:
        return None
    try:
        alpha = Alpha(
            edges=[[int(node), int(source)] for node, source in raw["edges"]],
            operations=[str(name) for name in raw["operations"]],
            probabilities=[[float(p) for p in row] for row in raw["probabilities"]],
            depths=[int(depth) for depth in raw["depths"]],
            depth_probabilities=[[float(p) for p in row] for row in raw["depth_probabilities"]],
            widths=[[int(width) for width in row] for row in raw.get("widths", [])],
            width_probabilities=[[float(p) for p in row] for row in raw.get("width_probabilities", [])],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{file}: not an architecture's probabilities ({type(error).__name__}: {error}); {AGAIN}"
        ) from None
    shapes_fit = len(alpha.edges) == len(alpha.probabilities) and all(
        len(row) == len(alpha.operations) for row in alpha.probabilities
    )
    lengths = {len(row) for row in alpha.widths} | {len(row) for row in alpha.width_probabilities}
    widths_fit = len(alpha.widths) == len(alpha.width_probabilities) and len(lengths) <= 1
    widths_fit &= all(row and min(row) > 0 for row in alpha.widths)
    if not shapes_fit or not widths_fit or any(len(row) > len(alpha.depths) for row in alpha.depth_probabilities):
        raise UserError(f"{file}: its probabilities do not fit its edges, operations, depths and widths; {AGAIN}")
    return alpha


def _evaluation(file: Path) -> Evaluation | None:
    raw = _object(file)
    if not raw:
        return None
    try:
        measures = {field.name: raw["measures"][field.name] for field in fields(Measures)}
        evaluation = Evaluation(
            model=str(raw["model"]),
            part=str(raw["part"]),
            measures=Measures(**{name: _number(value) for name, value in measures.items()}),
            classes=tuple(str(name) for name in raw["classes"]),
            confusion=np.array([[int(n) for n in row] for row in raw["confusion"]], dtype=np.int64),
            macs=int(raw["macs"]),
            parameters=int(raw["parameters"]),
            depths=None if raw["depths"] is None else tuple(int(depth) for depth in raw["depths"]),
            turns=bool(raw.get("turns")),
            reliability=None if raw.get("reliability") is None else Reliability.from_json(raw["reliability"]),
            groups=None if raw.get("groups") is None else GroupCounts.from_json(raw["groups"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: not an evaluation ({type(error).__name__}: {error}); {AGAIN}") from None
    if evaluation.confusion.shape != (len(evaluation.classes),) * 2 or evaluation.confusion.min(initial=0) < 0:
        raise UserError(f"{file}: its confusion matrix does not fit its {len(evaluation.classes)} classes; {AGAIN}")
    if evaluation.groups and sum(evaluation.groups.patches) != evaluation.n:
        raise UserError(f"{file}: its groups do not have its {evaluation.n} patches; {AGAIN}")
    return evaluation


def _number(value: Any) -> Any:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:40]!r} is not a number")
    return value
