"""Draw the figures of a run, for its page and for files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from compactnas.evaluation.evaluation import Evaluation
from compactnas.evaluation.metrics import class_measures
from compactnas.reporting.figures.backbone import backbone_figure
from compactnas.reporting.figures.cell import cell_figure
from compactnas.reporting.figures.class_scores import Score, scores_figure
from compactnas.reporting.figures.curves import search_curves, train_curves
from compactnas.reporting.figures.grids import alpha_figure, confusion_figure, depth_figure, width_figure
from compactnas.reporting.figures.reliability import reliability_figure
from compactnas.reporting.run.colours import class_colours
from compactnas.reporting.run.front import front_figure
from compactnas.reporting.run.reading import RunFolder

PLAIN = "#7f7f7f"
"""Colour of a class without one of its own."""


def figures_of(run: RunFolder) -> dict[str, ET.Element]:
    """Draw what a run has, by name: cell, network, confusion, classes, reliability, front, curves, probabilities."""
    found: dict[str, ET.Element | None] = {}
    if run.genotype:
        found |= {"cell": cell_figure(run.genotype), "network": backbone_figure(run.genotype, *sizes_of(run))}
    e = run.evaluation
    if e and e.n:
        found |= {"confusion": confusion_figure(e.confusion, e.classes), "classes": _scores(e)}
        found["reliability"] = reliability_figure(e.reliability) if e.reliability else None
    found["pareto"] = front_figure(run)
    found |= _named("search", search_curves(run.search))
    if alpha := run.alpha:
        found["alpha"] = alpha_figure(alpha.edges, alpha.operations, alpha.probabilities, run.genotype)
        if alpha.depth_probabilities and len(alpha.depths) > 1:
            found["alpha-depths"] = depth_figure(alpha.depths, alpha.depth_probabilities, run.genotype)
        if alpha.widths:
            found["alpha-widths"] = width_figure(alpha.widths, alpha.width_probabilities, run.genotype)
    found |= _named("training", train_curves(run.train))
    return {name: figure for name, figure in found.items() if figure is not None}


def sizes_of(run: RunFolder) -> tuple[int | None, int | None, int | None]:
    """Numbers of bands, classes and pixels of a side; None if they are unknown."""
    return (run.spec.bands, run.spec.classes, run.spec.patch_px) if run.spec else (None, None, None)


def _named(stage: str, figures: Sequence[ET.Element]) -> dict[str, ET.Element]:
    """Name curves after their titles, such as search-loss."""
    titles = [figure.findtext("text") or "" for figure in figures]
    return {f"{stage}-{re.sub(r'[^a-z]+', '-', t.lower())}": one for t, one in zip(titles, figures, strict=True)}


def _scores(evaluation: Evaluation) -> ET.Element | None:
    support, f1 = evaluation.confusion.sum(axis=1), class_measures(evaluation.confusion).f1
    colours = class_colours(evaluation.classes)
    return scores_figure(
        [
            Score(name, int(n), 100 * float(score) if n else None, colour or PLAIN)
            for name, n, score, colour in zip(evaluation.classes, support, f1, colours, strict=True)
        ]
    )
