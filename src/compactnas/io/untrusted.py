"""Text from outside, read as plain values and within limits.

A file may come from a stranger: nothing in it is executed or imported, and what is made of it in memory stays far
below a gigabyte, whatever it claims.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from compactnas.errors import UserError

MOST_BYTES = 16 * 2**20
"""Of a text that is parsed: what is made of it can take forty times as much memory."""
MOST_YAML_BYTES = 2**18
"""Of a config or a study; the parser takes a second for so many."""
MOST_DEPTH = 32
"""Of YAML's lists and mappings inside one another."""
MOST_DIGITS = 18
"""Of a whole number, so that it fits 64 bits wherever it goes."""


def read_text(path: Path, what: str, most: int = MOST_BYTES, errors: str = "strict") -> str:
    """Read a text file of at most so many bytes in UTF-8; `what` says in an error what to do."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is not a file; {what}")  # a pipe would be waited for
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise UserError(f"{path}: is larger than {most / 2**20:g} MiB; {what}")
        return content.decode("utf-8", errors)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {what}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text in UTF-8 (byte {error.start}); {what}") from None


def parse_json(text: str) -> Any:
    """Values of a JSON text.

    Errors:
        ValueError: not JSON, nested too deeply, or a whole number that does not fit 64 bits; in one line.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; `what` says in an error what to do."""
    text = read_text(path, what, MOST_YAML_BYTES)
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{path}: not YAML ({error}); {what}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no names with values; {what}")
    return values


def parse_yaml(text: str) -> Any:
    """Plain values of a YAML text: mappings by name, lists, text, numbers, true and false, null.

    Aliases are refused, since what they repeat can double with each line of the file.

    Errors:
        ValueError: anything else, in one line.
    """
    import yaml  # late: only who reads a config needs it

    depth = 0
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"*{str(event.anchor)[:40]} is an alias; write out what it repeats")
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        values = yaml.safe_load(text)
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # Beside its own errors: what its constructors raise for a value that is not of its tag's kind.
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None
    return _plain(values)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain_name(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError(f"a value of type {type(value).__name__}, where text or a number is expected")
    return value


def _plain_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{str(name)[:40]!r} is no name")
    return name


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return int(digits)


IMPORTING = ("class_path", "init_args", "dict_kwargs")
"""Names by which jsonargparse is told of a class, whose module it imports: a stranger would choose what runs."""

LONGEST_TEXT, MOST_BRACKETS = 4096, 32


def require_plain(kind: Any, values: Any) -> None:
    """Check values for a config dataclass before jsonargparse sees them: configs by their fields, and no classes.

    Errors:
        TypeError: a class is named, a config is not given by the names of its fields, or a text is more than a text.
    """
    configs = {field.name: field.default_factory for field in fields(kind) if is_dataclass(field.default_factory)}
    for name, value in values.items():
        if not isinstance(name, str) or "." in name:
            raise TypeError(f"{str(name)[:40]!r} is no name of a value")
        if name in configs and not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected names and values, found {str(value)[:40]!r}")
        if name in configs:
            require_plain(configs[name], value)
        else:
            _require_plain_value(name, value)


def _require_plain_value(name: Any, value: Any) -> None:
    if name in IMPORTING:
        raise TypeError(f"{name}: a config names no classes")
    if isinstance(value, str):
        # It is read as YAML once more, where an alias (*) can double what it repeats (&) with each line.
        brackets = value.count("[") + value.count("{")
        if len(value) > LONGEST_TEXT or brackets > MOST_BRACKETS or {"&", "*"} <= set(value):
            raise TypeError(f"{name}: {value[:40]!r} is not such a value")
    elif isinstance(value, Mapping):
        for inner in value.items():
            _require_plain_value(*inner)
    elif isinstance(value, list | tuple):
        for one in value:
            _require_plain_value(name, one)
