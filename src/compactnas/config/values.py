"""Configs from plain values, such as those of a YAML file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

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
    require_plain(kind, values)
    if fault := wrong_key(kind, values):
        raise TypeError(fault)
    try:
        return _build(kind, values, defaults or {})
    except RecursionError:
        raise TypeError("a value is nested too deeply") from None


def _build(kind: type[Config], values: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> Config:
    """Make a config from its own values and its parts. Runs share most of their parts, so each is parsed once."""
    own = dict(defaults) | dict(values)
    parts: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
        value, part = own.get(field.name), field.default_factory
        if is_dataclass(part) and isinstance(value, Mapping):
            known = defaults.get(field.name, {})
            parts[field.name] = _build(part, values.get(field.name, {}), known, f"{prefix}{field.name}.")
            del own[field.name]
    return kind(**_arguments(kind, own, prefix), **parts)


def _arguments(kind: Any, values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Check the values of a config's own fields, and convert them to the fields' types."""
    from jsonargparse import ArgumentError  # imported here: takes 0.2 s that a library user may not need

    try:
        return deepcopy(_parse(kind, json.dumps(values, default=str)))
    except ArgumentError as error:
        raise TypeError(prefix + in_plain_words(str(error))) from None


@lru_cache(maxsize=1024)
def _parse(kind: Any, text: str) -> dict[str, Any]:
    values = json.loads(text)
    parsed = _parser(kind).parse_object(values)
    return {name: parsed[name] for name in values}


@lru_cache
def _parser(kind: Any) -> ArgumentParser:
    """Make a parser; cached because making one takes longer than using it."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, None)
    return parser


def wrong_key(kind: Any, values: Mapping[str, Any], also: Sequence[str] = (), prefix: str = "") -> str:
    """Describe the first key of a config that is unknown, or has no value but needs one; empty if there is none.

    The parser lets `null` pass for every type. For an unknown key, a known one is suggested.

    Args:
        kind: Config dataclass.
        values: Values of a YAML file.
        also: Other names that are allowed at the top level.
        prefix: Dotted name of `values` in the file, with a dot at its end.
    """
    kinds = get_type_hints(kind)
    known = {field.name: kinds[field.name] for field in fields(kind)}
    inner = [f"{name}.{field.name}" for name, part in known.items() if is_dataclass(part) for field in fields(part)]
    for name, value in values.items():
        part = known.get(name)
        if name not in known and name not in also:
            near = [one for one in inner if one.endswith(f".{name}")] or get_close_matches(name, [*known, *also], n=1)
            hint = f"did you mean {' or '.join(prefix + one for one in near)}?" if near else f"use {', '.join(known)}"
            return f"{prefix}{name[:80]}: unknown key; {hint}"
        if value is None and part and type(None) not in get_args(part):
            return f"{prefix}{name}: has no value; give one, or leave the key out"
        inside = isinstance(value, Mapping) and is_dataclass(part)
        if inside and (found := wrong_key(part, value, (), f"{prefix}{name}.")):
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
