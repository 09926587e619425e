"""`compactnas completion`: print a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from compactnas.cli.command import COMMANDS, Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser

SHELLS = ("bash", "zsh", "tcsh")


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser

    parser = Parser(
        "completion",
        "SHELL",
        f"Print a script that completes commands, options, their choices and file names in {', '.join(SHELLS)} (needs "
        "`[completion]`). Write it where the shell reads it at its start, for bash to "
        "~/.local/share/bash-completion/completions/compactnas.",
    )
    parser.add_argument("shell", type=str, help=f"Name of the shell: {', '.join(SHELLS)}.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    shell = parser.parse_args(parser.words(argv)).shell
    if shell not in SHELLS:
        raise UserError(f"shell: {shell[:80]!r} is unknown; use one of {', '.join(SHELLS)}")
    from compactnas.io.extras import require_extra

    require_extra("completion", "completion needs shtab", "shtab")
    import shtab

    print(shtab.complete(tree(), shell))
    return 0


def tree() -> argparse.ArgumentParser:
    """Describe all commands by one plain parser, as shtab expects it; it parses nothing itself."""
    root = argparse.ArgumentParser("compactnas", add_help=False)
    root.add_argument("--version", action="store_true", help="Print the version.")
    root.add_argument("-h", "--help", action="store_true", help="List the commands.")
    commands = root.add_subparsers(dest="command")
    for name, command in COMMANDS.items():
        parser = commands.add_parser(name, help=command.summary, description=command.summary, add_help=False)
        for action in command.build()._actions:
            if action.help != argparse.SUPPRESS:
                _copy(action, parser)
    return root


def _copy(action: argparse.Action, parser: argparse.ArgumentParser) -> None:
    """Add an option or an argument with its spellings, its help and what completes its value."""
    import shtab

    from compactnas.cli.help import choices_of, is_switch, spellings, takes_path

    text = " ".join((action.help or "").split()).replace("%", "%%")
    names = spellings(action) if action.option_strings else [action.dest]
    if action.option_strings and (action.nargs == 0 or is_switch(action)):
        parser.add_argument(*names, action="store_true", help=text)
        return
    choices = SHELLS if names == ["shell"] else choices_of(action) or None
    added = parser.add_argument(*names, nargs=action.nargs, choices=choices, help=text)
    if choices is None and (takes_path(action) or not action.option_strings):  # all other arguments are paths
        vars(added)["complete"] = shtab.FILE


COMMAND = Command(
    group="Look at results",
    summary="print a script that completes commands in your shell",
    examples=(
        "compactnas completion bash",
        "compactnas completion zsh",
        "compactnas completion tcsh",
    ),
    build=build,
    run=main,
)
