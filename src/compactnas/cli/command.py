"""Commands of the command line, and the registry that finds one in each file of `compactnas.cli.commands`.

A command's module must not import slow packages at its top (torch, jsonargparse), because `compactnas --help` imports
all of them.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass

from compactnas.registry import Registry

GROUPS = (
    "Try it",
    "Get data ready",
    "Search and train",
    "Measure and compare",
    "Use a network",
    "Look at results",
)
"""Order of the groups in `compactnas --help`; other groups come last."""


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        group: Heading under which `compactnas --help` lists the command.
        summary: Purpose of the command in a few words.
        examples: Command lines shown in the help.
        build: Function that makes the parser; `run`, `search` and `train` pass it a recipe.
        run: Function that runs the command with its arguments and returns the exit code.
        after_stop: Advice on how to continue after an interruption; empty if there is nothing to continue.
    """

    group: str
    summary: str
    examples: tuple[str, ...]
    build: Callable[..., ArgumentParser]
    run: Callable[[list[str]], int]
    after_stop: str = ""


COMMANDS: Registry[Command] = Registry("command", "compactnas.cli.commands", "COMMAND")


def overview() -> str:
    """Write the text of `compactnas --help`."""
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    width = max(map(len, COMMANDS)) + 2
    for name, command in COMMANDS.items():
        groups.setdefault(command.group, []).append(f"  {name:<{width}}{command.summary}")
    lines = ["usage: compactnas COMMAND [options]", ""]
    lines += ["Search for compact networks that classify satellite image patches.", ""]
    for group, commands in groups.items():
        lines += [f"{group}:", *commands, ""] if commands else []
    lines.append("`compactnas help COMMAND` describes a command; `compactnas --version` prints the version.")
    return "\n".join(lines)
