"""Find the options that a user gives and that have no effect: refuse them, or name them in one line of notes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from compactnas.cli.idle_options import FIND, PLANNED, RUN, Planned, Rule, Run, State
from compactnas.config import RECIPES, RunConfig, require_objective_options
from compactnas.distributed.launch import is_rank_zero
from compactnas.errors import UserError
from compactnas.finding.config import FindConfig, find_recipe


def changed(values: Mapping[str, Any], base: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Name the values that differ from those of a base."""
    return {prefix + name for name, value in values.items() if value != base[name]}


def check(rules: Iterable[Rule[State]], state: State, given: set[str]) -> str:
    """Find the given options that have no effect.

    Args:
        rules: Table of the command.
        state: What decides about its options.
        given: Names of the options that the user changed.

    Returns:
        Note about them; empty if there are none.

    Raises:
        UserError: One of them is refused.
    """
    left, found = set(given), []
    for rule in rules:
        keys = [key for key in rule.keys if key in left]
        if not keys or not rule.idle(state):
            continue
        because = rule.because.format(state)
        if rule.error:
            raise UserError(f"{keys[0]}: has no effect, because {because}")
        left -= set(keys)
        found.append(f"{', '.join(keys)}: no effect, because {because}")
    return "; ".join(found)


def note(line: str) -> None:
    """Print a note on stderr, unless it is empty."""
    if line:
        print(f"note: {line}", file=sys.stderr)


def note_of_choice(rules: Iterable[Rule[Any]], options: Namespace, config: RunConfig, choice: Any) -> None:
    """Check the options of a new selection or front.

    Args:
        rules: Table of the command.
        options: Parsed options; the first search of `run` gives the defaults of `train`.
        config: Config of the command.
        choice: Its own options.
    """
    if continues(options):
        return
    from compactnas.runs.folder import read_config
    from compactnas.selection.holdout import on_one_device

    own = on_one_device(read_config(Path(options.run[0])))
    given = changed(asdict(choice), asdict(type(choice)())) | changed(asdict(config.train), asdict(own.train), "train.")
    note(check(rules, choice, given))


def note_of_find(options: Namespace, config: RunConfig, choice: FindConfig, rows: Mapping[str, Sized]) -> None:
    """Print notes about options of a new `find` that have no effect.

    Args:
        options: Parsed options of the command.
        config: Config of the find.
        choice: Its own options.
        rows: Rows of each part of the data.
    """
    if continues(options):
        return
    base, own = find_recipe(), changed(asdict(choice), asdict(FindConfig()))
    note(check(FIND, choice, own | changed(asdict(config.search), asdict(base.search), "search.")))
    parts = ("search", "train") if choice.searches != 0 else ("train",)
    note_of_run(options, config, rows, parts, base=base, ensemble=choice.ensemble)


def note_of_plan(choice: FindConfig, teachers: int, hours: float, file: Path) -> None:
    """Print a note about options of `find` that a plan from a file replaces."""
    note(check(PLANNED, Planned(choice, teachers, hours, file), changed(asdict(choice), asdict(FindConfig()))))


def continues(options: Namespace) -> bool:
    """Check whether a command continues what is in its folder, whose options are settled."""
    return bool(options.resume) and any(
        (Path(options.output) / name).exists() for name in ("config.yaml", "find/config.yaml")
    )


def require_search_options(options: Namespace, config: RunConfig) -> None:
    """Refuse options that the objective of a new search does not have, before its data is opened."""
    if not continues(options):
        require_objective_options(config.search)


def note_of_run(
    options: Namespace,
    config: RunConfig,
    rows: Mapping[str, Sized],
    parts: Sequence[str],
    *,
    base: RunConfig | None = None,
    ensemble: bool = False,
) -> None:
    """Print a note about options that the user changed and that have no effect in a new run.

    Args:
        options: Parsed options of the command.
        config: Config of the run.
        rows: Rows of each part of the data.
        parts: Parts of the config that the command uses.
        base: Config that the user's differs from; by default, that of the recipe.
        ensemble: Whether other networks than those of the config may teach.
    """
    if continues(options) or not is_rank_zero(config.machine):
        return
    ours, theirs = asdict(config), asdict(base or RECIPES[options.recipe]())
    given = set[str]().union(*(changed(ours[part], theirs[part], f"{part}.") for part in parts))
    note(check(RUN, Run(config, bool(len(rows["validation"])), bool(config.train.teachers) or ensemble), given))
