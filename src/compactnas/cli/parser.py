"""A parser that raises each error as one `UserError`, with options that are easy to type."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from compactnas.cli.help import help_text, is_switch, negated, spellings
from compactnas.config import DataConfig, MachineConfig, RunConfig, SearchConfig, TrainConfig
from compactnas.config.values import in_plain_words, wrong_key
from compactnas.errors import UserError
from compactnas.io.paths import exists
from compactnas.io.untrusted import parse_yaml, read_yaml, require_plain
from compactnas.io.writable import require_writable
from compactnas.space.search_space import Space

PARTS = {
    "data": DataConfig,
    "space": Space,
    "search": SearchConfig,
    "train": TrainConfig,
    "machine": MachineConfig,
}
"""Name of a part of a `RunConfig` -> its config."""

CONFIG_FILES = {"--config": RunConfig} | {f"--{name}": kind for name, kind in PARTS.items()}
"""Option that takes a YAML file -> the config that the file describes."""

LISTS = (
    *(
        f"--{name}.{one.name}"
        for name, kind in PARTS.items()
        for one in fields(kind)
        if str(one.type).startswith("tuple")
    ),
    "--mean",
    "--std",
)
"""Options that take several names: `a,b` means `[a,b]`."""

BUDGETS = {
    "--max-macs": "--search.max_macs",
    "--max-parameters": "--search.max_parameters",
    "--max-latency-ms": "--search.max_latency_ms",
}
"""Short name -> budget of a search."""

QUANTITIES = {*BUDGETS.values(), "--least", "--most"}
"""Options that take `20M` for 20000000."""

ALWAYS_COMMON = {"--help", "--help-all"}


class _HelpAll(argparse.Action):
    """Print the help with all options and exit."""

    def __init__(self, option_strings: Sequence[str], dest: str = argparse.SUPPRESS, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=more.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        print(help_text(parser, everything=True), end="")
        parser.exit()


class Parser(ArgumentParser):
    """Parser of one command.

    Options can be typed with dashes or underscores. `--data.bands B02,B03` means `[B02,B03]`. A switch is a flag
    (`--lonlat`, `--no-lonlat`), and an alias sets several options.

    Args:
        command: Name of the command.
        arguments: Rest of the usage line.
        description: Purpose of the command.
        aliases: Option -> options that get its value.
        common: Options that `--help` shows; `--help-all` shows the others too. If empty, `--help` shows all.
        required: Options that the user must give.
        writes_file: Whether `--output` is a file; otherwise, it is a folder.
    """

    def __init__(
        self,
        command: str,
        arguments: str,
        description: str,
        *,
        aliases: Mapping[str, Sequence[str]] | None = None,
        common: Sequence[str] = (),
        required: Sequence[str] = (),
        writes_file: bool = False,
    ) -> None:
        self.aliases, self.common, self.required = dict(aliases or {}), set(common), set(required)
        self.writes_file, self.only_in_files = writes_file, dict[str, str]()
        super().__init__(
            prog=f"compactnas {command}",
            usage=f"compactnas {command} {arguments}",
            description=description,
            allow_abbrev=False,
            print_config="--print-config",
            add_help=False,
        )
        self.add_argument("-h", "--help", action="help", help="Show this help and exit.")
        self.add_argument("--help-all", action=_HelpAll, help="Show all options and exit.")

    def keep_to_files(self, names: Sequence[str], because: str) -> None:
        """Take options away that the command does not use; config files, which serve all commands, may hold them.

        Args:
            names: Names of options, or of parts of a config.
            because: Reason, for messages.
        """
        for action in self._actions:
            if action.dest in names or action.dest.partition(".")[0] in names:
                action.help = argparse.SUPPRESS
                self.only_in_files |= dict.fromkeys(action.option_strings, because)

    def parsed(self, words: Sequence[str]) -> Namespace:
        """Parse words of `words`, and check that the output can be written, before any work is done for it."""
        options = self.parse_args(list(words)).clone(with_meta=False)  # the path of a `--search FILE` is no option
        if output := options.get("output") or options.get("destination"):
            require_writable(Path(output), is_file=self.writes_file)
        if figures := options.get("figures"):
            require_writable(Path(figures), is_file=False)
        return options

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:
        """Write the help that `--help` prints; argparse's formatter is not used."""
        return help_text(self, everything=False)

    def is_common(self, action: argparse.Action) -> bool:
        """Check whether `--help` shows an option."""
        names = set(spellings(action))
        return not self.common or bool(names & self.common) or bool(names & ALWAYS_COMMON)

    def is_required(self, action: argparse.Action) -> bool:
        """Check whether the user must give an option."""
        return bool(set(spellings(action)) & self.required)

    def words(self, argv: Sequence[str]) -> list[str]:
        """Rewrite the user's arguments as jsonargparse expects them."""
        switches = self._switches()
        known = (*self._option_string_actions, *self.aliases, *switches)
        spelt = {option.replace("-", "_"): option for option in known}
        words: list[str] = []
        rest = list(argv)
        while rest:
            option, equals, value = rest.pop(0).partition("=")
            if not option.startswith("--"):
                words.append(option + equals + value)
                continue
            option = spelt.get(option.replace("-", "_"), option)
            if because := self.only_in_files.get(switches[option][0] if option in switches else option):
                raise UserError(f"{option.replace('_', '-')}: has no effect, because {because}; leave it out")
            if option in switches:
                words.append(_switched(option, switches[option], value if equals else None, rest))
                continue
            if option in CONFIG_FILES:
                self._require_plain_file(option, value if equals else "".join(rest[:1]))
            names = self.aliases.get(option, (option,))
            if option in self.aliases and not equals and not rest:
                raise UserError(f"{option}: needs a value; see `{self.prog} --help`")
            if not equals and rest and (option in LISTS or option in self.aliases or set(names) & QUANTITIES):
                equals, value = "=", rest.pop(0)
            if option in LISTS and not value.startswith("["):
                value = f"[{value}]"
            words += [name + equals + (_in_full(value) if name in QUANTITIES else value) for name in names]
        return words

    def _switches(self) -> dict[str, tuple[str, str]]:
        """Map each spelling of a switch to its option and value."""
        switches = [name for action in self._actions if is_switch(action) for name in action.option_strings]
        on = {name: (name, "true") for name in switches}
        return on | {negated(name.replace("_", "-")): (name, "false") for name in switches}

    def _require_plain_file(self, option: str, file: str) -> None:
        """Check a YAML file, or YAML in its place, because the parser would import classes that it names."""
        kind = CONFIG_FILES[option]
        own = {action.dest for action in self._actions if "." not in action.dest} if kind is RunConfig else set()
        try:
            values = _values_of(option, file)
            if values is None:
                return  # the parser reports a missing file
            if "config" in values:
                raise TypeError("config: a config file cannot name another one; give --config once for each file")
            require_plain(kind, values)
            if fault := wrong_key(kind, values, sorted(own)):
                raise TypeError(fault)
        except TypeError as error:
            raise UserError(f"{file[:200]}: {error}") from None

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise an error message of jsonargparse as a `UserError`."""
        raise UserError(self._explain(message))

    def _explain(self, message: str) -> str:
        line = in_plain_words(message)
        if unknown := re.match(r"unrecognized arguments: (\S+)", line):
            return f"unknown option {unknown[1]}; {self._hint(unknown[1])}"
        if missing := re.search(r"arguments are required: (.+)", line):
            return f"missing {missing[1].upper()}; see `{self.prog} --help`"
        if option := re.match(r"argument (?:-\w/)?(--[\w.-]+): (.*)", line):
            what = option[2].replace("expected one argument", "needs a value")
            line = f"{option[1].replace('_', '-')}: {what}"
        return f"{line}; see `{self.prog} --help`"

    def _hint(self, word: str) -> str:
        shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
        known = [name for action in shown for name in spellings(action) if name.startswith("--")]
        near = difflib.get_close_matches(word.split("=")[0].replace("_", "-"), known, n=1)
        return f"did you mean {near[0]}?" if near else f"`{self.prog} --help-all` lists all options"


def _values_of(option: str, given: str) -> dict[str, Any] | None:
    """Read the YAML file that an option names, or the YAML that it holds; None if it is neither."""
    how = "`compactnas run --print-config` prints an example"
    if exists(given):
        return read_yaml(Path(given), how)
    try:
        values = parse_yaml(given)
    except ValueError as error:
        raise UserError(f"{option}: {given[:40]!r} is neither a file nor YAML ({error}); {how}") from None
    return values if isinstance(values, dict) else None


def _switched(typed: str, switch: tuple[str, str], value: str | None, rest: Sequence[str]) -> str:
    """Rewrite a switch for jsonargparse; `--x=false` is accepted, `--x false` is not."""
    option, on = switch
    if value is not None and typed == option:
        return f"{option}={value}"
    if value is not None or (rest and rest[0] in ("true", "false")):
        name = option.replace("_", "-")
        raise UserError(f"{typed.replace('_', '-')}: takes no value; write {name} or {negated(name)}")
    return f"{option}={on}"


def _in_full(number: str) -> str:
    """Write `20M` as 20000000.0; any other text is unchanged."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG])", number)
    return str(float(match[1]) * {"k": 1e3, "M": 1e6, "G": 1e9}[match[2]]) if match else number
