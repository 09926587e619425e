"""`compactnas select`: choose among the networks that searches came upon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.options import BUDGETS, Parser, instance
from compactnas.config import DataConfig, MachineConfig, SearchConfig, TrainConfig
from compactnas.errors import UserError
from compactnas.selecting.config import NAMES, SelectConfig

if TYPE_CHECKING:
    from compactnas.selecting.stage import Selected


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "select",
        "RUN [RUN ...] --out DIR [--by NAMES] [--holdout validation|random] [--resume] [options]",
        "Rank the networks that one or several searches derived, had derived after each epoch, or believe in, on "
        "patches that are held out, and take the best by the last ranking that is named. What is not given about data, "
        "budgets, training and machine is the first run's.",
    )
    parser.add_argument("run", type=str, nargs="+", help="folder of a finished search")
    parser.add_argument("--out", type=str, default="", help="folder to make")
    parser.add_argument("--resume", action="store_true", help="go on with the selection that is in --out")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--by", type=str, default=",".join(NAMES), help="the rankings, a,b; the last one decides")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_class_arguments(SelectConfig, None, skip={"by"})
    for name, option in BUDGETS.items():
        parser.aliases[name] = (option,)
        parser.add_argument(name, type=float, help=f"the same as {option}; 20M is 20000000")
    parser.add_class_arguments(SearchConfig, "search", skip={field.name for field in fields(SearchConfig)} - LIMITS)
    for name, kind in PARTS.items():
        parser.add_class_arguments(kind, name)
    return parser


PARTS = {"data": DataConfig, "train": TrainConfig, "machine": MachineConfig}
LIMITS = {"max_macs", "max_parameters", "max_latency_ms", "latency_table"}
"""Of the first run's config: what is taken from it where it is not given, and of its `search` the budgets."""


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    argv = parser.words(argv)
    first = parser.parse_args(argv)
    if not first.out:
        raise UserError("no folder for the selection; name one with --out")
    from compactnas.runs import read_config
    from compactnas.selecting.ground import on_one_device

    own = on_one_device(read_config(Path(first.run[0])))
    before = {name: asdict(getattr(own, name)) for name in ("search", *PARTS)}
    before["search"] = {key: before["search"][key] for key in sorted(LIMITS)}
    parser.set_defaults({f"{name}.{key}": value for name, part in before.items() for key, value in part.items()})
    options = parser.parse_args(argv)
    given: dict[str, Any] = {name: instance(kind, options[name]) for name, kind in PARTS.items()}
    search = replace(own.search, **options.search.as_dict())
    config = replace(own, **given, search=search, seed=options.seed)
    by = tuple(name.strip() for name in options.by.split(","))
    choice = SelectConfig(by=by, **{name: options[name] for name in asdict(SelectConfig()) if name != "by"})
    from compactnas.progress import RichListener
    from compactnas.selecting.stage import select_stage

    folder = Path(options.out)
    folders = [Path(run) for run in options.run]
    selected = select_stage(config, choice, folders, folder, resume=options.resume, listener=RichListener())
    if options.json:
        print(json.dumps({"winner": selected.rows[selected.winner], "agreements": selected.agreements}, indent=2))
    else:
        _show(selected, choice.by, folder)
    return 0


def _show(selected: Selected, by: Sequence[str], folder: Path) -> None:
    """The candidates, the best first, and how far each ranking agrees with the one that decides."""
    from rich.console import Console
    from rich.table import Table

    table = Table("search", "origin", "depths", "M MACs", *by, title=f"{selected.patches} patches held out")
    for row in sorted(selected.rows, key=lambda row: -float(row["scores"][by[-1]])):
        depths = "-".join(map(str, row["genotype"]["depths"]))
        scores = (f"{row['scores'][name]:.4g}" for name in by)
        table.add_row(row["search"], row["origin"], depths, f"{row['macs'] / 1e6:.2f}", *scores)
    Console().print(table)
    for found in selected.agreements:
        if found["b"] == by[-1]:
            span = "" if found["low"] is None else f" ({found['low']:+.2f} to {found['high']:+.2f})"
            tau = "none" if found["tau"] is None else f"{found['tau']:+.2f}"
            print(f"{found['a']} with {found['b']}: tau {tau}{span}, {found['verdict']}")
    print(f"selected: {folder / 'genotype.json'}; next: compactnas train --model {folder} ...")
