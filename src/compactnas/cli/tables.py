"""Print results on stdout as a table or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compactnas.errors import shown
from compactnas.evaluation.evaluation import Evaluation
from compactnas.reporting.run.evidence import calibration_words, interval_words, majority_words

PIPE_WIDTH = 120
"""Width in characters without a terminal, so that no table is cut."""


def print_evaluation(evaluation: Evaluation, *, as_json: bool) -> None:
    """Print the measures of one network."""
    if as_json:
        print(json.dumps(evaluation.to_json()))
    else:
        print_table({evaluation.model: evaluation})
        print_evidence(evaluation)


def print_table(evaluations: Mapping[str, Evaluation]) -> None:
    """Print networks side by side, one row each."""
    parts = sorted({f"{e.part} part, {e.n} patches" for e in evaluations.values()})
    table = Table(title="; ".join(parts), title_justify="left")
    table.add_column("network")
    lcz = any(e.measures.oa_weighted is not None for e in evaluations.values())
    for name in ("OA %", "AA %", "kappa", "F1 %", *(("OAw %",) if lcz else ()), "parameters M", "MACs M", "depth"):
        table.add_column(name, justify="right")
    for name, e in evaluations.items():
        m = e.measures
        weighted = (_percent(m.oa_weighted),) if lcz else ()
        cells = [_percent(m.oa), _percent(m.aa), f"{m.kappa:.3f}", _percent(m.macro_f1), *weighted]
        cells += [f"{e.parameters / 1e6:.4f}", f"{e.macs / 1e6:.2f}", "-".join(map(str, e.depths or ("",)))]
        table.add_row(Text(shown(name)), *cells)
    console().print(table)
    for e in list(evaluations.values())[:1]:
        if e.measures.classes_present < e.measures.classes:
            print(f"AA and F1 over the {e.measures.classes_present} of {e.measures.classes} classes that are present")


def print_evidence(evaluation: Evaluation) -> None:
    """Print what the largest class alone would reach, the intervals of the measures, and the calibration."""
    for words in (majority_words(evaluation), interval_words(evaluation), calibration_words(evaluation)):
        if words:
            print(words)


def console() -> Console:
    """Make a console for tables: a terminal, or a pipe wide enough that no table is cut."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPE_WIDTH)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"
