"""Write the page of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactnas import lcz as facts
from compactnas.errors import UserError
from compactnas.evaluation.evaluation import Evaluation
from compactnas.io.paths import each_path
from compactnas.reporting.confusions import Confusion, costliest, share_of_errors
from compactnas.reporting.figures.class_scores import MOST_CLASSES
from compactnas.reporting.figures.grids import compact_confusion
from compactnas.reporting.figures.words import genotype_words, network_words
from compactnas.reporting.html import markup, write_page
from compactnas.reporting.run.colours import class_colours
from compactnas.reporting.run.data import PartRow, data_facts, part_rows, shown_config, unit_of
from compactnas.reporting.run.evidence import calibration_words, interval_text, interval_words, majority_words
from compactnas.reporting.run.figures import figures_of, sizes_of
from compactnas.reporting.run.folders import run_folders
from compactnas.reporting.run.lead import lead, lead_network
from compactnas.reporting.run.networks import planes_of
from compactnas.reporting.run.patches import Patches, patches_of
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
from compactnas.reporting.run.times import time_facts


@dataclass(frozen=True)
class Section:
    """Section of the page for one run; figures are markup, by name.

    Attributes:
        anchor: Anchor of the section.
        method: Name of the network.
        folder: Name of the run folder.
        notes: Warnings.
        tiles: Headline figures as (name, value, unit).
        figures: Figures of `compactnas.reporting.run.figures`.
        words: Genotype in words, one line for each node or block.
        stations: Whole network in words, one line for each part.
        legend: Number, name and colour of each class for the small confusion matrix; empty for many classes.
        confusions: Confusions that cost the most.
        share: Which share of all wrong patches they are.
        classes: Table of the classes.
        patches: Right and wrong patches.
        data: What is known about the data, as (name, value).
        times: Date and durations, as (name, value).
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
    figures: dict[str, str]
    words: tuple[str, ...]
    stations: tuple[str, ...]
    legend: tuple[tuple[int, str, str], ...]
    confusions: tuple[Confusion, ...]
    share: str
    classes: tuple[ClassRow, ...]
    patches: Patches
    data: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, str], ...]
    parts: tuple[PartRow, ...]
    unit: str
    evidence: tuple[str, ...]
    config: str
    hidden: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]

    def named(self, start: str) -> list[str]:
        """List the figures whose names start like this."""
        return [figure for name, figure in self.figures.items() if name.startswith(start)]


def write_report(folders: str | Path | Sequence[str | Path], output: str | Path, title: str = "") -> Path:
    """Write one HTML file that shows runs, without scripts or network access.

    Args:
        folders: Folder of a run, or folders of several in the order of the results table. A folder of runs stands for
            them.
        output: File to write.
        title: Title of the page; if empty, the name of the first run.

    Raises:
        UserError: A folder holds no run, a file in it is damaged, or `output` is not writable.
    """
    if not folders:
        raise UserError("report: no run to show; name at least one run folder")
    runs = [read_run(folder) for folder in run_folders(each_path(folders))]
    return write_page("run/page.html.j2", _values(runs, title), Path(output))


def _values(runs: Sequence[RunFolder], title: str) -> dict[str, Any]:
    """Collect the values of the template."""
    lcz = any(run.evaluation is not None and run.evaluation.classes == facts.NAMES for run in runs)
    planes, sections = planes_of(runs), [_section(run, f"run-{n}", len(runs)) for n, run in enumerate(runs, start=1)]
    network = lead_network(runs)
    return {
        "title": title or f"compactnas: {runs[0].path.resolve().name}",
        "strip": [c.colour for c in facts.CLASSES] if lcz else [],
        "lead": lead(runs),
        "main": sections[network.place if network else 0],
        "columns": columns_of(runs),
        "results": results(runs),
        "labels": labels_of(runs),
        "comparable": comparable(runs),
        "evaluated": sum(run.evaluation is not None for run in runs),
        "planes": [markup(figure) for figure in planes.figures],
        "planes_note": planes.note,
        "sections": sections,
    }


def _section(run: RunFolder, anchor: str, pages: int) -> Section:
    e, (config, hidden) = run.evaluation, shown_config(run)
    measured = e if e and e.n else None
    figures = {name: markup(figure) for name, figure in figures_of(run).items()}
    if measured and len(measured.classes) <= MOST_CLASSES:
        figures["small-confusion"] = markup(compact_confusion(measured.confusion, measured.classes, "Confusion"))
    confusions = costliest(measured.confusion, measured.classes) if measured else ()
    said = (majority_words(measured), interval_words(measured), calibration_words(measured)) if measured else ()
    return Section(
        anchor=anchor,
        method=method_of(run),
        folder=run.path.resolve().name,
        notes=notes_of(run),
        tiles=_tiles(run),
        figures=figures,
        words=tuple(genotype_words(run.genotype)) if run.genotype else (),
        stations=tuple(network_words(run.genotype, *sizes_of(run))) if run.genotype else (),
        legend=_legend(measured),
        confusions=confusions,
        share=share_of_errors(measured.confusion, confusions) if measured else "",
        classes=class_rows(e) if e else (),
        patches=patches_of(run, pages),
        data=data_facts(run),
        times=time_facts(run),
        parts=part_rows(run),
        unit=unit_of(run),
        evidence=tuple(words for words in said if words),
        config=config,
        hidden=hidden,
        environment=tuple((str(key), str(value)) for key, value in run.environment.items() if value is not None),
    )


def _legend(e: Evaluation | None) -> tuple[tuple[int, str, str], ...]:
    if e is None or len(e.classes) > MOST_CLASSES:
        return ()
    return tuple(
        (number, name, colour)
        for number, (name, colour) in enumerate(zip(e.classes, class_colours(e.classes), strict=True), start=1)
    )


def _tiles(run: RunFolder) -> tuple[tuple[str, str, str], ...]:
    e = run.evaluation
    tiles: list[tuple[str, str, str]] = []
    if e:
        m = e.measures
        tiles += [("OA", f"{100 * m.oa:.2f}", "%")]
        if interval := interval_text(e, "oa").removesuffix(" %"):
            tiles.append(("OA, 95 % interval", interval, "%"))
        tiles += [("AA", f"{100 * m.aa:.2f}", "%"), ("kappa", f"{m.kappa:.3f}", "")]
        tiles += [("parameters", f"{e.parameters / 1e6:.3f}", "M"), ("MACs a patch", f"{e.macs / 1e6:.2f}", "M")]
    if run.genotype:
        tiles.append(("depth of the blocks", " · ".join(map(str, run.genotype.depths)), ""))
        if run.genotype.widths:
            tiles.append(("channels of the blocks", " · ".join(map(str, run.genotype.widths)), ""))
    return tuple(tiles)
