"""Write the page of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compactnas import lcz
from compactnas.reporting.confusions import costliest, share_of_errors
from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.html import markup, write_page
from compactnas.reporting.study.compare import chosen_method, comparisons
from compactnas.reporting.study.costs import cost_figure, costs_of
from compactnas.reporting.study.figures import (
    built_natural,
    cells_by_method,
    confusion_figure_of,
    cost_figures,
    operations_figure,
    search_figures,
    summed_confusion,
)
from compactnas.reporting.study.folds import FOLD_NOTE, PAIR_COLUMNS, cells_of, fold_results
from compactnas.reporting.study.networks import networks_of
from compactnas.reporting.study.notes import note_of_pairs, notes_of
from compactnas.reporting.study.summary import headline, tiles_of
from compactnas.reporting.study.tables import split_table
from compactnas.reporting.study.view import StudyView
from compactnas.space.operation_specs import OPERATIONS


def write_study_page(view: StudyView, output: Path) -> Path:
    """Write one HTML file that shows a study, without scripts or network access.

    Raises:
        UserError: `output` is not writable.
    """
    return write_page("study/page.html.j2", _values(view), output)


def _values(view: StudyView) -> dict[str, Any]:
    """Collect the values of the template; an empty value leaves its section out."""
    names = [split.name for split in view.splits]
    classes = view.trainings[0].evaluation.classes if view.trainings else ()
    tables = [table for name in names if (table := split_table(view, name)) is not None]
    costs = costs_of(view)
    cells = cells_by_method(view)
    pairs = [found for name in names if (found := comparisons(view, name)) is not None]
    every_pair = [pair for found in pairs for row in found.rows for pair in row.others if pair is not None]
    planes = [(name, tuple(markup(figure) for figure in cost_figures(view, name))) for name in names]
    return {
        "title": view.title or "compactnas: study",
        "strip": [c.colour for c in lcz.CLASSES] if classes == lcz.NAMES else [],
        "headline": headline(view),
        "tiles": tiles_of(view),
        "notes": notes_of(view),
        "tables": tables,
        "table_notes": list(dict.fromkeys(note for table in tables for note in table.notes)),
        "folds": [(found, [(pair, cells_of(pair)) for pair in found.pairs]) for found in fold_results(view)],
        "fold_columns": PAIR_COLUMNS,
        "fold_note": FOLD_NOTE,
        "planes": [plane for plane in planes if plane[1]],
        "networks": networks_of(view),
        "confusion": _confusion(view),
        "legend": [(f"{c.number}", c.name, c.colour) for c in lcz.CLASSES]
        if classes == lcz.NAMES
        else [(str(index + 1), name, "") for index, name in enumerate(classes)],
        "searches": tuple(markup(figure) for figure in search_figures(view)),
        "search_split": view.search_split,
        "each": view.selection == "each",
        "operations": markup(operations_figure(cells)),
        "operation_names": [(name, operation_label(name)) for name in OPERATIONS],
        "pairs": pairs,
        "pair_note": note_of_pairs({pair.n for pair in every_pair}),
        "exact": all(pair.exact for pair in every_pair),
        "costs": costs,
        "cost_figure": markup(cost_figure(costs, view)) if costs else "",
        "jobs": view.jobs,
        "config": view.config,
        "environment": view.environment,
    }


def _confusion(view: StudyView) -> dict[str, Any]:
    """Draw the confusion matrices of the chosen method on each split (Fig. 2); empty if nothing is trained."""
    chosen = chosen_method(view)
    if chosen is None:
        return {"shown": []}
    method, decided = chosen
    shown = []
    for split in view.splits:
        figure = confusion_figure_of(view, method, split.name)
        counts = summed_confusion(view, method, split.name)
        if figure is None or counts is None:
            continue
        runs = view.runs(method.key, split.name)
        classes = runs[0].evaluation.classes
        costly = costliest(counts, classes)
        share = share_of_errors(counts, costly)
        shown.append((split.name, len(runs), markup(figure), built_natural(counts, classes), costly, share))
    return {"method": method.name, "searched": method.kind == "searched", "decided": decided, "shown": shown}
