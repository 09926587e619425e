"""Reference of the commands, the config keys and the public names, from the code itself."""

from __future__ import annotations

import argparse
import inspect
from importlib import import_module

import compactnas
from compactnas.cli.command import COMMANDS, GROUPS
from compactnas.cli.help import TITLES, explained, label
from compactnas.cli.parser import PARTS, Parser
from compactnas.config import RECIPES


def commands() -> str:
    """Describe each command: usage, examples and its options, grouped as `compactnas --help` groups them."""
    groups = dict.fromkeys([*GROUPS, *(command.group for command in COMMANDS.values())])
    lines = []
    for group in groups:
        lines.append(f"## {group}\n")
        lines += [_command(name) for name, command in COMMANDS.items() if command.group == group]
    return "\n".join(lines)


def _command(name: str) -> str:
    command = COMMANDS[name]
    parser = command.build()
    assert isinstance(parser, Parser)
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS and _is_own(action, parser)]
    lines = [f"### {name}\n", parser.description or command.summary, "", "```text", f"{parser.usage}", "```", ""]
    lines += ["```bash", *command.examples, "```", ""]
    for action in sorted(shown, key=lambda each: (bool(each.option_strings), not parser.is_required(each))):
        lines += _item(f"`{label(action)}`", explained(action, parser))
    parts = [title for part, title in TITLES.items() if any(a.dest.startswith(f"{part}.") for a in parser._actions)]
    if parts:
        links = ", ".join(f"[{title}](config.md#{title.lower().replace(' ', '-')})" for title in parts)
        lines.append(f"Config keys, as in `--search.epochs 50`: {links}.\n")
    return "\n".join(lines)


def _is_own(action: argparse.Action, parser: Parser) -> bool:
    """Check whether an option is listed with its command: config keys have a page of their own, help is the same."""
    return action.dest not in ("help", "help_all") and ("." not in action.dest or parser.is_common(action))


def _item(term: str, text: str) -> list[str]:
    plain = text.replace("\N{NO-BREAK SPACE}", " ").replace("<", r"\<")
    return [term, f": {plain}", ""]


def config_keys() -> str:
    """Describe each config key: meaning, default, and the values of recipes that differ."""
    parser = COMMANDS["run"].build()
    assert isinstance(parser, Parser)
    recipes = {name: make() for name, make in RECIPES.items()}
    lines = []
    for part in PARTS:
        lines.append(f"## {TITLES[part]}\n")
        for action in parser._actions:
            start, _, key = action.dest.partition(".")
            if start != part or not key:
                continue
            values = {name: getattr(getattr(config, part), key) for name, config in recipes.items()}
            other = [f"{name}: `{_plain(value)}`" for name, value in values.items() if value != values["paper"]]
            text = explained(action, parser) + (f" Other recipes: {', '.join(other)}." if other else "")
            lines += _item(f"`{part}.{key}`, as an option `{label(action)}`", text)
    return "\n".join(lines)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def public_names() -> str:
    """Document each public name by its docstring, by the package that it lives in."""
    packages: dict[str, list[str]] = {}
    for name in compactnas.__all__:
        if name != "__version__":
            packages.setdefault(compactnas._HOMES.get(name, (name, name))[0].partition(".")[0], []).append(name)
    lines = []
    for package, names in sorted(packages.items()):
        title = (inspect.getdoc(import_module(f"compactnas.{package}")) or package).splitlines()[0].rstrip(".:")
        lines += [f"## compactnas.{package}", "", title + ".", "", "```{eval-rst}"]
        for name in names:
            value = getattr(compactnas, name)
            if inspect.isclass(value):
                others = ",".join(_members_of_others(value))
                lines += [f".. autoclass:: compactnas.{name}", "   :members:", f"   :exclude-members: {others}", ""]
            elif inspect.ismodule(value):
                lines += [f".. automodule:: compactnas.{name}", "   :members:", ""]
            elif callable(value):
                lines += [f".. autofunction:: compactnas.{name}", ""]
            else:
                lines += [f".. autodata:: compactnas.{name}", "   :no-value:", ""]
        lines += ["```", ""]
    return "\n".join(lines)


def _members_of_others(kind: type) -> list[str]:
    """List the attributes that scikit-learn adds to a class, whose docstrings link to its own pages."""
    found = ((name, inspect.getattr_static(kind, name)) for name in dir(kind))
    return [name for name, member in found if type(member).__module__.partition(".")[0] == "sklearn"]
