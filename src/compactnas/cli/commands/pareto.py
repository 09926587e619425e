"""`compactnas pareto`: find the front of accuracy against cost from a few searches."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import shown
from compactnas.io.jsonl import Row

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser
    from compactnas.cli.searches import COMMON, add_search_options
    from compactnas.selection.config import FrontConfig

    parser = Parser(
        "pareto",
        "RUN [RUN ...] -o DIR [--least 10M] [--most 50M] [--points N] [--retrain] [options]",
        "Derive the best network within each of several budgets of MACs from one or several searches. The supernets "
        "rank the candidates on held-out patches. With --retrain each network is trained and measured. Options on "
        "data, training and compute that you leave out are taken from the first run.",
        common=(*COMMON, "--least", "--most", "--points", "--samples", "--retrain"),
        required=("--output",),
    )
    add_search_options(parser, budgets=False)
    parser.add_class_arguments(FrontConfig, None, skip={"retrain"})
    parser.add_argument("--retrain", action="store_true", help="Train each network and measure it on the test part.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.idle_options import PARETO
    from compactnas.cli.searches import parse_with_searches
    from compactnas.cli.without_effect import note_of_choice
    from compactnas.selection.config import FrontConfig

    options, config = parse_with_searches(build, argv)
    choice = FrontConfig(**{name: options[name] for name in asdict(FrontConfig())})
    note_of_choice(PARETO, options, config, choice)
    from compactnas.reporting.progress import RichListener
    from compactnas.selection.front import front_stage
    from compactnas.selection.picture import draw_front

    folder = Path(options.output)
    # The points of the front have their own budgets, so those of the first search and their objective are removed.
    search = replace(
        config.search, max_macs=0.0, max_parameters=0.0, max_latency_ms=0.0, latency_table="", objective="auto"
    )
    config = replace(config, search=search)
    rows = front_stage(
        config, choice, [Path(run) for run in options.run], folder, resume=options.resume, listener=RichListener()
    )
    picture = draw_front(rows, folder / "front.png")
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    _show(rows)
    print(f"picture: {picture}")
    print(f"next: compactnas train --model {folder / 'networks' / str(rows[-1]['name'])} ...")
    return 0


def _show(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    accuracies = [name for name in ("supernet_oa", "validation_oa", "test_oa") if name in rows[0]]
    table = Table("network", "M MACs", "M parameters", "depths", *accuracies, "on the front")
    for row in rows:
        depths = "-".join(map(str, row["genotype"]["depths"]))
        figures = (f"{100 * row[name]:.2f} %" for name in accuracies)
        sizes = (f"{row['macs'] / 1e6:.3f}", f"{row['parameters'] / 1e6:.4f}")
        table.add_row(Text(shown(str(row["name"]))), *sizes, depths, *figures, "yes" if row["front"] else "no")
    Console().print(table)


COMMAND = Command(
    group="Search and train",
    summary="find the front of accuracy against MACs from a few searches",
    examples=(
        "compactnas pareto run -o front",
        "compactnas pareto run0 run1 -o front --least 5M --most 30M --points 6",
        "compactnas pareto run -o front --retrain --resume",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
