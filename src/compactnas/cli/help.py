"""Write the help of a command: groups of options, common ones first, without Python's types."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, get_args, get_origin, runtime_checkable

from compactnas.cli.command import COMMANDS
from compactnas.config import DATA_FORMATS, OBJECTIVES, STRATEGIES
from compactnas.space.layouts import LAYOUTS

TITLES = {"data": "Data", "space": "Search space", "search": "Search", "train": "Training", "machine": "Compute"}
"""Part of a config -> heading of its options."""

PLACES = {
    "path": "PATH",
    "output": "PATH",
    "config": "FILE",
    "labels": "FILE",
    "mask": "FILE",
    "plan_from": "FILE",
    "mosaic": "FILE",
    "figures": "DIR",
    "held_out": "RUN",
    "like": "RUN",
    "split_csv": "FILE",
    "latency_table": "FILE",
    "start_from": "RUN",
    "teachers": "RUN,...",
    **dict.fromkeys(TITLES, "FILE"),
}
"""Option whose value is a file or folder -> name of the value in the help."""

TEXTS = {
    "print_config": "Print the config of these options as YAML and exit.",
    **{name: f"YAML file with values of the options --{name}.*." for name in TITLES},
}
"""Option -> help text that replaces the one of jsonargparse."""

CHOICES = {
    "data.format": ("auto", *DATA_FORMATS),
    "space.layout": tuple(LAYOUTS),
    "search.strategy": tuple(STRATEGIES),
    "search.objective": ("auto", *OBJECTIVES),
}
"""Option whose values are names from a registry -> the names."""

WIDEST, INDENT = 100, 26


@runtime_checkable
class Described(Protocol):
    """What the help tells of a command's parser."""

    prog: str
    usage: str | None
    description: str | None
    _actions: list[argparse.Action]

    def is_common(self, action: argparse.Action, /) -> bool:
        """Check whether `--help` shows an option."""
        ...

    def is_required(self, action: argparse.Action, /) -> bool:
        """Check whether the user must give an option."""
        ...


def help_text(parser: Described, *, everything: bool) -> str:
    """Write the help of a command.

    Args:
        parser: Parser of the command.
        everything: Show all options, not only the common ones.
    """
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    positional = [action for action in actions if not action.option_strings]
    options = [action for action in actions if action.option_strings]
    common = sorted(filter(parser.is_common, options), key=lambda action: not parser.is_required(action))
    rest = [action for action in options if not parser.is_common(action)]
    lines = [f"usage: {parser.usage}", "", *_wrapped(parser.description or "", 0), ""]
    lines += _section("Arguments", positional, parser)
    lines += _section("Common options" if rest else "Options", common, parser)
    if everything:
        for title, members in _grouped(rest).items():
            lines += _section(title, members, parser)
    name = parser.prog.partition(" ")[2]
    if name in COMMANDS:
        lines += ["Examples:", *(f"  {line}" for line in COMMANDS[name].examples), ""]
    if rest and not everything:
        lines.append(f"`{parser.prog} --help-all` lists {len(rest)} more options.")
    return "\n".join(lines).rstrip() + "\n"


def spellings(action: argparse.Action) -> list[str]:
    """List the spellings of an option: with dashes, and both `--x` and `--no-x` if it is a switch."""
    names = [name.replace("_", "-") for name in action.option_strings]
    return [*names, negated(names[-1])] if is_switch(action) else names


def is_switch(action: argparse.Action) -> bool:
    """Check whether an option is a switch, which is on or off."""
    return getattr(action, "_typehint", None) is bool


def negated(option: str) -> str:
    """Make the spelling that turns a switch off: `--no-lonlat`, `--search.no-nesterov`."""
    start, dot, last = option.removeprefix("--").rpartition(".")
    return f"--{start}{dot}no-{last}"


def choices_of(action: argparse.Action) -> tuple[str, ...]:
    """List the names that an option takes; empty if it takes other values."""
    kind = getattr(action, "_typehint", None)
    return tuple(map(str, get_args(kind) if get_origin(kind) is Literal else CHOICES.get(action.dest, ())))


def takes_path(action: argparse.Action) -> bool:
    """Check whether the value of an option is a file or folder."""
    return action.dest.rpartition(".")[2] in PLACES


def _grouped(actions: Iterable[argparse.Action]) -> dict[str, list[argparse.Action]]:
    groups: dict[str, list[argparse.Action]] = {title: [] for title in ("Other options", *TITLES.values())}
    for action in actions:
        groups[TITLES.get(action.dest.partition(".")[0], "Other options")].append(action)
    return groups


def _section(title: str, actions: Sequence[argparse.Action], parser: Described) -> list[str]:
    if not actions:
        return []
    lines = [f"{title}:"]
    for action in actions:
        term, text = f"  {label(action)}", _wrapped(explained(action, parser), INDENT)
        if len(term) + 2 > INDENT or not text:
            lines += [term, *text]
        else:
            lines += [term.ljust(INDENT) + text[0].lstrip(), *text[1:]]
    return [*lines, ""]


def _wrapped(text: str, indent: int) -> list[str]:
    width = min(WIDEST, max(60, shutil.get_terminal_size().columns))
    space = " " * indent
    lines = textwrap.wrap(
        text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False, break_long_words=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def label(action: argparse.Action) -> str:
    """Write an argument or an option with its value: `-o, --output PATH`."""
    if not action.option_strings:
        return f"{action.dest.upper()}{' ...' if action.nargs == '+' else ''}"
    value = "" if action.nargs == 0 or is_switch(action) else _value(action)
    return ", ".join(spellings(action)) + f" {value}" * bool(value)


def _value(action: argparse.Action) -> str:
    """Name the value of an option in the help."""
    kind, name = getattr(action, "_typehint", None), action.dest.rpartition(".")[2]
    if choices := choices_of(action):
        return "{" + ",".join(choices) + "}"
    if name in PLACES:
        return PLACES[name]
    if action.dest == "print_config":
        return ""
    if action.metavar and action.metavar != "[ITEM,...]":
        return str(action.metavar)
    if get_origin(kind) is tuple:
        return "A,B,..."
    kinds = {kind, *get_args(kind)}
    return "N" if int in kinds else "X" if float in kinds else "FILE" if kind is None else "TEXT"


def explained(action: argparse.Action, parser: Described) -> str:
    """Write the meaning of an option, and its default."""
    text = TEXTS.get(action.dest, " ".join((action.help or "").split()))
    if action.option_strings and parser.is_required(action):
        return f"{text} [required]"
    default = _written(action.default) if action.nargs != 0 else ""
    return f"{text} [default:\N{NO-BREAK SPACE}{default}]" if default else text


def _written(value: Any) -> str:
    """Write a default as the user would type it; empty without a default."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else f"{value:g}"
    if isinstance(value, list | tuple):
        return ",".join(map(_written, value))
    return "" if value in (None, argparse.SUPPRESS) else str(value)
