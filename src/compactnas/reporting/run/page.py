"""Write the page of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from compactnas import lcz as facts
from compactnas.errors import UserError
from compactnas.reporting.figures.backbone import backbone_figure
from compactnas.reporting.figures.cell import cell_figure
from compactnas.reporting.figures.curves import search_curves, train_curves
from compactnas.reporting.figures.grids import alpha_figure, confusion_figure, depth_figure, width_figure
from compactnas.reporting.figures.scatter import scatter
from compactnas.reporting.html import markup, write_page
from compactnas.reporting.run.data import PartRow, data_facts, part_rows, shown_config, unit_of
from compactnas.reporting.run.evidence import calibration_words, interval_text, interval_words, majority_words
from compactnas.reporting.run.reading import RunFolder, read_run
from compactnas.reporting.run.tables import (
    ClassRow,
    class_rows,
    columns_of,
    comparable,
    labels_of,
    method_of,
    notes_of,
    results,
)


@dataclass(frozen=True)
class Section:
    """Section of the page for one run; figures are markup, empty if there is nothing to draw.

    Attributes:
        anchor: Anchor of the section.
        method: Name of the network.
        folder: Name of the run folder.
        notes: Warnings.
        tiles: Headline figures as (name, value, unit).
        cell: Figure of the derived cell.
        backbone: Figure of the macro network.
        curves: Curves of the search.
        alpha: Figures of the probabilities of operations, depths and widths.
        training: Curves of the training.
        confusion: Figure of the confusion matrix.
        classes: Table of the classes.
        data: What is known about the data, as (name, value).
        parts: Table of the parts of the data.
        unit: What a group of the data is, in the plural; empty if the groups are unknown.
        evidence: Sentences on how far the accuracy can be relied on.
        config: Config as text, without options of other data formats.
        hidden: Names of the options that the config leaves out.
        environment: Versions and hardware as (name, value).
    """

    anchor: str
    method: str
    folder: str
    notes: tuple[str, ...]
    tiles: tuple[tuple[str, str, str], ...]
    cell: str
    backbone: str
    curves: tuple[str, ...]
    alpha: tuple[str, ...]
    training: tuple[str, ...]
    confusion: str
    classes: tuple[ClassRow, ...]
    data: tuple[tuple[str, str], ...]
    parts: tuple[PartRow, ...]
    unit: str
    evidence: tuple[str, ...]
    config: str
    hidden: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


def write_report(folders: Sequence[Path], output: Path, title: str = "") -> Path:
    """Write one HTML file that shows runs, without scripts or network access.

    Args:
        folders: Folders of the runs, in the order of the results table.
        output: File to write.
        title: Title of the page; if empty, the name of the first run.

    Raises:
        UserError: A folder holds no run, a file in it is damaged, or `output` is not writable.
    """
    if not folders:
        raise UserError("report: no run to show; name at least one run folder")
    runs = [read_run(Path(folder)) for folder in folders]
    return write_page("run/page.html.j2", _values(runs, title), output)


def _values(runs: Sequence[RunFolder], title: str) -> dict[str, Any]:
    """Collect the values of the template."""
    labels = labels_of(runs)
    points = [
        (label, run.evaluation.macs / 1e6, 100 * run.evaluation.measures.oa)
        for label, run in zip(labels, runs, strict=True)
        if run.evaluation
    ]
    lcz = any(run.evaluation is not None and run.evaluation.classes == facts.NAMES for run in runs)
    return {
        "title": title or f"compactnas: {runs[0].path.resolve().name}",
        "strip": [c.colour for c in facts.CLASSES] if lcz else [],
        "columns": columns_of(runs),
        "results": results(runs),
        "labels": labels,
        "comparable": comparable(runs),
        "evaluated": len(points),
        "scatter": markup(scatter(points)),
        "sections": [_section(run, f"run-{number + 1}") for number, run in enumerate(runs)],
    }


def _section(run: RunFolder, anchor: str) -> Section:
    genotype, alpha, spec = run.genotype, run.alpha, run.spec
    sizes = (spec.bands, spec.classes, spec.patch_px) if spec else (None, None, None)
    heat: list[ET.Element] = []
    if alpha:
        heat.append(alpha_figure(alpha.edges, alpha.operations, alpha.probabilities, genotype))
        if alpha.depth_probabilities and len(alpha.depths) > 1:
            heat.append(depth_figure(alpha.depths, alpha.depth_probabilities, genotype))
        if alpha.widths:
            heat.append(width_figure(alpha.widths, alpha.width_probabilities, genotype))
    e, (config, hidden) = run.evaluation, shown_config(run)
    return Section(
        anchor=anchor,
        method=method_of(run),
        folder=run.path.resolve().name,
        notes=notes_of(run),
        tiles=_tiles(run),
        cell=markup(cell_figure(genotype) if genotype else None),
        backbone=markup(backbone_figure(genotype, *sizes) if genotype else None),
        curves=tuple(markup(figure) for figure in search_curves(run.search)),
        alpha=tuple(markup(figure) for figure in heat),
        training=tuple(markup(figure) for figure in train_curves(run.train)),
        confusion=markup(confusion_figure(e.confusion, e.classes) if e and e.n else None),
        classes=class_rows(e) if e else (),
        data=data_facts(run),
        parts=part_rows(run),
        unit=unit_of(run),
        evidence=tuple(words for words in (majority_words(e), interval_words(e), calibration_words(e)) if words)
        if e and e.n
        else (),
        config=config,
        hidden=hidden,
        environment=tuple((str(key), str(value)) for key, value in run.environment.items() if value is not None),
    )


def _tiles(run: RunFolder) -> tuple[tuple[str, str, str], ...]:
    e = run.evaluation
    tiles: list[tuple[str, str, str]] = []
    if e:
        m = e.measures
        tiles += [("OA", f"{100 * m.oa:.2f}", "%")]
        if interval := interval_text(e, "oa").removesuffix(" %"):
            tiles.append(("OA, 95 % interval", interval, "%"))
        tiles += [("largest class", f"{100 * e.majority[1]:.1f}", "%")] if e.n else []
        tiles += [("AA", f"{100 * m.aa:.2f}", "%"), ("kappa", f"{m.kappa:.3f}", "")]
        tiles += [("parameters", f"{e.parameters / 1e6:.3f}", "M"), ("MACs a patch", f"{e.macs / 1e6:.2f}", "M")]
    if run.genotype:
        tiles.append(("depth of the blocks", " · ".join(map(str, run.genotype.depths)), ""))
        if run.genotype.widths:
            tiles.append(("channels of the blocks", " · ".join(map(str, run.genotype.widths)), ""))
    return tuple(tiles)
