"""Configs of plain values."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from compactnas.io.untrusted import require_plain

Config = TypeVar("Config")

NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "tuple": "a list of names, [a,b]",
    "dict": "names with values",
}
"""What a type is called before people who do not write Python."""

UNION = re.compile(
    r"Does not validate against any of the Union .*?Subtypes: \[(?P<kinds>.*)\] Errors: .* Given value: "
)


def from_values(kind: type[Config], values: dict[str, Any], defaults: dict[str, Any] | None = None) -> Config:
    """A config dataclass of plain values, as a YAML file gives them; what it does not give is the default.

    Errors:
        TypeError: an unknown name, or a value of another kind.
        UserError: a value that the config refuses.
    """
    from jsonargparse import ArgumentError, ArgumentParser  # late: a fifth of a second that a library user may not need

    require_plain(kind, values)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, None)
    parser.set_defaults(defaults or {})
    try:
        return kind(**vars(parser.instantiate(parser.parse_object(values))))
    except ArgumentError as error:
        raise TypeError(in_plain_words(str(error))) from None
    except RecursionError:
        raise TypeError("a value is nested too deeply") from None


def in_plain_words(message: str, key: str = "") -> str:
    """A complaint of jsonargparse in one line without Python's types; `key` stands before the name of the value."""
    line = " ".join(message.split())
    line = re.sub(r"^Parser key \"([^\"]+)\": ", rf"{key}\1: ", line)
    if union := UNION.search(line):
        outer = re.sub(r"\[.*?\]", "", union["kinds"])  # of tuple[str, ...] the tuple
        kinds = " or ".join(noun for kind, noun in NOUNS.items() if re.search(rf"\b{kind}\b", outer))
        line = f"{line[: union.start()]}expected {kinds}; found {line[union.end() :]}"
    line = re.sub(r"Expected a typing\.Literal\[(.*?)\]\.", r"use one of \1.", line)
    line = re.sub(r"Expected a <class '(\w+)'>\.", lambda kind: f"expected {NOUNS.get(kind[1], kind[1])}.", line)
    return line.replace(". Got value:", "; found").replace("Got value:", "found")
