"""Read text files as plain values, within limits.

Files are untrusted input: nothing in them is executed or imported, and reading one takes far less than a gigabyte of
memory, whatever its content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.paths import exists

MOST_BYTES = 16 * 2**20
"""Largest text to parse, in bytes. The parsed values can take forty times as much memory."""
MOST_YAML_BYTES = 2**18
"""Largest config or study, in bytes. The parser takes about a second for it."""
MOST_DEPTH = 32
"""Deepest nesting of lists and mappings."""
JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[][{}]', re.DOTALL)
"""A bracket of JSON, or a whole string, so that the brackets in it are not counted."""
MOST_DIGITS = 18
"""Most digits of a whole number, so that it fits in 64 bits."""


def read_text(path: Path, what: str, most: int = MOST_BYTES, errors: str = "strict") -> str:
    """Read a UTF-8 file of at most `most` bytes. If that fails, the error message ends with `what`, the next step."""
    if exists(path) and not path.is_file():
        raise UserError(f"{path}: is not a file; {what}")  # reading a pipe could block
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
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, is nested too deeply, or has a whole number that does not fit in 64 bits.
            The message is one line.
    """
    require_shallow(text)
    return json.loads(text, parse_int=_whole)


def require_shallow(text: str) -> None:
    """Check the nesting of JSON before it is parsed, so that no reader of it comes near Python's recursion limit.

    Raises:
        ValueError: Lists and mappings are nested more than `MOST_DEPTH` deep.
    """
    depth = 0
    for found in JSON_TOKEN.finditer(text):
        bracket = found[0]
        if bracket in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        elif bracket in "]}":
            depth -= 1


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file with one mapping. If that fails, the error message ends with `what`, the next step."""
    text = read_text(path, what, MOST_YAML_BYTES)
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{path}: not YAML ({error}); {what}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: not a mapping of names to values; {what}")
    return values


def parse_yaml(text: str) -> Any:
    """Parse YAML to plain values: mappings with text keys, lists, text, numbers, booleans and null.

    Aliases are refused, because repeated aliases grow exponentially.

    Raises:
        ValueError: The text has anything else. The message is one line.
    """
    import yaml  # late, because most commands read no YAML

    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # in C, ten times as fast
    depth = 0
    try:
        for event in yaml.parse(text, loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"*{str(event.anchor)[:40]} is an alias; write out what it repeats")
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        values = loader(text).get_single_data()
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # Besides YAML's own errors, its constructors raise these for a value that does not fit its tag.
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
        raise ValueError(f"{str(name)[:40]!r} is not a name")
    return name


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return int(digits)


IMPORTING = ("class_path", "init_args", "dict_kwargs")
"""Keys with which jsonargparse imports a class. A config must not use them: its author would choose what runs."""

LONGEST_TEXT, MOST_BRACKETS = 4096, 32


def require_plain(kind: Any, values: Any) -> None:
    """Check values for a config dataclass before jsonargparse parses them.

    Raises:
        TypeError: A value names a class, a config is not a mapping of its fields, or a text has YAML syntax.
    """
    configs = {field.name: field.default_factory for field in fields(kind) if is_dataclass(field.default_factory)}
    for name, value in values.items():
        if not isinstance(name, str) or "." in name:
            raise TypeError(f"{str(name)[:40]!r} is not the name of an option")
        if name in configs and not isinstance(value, Mapping):
            raise TypeError(f"{name}: expected names and values, found {str(value)[:40]!r}")
        if name in configs:
            require_plain(configs[name], value)
        else:
            _require_plain_value(name, value)


def _require_plain_value(name: Any, value: Any) -> None:
    if name in IMPORTING:
        raise TypeError(f"{name}: a config cannot name a class")
    if isinstance(value, str):
        # It will be parsed as YAML again, in which aliases (* of &) grow exponentially.
        brackets = value.count("[") + value.count("{")
        if len(value) > LONGEST_TEXT or brackets > MOST_BRACKETS or {"&", "*"} <= set(value):
            raise TypeError(f"{name}: {value[:40]!r} is not a valid value")
    elif isinstance(value, Mapping):
        for inner in value.items():
            _require_plain_value(*inner)
    elif isinstance(value, list | tuple):
        for one in value:
            _require_plain_value(name, one)
