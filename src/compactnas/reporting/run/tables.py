"""Make the tables and notes of the report as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compactnas import lcz as facts
from compactnas.evaluation.evaluation import Evaluation
from compactnas.evaluation.metrics import class_measures
from compactnas.nn.baselines import baseline_label
from compactnas.nn.registry import SEARCHED
from compactnas.reporting.figures.cell import state_name
from compactnas.reporting.run.colours import class_colours
from compactnas.reporting.run.evidence import doubts
from compactnas.reporting.run.reading import RunFolder
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS


@dataclass(frozen=True)
class Column:
    """A column of the results: heading, meaning, measure, scale, decimals, and 1 if larger is better, else -1."""

    name: str
    meaning: str
    measure: str
    scale: float
    digits: int
    best: int


COLUMNS = (
    Column("OA %", "overall accuracy", "oa", 100.0, 2, 1),
    Column("AA %", "average accuracy: mean recall of the classes present", "aa", 100.0, 2, 1),
    Column("kappa", "Cohen's kappa", "kappa", 1.0, 3, 1),
    Column("macro-F1 %", "mean F1 of the classes present", "macro_f1", 100.0, 2, 1),
    Column("OAw %", "accuracy weighted by the similarity of Local Climate Zones", "oa_weighted", 100.0, 2, 1),
    Column("OAu %", "accuracy inside the ten built classes", "oa_urban", 100.0, 2, 1),
    Column("OAbu %", "accuracy of built against natural, without LCZ E", "oa_built_natural", 100.0, 2, 1),
    Column("on built %", "accuracy on patches of built classes", "accuracy_on_built", 100.0, 2, 1),
    Column("params M", "trained weights, in millions", "parameters", 1e-6, 3, -1),
    Column("MACs M", "multiply-accumulates of one patch, in millions", "macs", 1e-6, 2, -1),
)


@dataclass(frozen=True)
class Cell:
    """A figure as text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Result:
    """A row of the results table."""

    method: str
    folder: str
    anchor: str
    test: str
    cells: tuple[Cell, ...]
    depths: str


def method_of(run: RunFolder) -> str:
    """Name a run's network in tables: the setting of its search, the name of a baseline, or else of the folder."""
    name = run.evaluation.model if run.evaluation else run.spec.name if run.spec else SEARCHED
    if name != SEARCHED:
        return baseline_label(name)
    search = run.config.get("search")
    if run.search and isinstance(search, dict):
        return "S" + "+C" * bool(search.get("complexity")) + "+D" * bool(search.get("search_depth"))
    return run.path.resolve().name


def labels_of(runs: Sequence[RunFolder]) -> tuple[str, ...]:
    """Name each run by its method, with its folder if several runs have the same method."""
    methods = [method_of(run) for run in runs]
    return tuple(
        method if methods.count(method) == 1 else f"{method} ({run.path.resolve().name})"
        for method, run in zip(methods, runs, strict=True)
    )


def comparable(runs: Sequence[RunFolder]) -> bool:
    """Check whether runs were evaluated on the same part, classes and number of patches."""
    known = [run.evaluation for run in runs if run.evaluation]
    return len(known) > 1 and len({(e.part, e.n, e.classes) for e in known}) == 1


def columns_of(runs: Sequence[RunFolder]) -> tuple[Column, ...]:
    """List the columns for which a run has a figure."""
    return tuple(c for c in COLUMNS if any(run.evaluation and _value(run.evaluation, c) is not None for run in runs))


def results(runs: Sequence[RunFolder]) -> tuple[Result, ...]:
    """Make a row for each run. The best figures are marked if the runs are comparable."""
    columns = columns_of(runs)
    known = [run.evaluation for run in runs if run.evaluation]
    fair = comparable(runs)
    best = {}
    for column in columns:
        values = [column.best * value for e in known if (value := _value(e, column)) is not None]
        best[column] = column.best * max(values) if fair and len(values) > 1 else None
    rows = []
    for number, run in enumerate(runs):
        e = run.evaluation
        found = {column: _value(e, column) if e else None for column in columns}
        cells = tuple(
            Cell(_shown(value, column), value is not None and _shown(value, column) == _shown(best[column], column))
            for column, value in found.items()
        )
        depths = (e.depths if e else None) or (run.genotype.depths if run.genotype else ())
        test = f"{e.part}, {e.n:,}" if e else "not evaluated"
        rows.append(
            Result(
                method_of(run), run.path.resolve().name, f"run-{number + 1}", test, cells, " · ".join(map(str, depths))
            )
        )
    return tuple(rows)


def _value(evaluation: Evaluation, column: Column) -> float | None:
    source = evaluation if column.measure in ("parameters", "macs") else evaluation.measures
    value = getattr(source, column.measure)
    return None if value is None else float(value)


def _shown(value: float | None, column: Column) -> str:
    return "" if value is None else f"{value * column.scale:.{column.digits}f}"


@dataclass(frozen=True)
class ClassRow:
    """A class in the table of classes; shares are in per cent, None if they are undefined (0/0)."""

    name: str
    colour: str
    patches: int
    recall: float | None
    precision: float | None
    f1: float | None


def class_rows(evaluation: Evaluation) -> tuple[ClassRow, ...]:
    """Make a row for each class with its recall, precision and F1."""
    each = class_measures(evaluation.confusion)
    lcz, colours = evaluation.classes == facts.NAMES, class_colours(evaluation.classes)
    return tuple(
        ClassRow(
            name=f"{facts.CLASSES[i].label} {name}" if lcz else name,
            colour=colours[i],
            patches=int(each.support[i]),
            recall=_per_cent(each.recall[i]),
            precision=_per_cent(each.precision[i]),
            f1=_per_cent(each.f1[i]),
        )
        for i, name in enumerate(evaluation.classes)
    )


def _per_cent(share: np.float64) -> float | None:
    return None if np.isnan(share) else float(100 * share)


def notes_of(run: RunFolder) -> tuple[str, ...]:
    """Collect the caveats that a reader must know before relying on the figures of a run."""
    notes = list(run.warnings)
    if run.genotype:
        notes += _notes_of_cell(run.genotype)
    e = run.evaluation
    if e and e.measures.classes_present < e.measures.classes:
        absent = [name for name, n in zip(e.classes, e.confusion.sum(axis=1), strict=True) if not n]
        notes.append(
            f"AA and macro-F1 are means over the {e.measures.classes_present} of {e.measures.classes} classes present "
            f"in the {e.part} part; absent: {', '.join(absent)}."
        )
    if e and e.n:
        notes += doubts(e)
    if e and e.part != "test":
        notes.append(f"Measured on the {e.part} part, not on the test part.")
    data = run.config.get("data")
    split = data.get("split") if isinstance(data, dict) else None
    if split in ("random", "d2"):
        notes.append(
            f"The {split} split draws test patches from the same places as the training patches, so accuracy may "
            "include memorised places. Compare it with a split by place."
        )
    if run.train and _number_of(run, "train") > len(run.train):
        notes.append(f"The training stopped after {len(run.train)} of {_number_of(run, 'train')} epochs.")
    return tuple(notes)


def _notes_of_cell(genotype: Genotype) -> list[str]:
    """Describe the parts of a cell that do nothing."""
    inputs, idle = LAYOUTS[genotype.layout].inputs, genotype.idle_states
    output = inputs + len(genotype.nodes) - 1
    if LAYOUTS[genotype.layout].output == "last" and output in idle:
        return ["No path leads through the cell: its output does not depend on the patch."]
    nodes = [state_name(state, inputs) for state in sorted(idle) if state >= inputs]
    if not nodes:
        return []
    one = len(nodes) == 1
    subject = f"{'Node' if one else 'Nodes'} {', '.join(nodes)} of the cell (drawn faint)"
    return [f"{subject} {'carries' if one else 'carry'} nothing from the patch to the output."]


def _number_of(run: RunFolder, stage: str) -> int:
    """Number of epochs that the config gives a stage."""
    values = run.config.get(stage)
    epochs = values.get("epochs") if isinstance(values, dict) else None
    return epochs if isinstance(epochs, int) else 0
