"""Options of commands that continue from finished searches; the first search gives the defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from compactnas.cli.options import JSON, OUTPUT, RESUME, add_alias, add_budgets, instance
from compactnas.cli.parser import PARTS, Parser
from compactnas.config import RunConfig, SearchConfig
from compactnas.errors import UserError

INHERITED = {name: PARTS[name] for name in ("data", "train", "machine")}
"""Parts of the first search's config that give defaults."""

LIMITS = {"max_macs", "max_parameters", "max_latency_ms", "latency_table"}
"""Fields of the first search's `search` that give defaults."""

COMMON = ("--output", "--resume", "--json", "--seed", "--threads", "--machine.device", "--holdout")
"""Options of these commands that `--help` shows."""


def add_search_options(parser: Parser, *, budgets: bool) -> None:
    """Add the folders of searches, and the options whose defaults are those of the first search.

    Args:
        parser: Parser of the command.
        budgets: Whether to add options for the budgets of candidates.
    """
    parser.add_argument("run", type=str, nargs="+", help="Folders of finished searches.")
    parser.add_argument("-o", "--output", type=str, default="", help=OUTPUT)
    parser.add_argument("--resume", action="store_true", help=RESUME)
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--seed", type=int, default=0, help="Random seed.")
    add_alias(parser, "--threads", ("--machine.threads",), int, "Short for --machine.threads.")
    if budgets:
        add_budgets(parser)
        parser.add_class_arguments(SearchConfig, "search", skip={field.name for field in fields(SearchConfig)} - LIMITS)
    for name, kind in INHERITED.items():
        parser.add_class_arguments(kind, name)


def parse_with_searches(build: Callable[[], Parser], argv: list[str]) -> tuple[Namespace, RunConfig]:
    """Parse the options, and return them with the config of the first search as they change it."""
    parser = build()
    argv = parser.words(argv)
    first = parser.parsed(argv)
    if not first.output:
        raise UserError("no folder for the result; name one with --output")
    from compactnas.runs.folder import read_config
    from compactnas.selection.holdout import on_one_device

    own = on_one_device(read_config(Path(first.run[0])))
    before = {name: asdict(getattr(own, name)) for name in INHERITED}
    if "search" in first:
        before["search"] = {key: asdict(own.search)[key] for key in sorted(LIMITS)}
    parser.set_defaults({f"{name}.{key}": value for name, part in before.items() for key, value in part.items()})
    options = parser.parsed(argv)
    given: dict[str, Any] = {name: instance(kind, options[name]) for name, kind in INHERITED.items()}
    given["data"] = given["data"].with_fitting_split_options(own.data)
    search = replace(own.search, **options.search.as_dict()) if "search" in first else own.search
    return options, replace(own, **given, search=search, seed=options.seed)
