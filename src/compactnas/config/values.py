"""Configs from plain values, such as those of a YAML file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from compactnas.io.untrusted import require_plain

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Config = TypeVar("Config")

NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "tuple": "a list of names, [a,b]",
    "dict": "names with values",
}
"""Names of types in messages."""

UNION = re.compile(
    r"Does not validate against any of the Union .*?Subtypes: \[(?P<kinds>.*)\] Errors: .* Given value: "
)


def from_values(kind: type[Config], values: dict[str, Any], defaults: dict[str, Any] | None = None) -> Config:
    """Make a config dataclass from plain values; values that are left out keep their defaults.

    Raises:
        TypeError: A name is unknown, or a value has another type.
        UserError: The config does not allow a value.
    """
    from jsonargparse import ArgumentError  # imported here: takes 0.2 s that a library user may not need

    require_plain(kind, values)
    if unknown := unknown_key(kind, values):
        raise TypeError(unknown)
    parser = _new_parser(kind) if defaults else _parser(kind)
    parser.set_defaults(defaults or {})
    try:
        return kind(**vars(parser.instantiate(parser.parse_object(values))))
    except ArgumentError as error:
        raise TypeError(in_plain_words(str(error))) from None
    except RecursionError:
        raise TypeError("a value is nested too deeply") from None


def _new_parser(kind: Any) -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, None)
    return parser


_parser: Callable[[Any], ArgumentParser] = lru_cache(_new_parser)
"""Parsers without defaults, cached because making one takes longer than using it."""


def unknown_key(kind: Any, values: Mapping[str, Any], also: Sequence[str] = (), prefix: str = "") -> str:
    """Describe the first unknown key of a config, and suggest a known one; empty if all keys are known.

    Args:
        kind: Config dataclass.
        values: Values of a YAML file.
        also: Other names that are allowed at the top level.
        prefix: Dotted name of `values` in the file, with a dot at its end.
    """
    known: dict[str, Any] = {field.name: field.default_factory for field in fields(kind)}
    inner = [f"{name}.{field.name}" for name, part in known.items() if is_dataclass(part) for field in fields(part)]
    for name, value in values.items():
        part = known.get(name)
        if name not in known and name not in also:
            near = [one for one in inner if one.endswith(f".{name}")] or get_close_matches(name, [*known, *also], n=1)
            hint = f"did you mean {' or '.join(prefix + one for one in near)}?" if near else f"use {', '.join(known)}"
            return f"{prefix}{name[:80]}: unknown key; {hint}"
        inside = isinstance(value, Mapping) and is_dataclass(part)
        if inside and (found := unknown_key(part, value, (), f"{prefix}{name}.")):
            return found
    return ""


def in_plain_words(message: str) -> str:
    """Rewrite an error message of jsonargparse as one line without Python's types."""
    line = " ".join(message.split())
    line = re.sub(r"^Parser key \"([^\"]+)\": ", r"\1: ", line)
    if union := UNION.search(line):
        outer = re.sub(r"\[.*?\]", "", union["kinds"])  # `tuple[str, ...]` becomes `tuple`
        kinds = " or ".join(noun for kind, noun in NOUNS.items() if re.search(rf"\b{kind}\b", outer))
        line = f"{line[: union.start()]}expected {kinds}; found {line[union.end() :]}"
    line = re.sub(r"Expected a typing\.Literal\[(.*?)\]\.", r"use one of \1.", line)
    line = re.sub(r"Expected a <class '(\w+)'>\.", lambda kind: f"expected {NOUNS.get(kind[1], kind[1])}.", line)
    return line.replace(". Got value:", "; found").replace("Got value:", "found")
