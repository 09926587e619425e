"""Options of a command that goes on from finished searches: what is not given is the first one's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from compactnas.cli.options import BUDGETS, Parser, instance
from compactnas.config import DataConfig, MachineConfig, RunConfig, SearchConfig, TrainConfig
from compactnas.errors import UserError

PARTS = {"data": DataConfig, "train": TrainConfig, "machine": MachineConfig}
LIMITS = {"max_macs", "max_parameters", "max_latency_ms", "latency_table"}
"""Of the first run's config: what is taken from it where it is not given, and of its `search` the budgets."""


def add_search_options(parser: Parser, *, budgets: bool) -> None:
    """The folders of searches, and what is the first one's unless it is given.

    Args:
        parser: of the command.
        budgets: whether candidates may have other budgets than their searches.
    """
    parser.add_argument("run", type=str, nargs="+", help="folder of a finished search")
    parser.add_argument("-o", "--output", type=str, default="", help="folder to make")
    parser.add_argument("--resume", action="store_true", help="go on with what is in --output")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    if budgets:
        for name, option in BUDGETS.items():
            parser.aliases[name] = (option,)
            parser.add_argument(name, type=float, help=f"the same as {option}; 20M is 20000000")
        parser.add_class_arguments(SearchConfig, "search", skip={field.name for field in fields(SearchConfig)} - LIMITS)
    for name, kind in PARTS.items():
        parser.add_class_arguments(kind, name)


def parse_with_searches(build: Callable[[], Parser], argv: list[str]) -> tuple[Namespace, RunConfig]:
    """Parse such options; gives them and the config that they make of the first search's."""
    parser = build()
    argv = parser.words(argv)
    first = parser.parse_args(argv)
    if not first.output:
        raise UserError("no folder for the result; name one with --output")
    from compactnas.runs.folder import read_config
    from compactnas.selection.holdout import on_one_device

    own = on_one_device(read_config(Path(first.run[0])))
    before = {name: asdict(getattr(own, name)) for name in PARTS}
    if "search" in first:
        before["search"] = {key: asdict(own.search)[key] for key in sorted(LIMITS)}
    parser.set_defaults({f"{name}.{key}": value for name, part in before.items() for key, value in part.items()})
    options = parser.parse_args(argv)
    given: dict[str, Any] = {name: instance(kind, options[name]) for name, kind in PARTS.items()}
    search = replace(own.search, **options.search.as_dict()) if "search" in first else own.search
    return options, replace(own, **given, search=search, seed=options.seed)
