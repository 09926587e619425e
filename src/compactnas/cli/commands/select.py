"""`compactnas select`: select the best network of finished searches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import shown

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.selection.run import Selected


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import add_processes
    from compactnas.cli.parser import BUDGETS, Parser
    from compactnas.cli.searches import COMMON, add_search_options
    from compactnas.selection.config import NAMES, SelectConfig

    parser = Parser(
        "select",
        "RUN [RUN ...] -o DIR [--by NAMES] [--holdout validation|random] [options]",
        "Rank candidates of one or several searches on held-out patches and select the best: the derived networks, "
        "those derived after each epoch, and samples. The last ranking decides. Options for data, budgets, training "
        "and compute that you leave out are taken from the first run.",
        common=(*COMMON, *BUDGETS, "--by", "--candidates", "--random", "--processes"),
        required=("--output",),
    )
    add_search_options(parser, budgets=True)
    add_processes(parser, "short trainings")
    parser.add_argument(
        "--by", type=str, default=",".join(NAMES), help="Rankings, separated by commas; the last one decides."
    )
    parser.add_class_arguments(SelectConfig, None, skip={"by"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.idle_options import SELECT
    from compactnas.cli.options import processes_of
    from compactnas.cli.searches import parse_with_searches
    from compactnas.cli.without_effect import note_of_choice
    from compactnas.selection.config import SelectConfig

    options, config = parse_with_searches(build, argv)
    processes = processes_of(options)
    by = tuple(name.strip() for name in options.by.split(","))
    choice = SelectConfig(by=by, **{name: options[name] for name in asdict(SelectConfig()) if name != "by"})
    note_of_choice(SELECT, options, config, choice)
    from compactnas.reporting.progress import RichListener
    from compactnas.selection.run import select_stage

    folder = Path(options.output)
    folders = [Path(run) for run in options.run]
    selected = select_stage(
        config, choice, folders, folder, resume=options.resume, listener=RichListener(), processes=processes
    )
    if options.json:
        print(json.dumps({"winner": selected.rows[selected.winner], "agreements": selected.agreements}, indent=2))
    else:
        _show(selected, choice.by, folder)
    return 0


def _show(selected: Selected, by: Sequence[str], folder: Path) -> None:
    """Print the candidates, best first, and how well each ranking agrees with the deciding one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows, last = selected.rows, by[-1]
    others = [name for name in by[:-1] if name not in ("parameters", "macs")]
    table = Table(
        *("", "search", "origin", "M MACs", *others, last),
        title=f"{selected.patches} patches held out; place in each ranking, score of the last one",
        box=None,
    )
    for row in sorted(rows, key=lambda row: -float(row["scores"][last])):
        places = (1 + sum(other["scores"][name] > row["scores"][name] for other in rows) for name in others)
        own = (
            str(row["candidate"]),
            Text(shown(Path(row["search"]).name)),
            Text(shown(row["origin"])),
            f"{row['macs'] / 1e6:.2f}",
        )
        table.add_row(*own, *map(str, places), f"{row['scores'][last]:.6g}")
    Console().print(table)
    for found in selected.agreements:
        if found["b"] == by[-1]:
            span = "" if found["low"] is None else f" ({found['low']:+.2f} to {found['high']:+.2f})"
            tau = "none" if found["tau"] is None else f"{found['tau']:+.2f}"
            print(f"{found['a']} with {found['b']}: tau {tau}{span}, {found['verdict']}")
    print(f"selected: {folder / 'genotype.json'}; next: compactnas train --model {folder} ...")


COMMAND = Command(
    group="Search and train",
    summary="select the best network of finished searches",
    examples=(
        "compactnas select run -o selected",
        "compactnas select run0 run1 -o selected --by supernet,halving",
        "compactnas select run -o small --max-macs 10M --holdout random",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
