"""`compactnas pareto`: the front of accuracy against cost from a few searches."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from compactnas.cli.options import Parser
from compactnas.cli.searches import add_search_options, parse_with_searches
from compactnas.io.jsonl import Row
from compactnas.selection.config import FrontConfig


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "pareto",
        "RUN [RUN ...] --output DIR [--least 10M] [--most 50M] [--points N] [--retrain] [--resume] [options]",
        "For each of several budgets of MACs, derive the best network within it from what one or several searches "
        "believe; the supernets judge, on patches that are held out. With --retrain each is trained and measured. What "
        "is not given about data, training and machine is the first run's.",
    )
    add_search_options(parser, budgets=False)
    parser.add_class_arguments(FrontConfig, None, skip={"retrain"})
    parser.add_argument("--retrain", action="store_true", help="train each network and measure it on the test part")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, config = parse_with_searches(build, argv)
    choice = FrontConfig(**{name: options[name] for name in asdict(FrontConfig())})
    from compactnas.reporting.progress import RichListener
    from compactnas.selection.front import front_stage
    from compactnas.selection.picture import draw_front

    folder = Path(options.output)
    # Budgets are the points'; those of the first search are of that search.
    config = replace(
        config, search=replace(config.search, max_macs=0.0, max_parameters=0.0, max_latency_ms=0.0, latency_table="")
    )
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

    accuracies = [name for name in ("supernet_oa", "validation_oa", "test_oa") if name in rows[0]]
    table = Table("network", "M MACs", "M parameters", "depths", *accuracies, "on the front")
    for row in rows:
        depths = "-".join(map(str, row["genotype"]["depths"]))
        figures = (f"{100 * row[name]:.2f} %" for name in accuracies)
        sizes = (f"{row['macs'] / 1e6:.3f}", f"{row['parameters'] / 1e6:.4f}")
        table.add_row(str(row["name"]), *sizes, depths, *figures, "yes" if row["front"] else "no")
    Console().print(table)
