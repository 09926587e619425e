"""Name options in messages as the user typed them: on the command line or in a YAML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.untrusted import read_yaml

KEYS = re.compile(r"([a-z_]+(?:\.[a-z_]+)?(?:, [a-z_]+(?:\.[a-z_]+)?)*): ")
"""Start of a message about one or more options: `search.epochs: ...`."""

OPTION = re.compile(r"(?<![\w./-])(?:--)?((?:data|space|search|train|machine)\.[a-z]+(?:_[a-z]+)*)(?![\w./])")
"""A key inside a message, with or without the dashes of an option."""

CONFIG_OPTIONS = {"--config": ""} | {
    f"--{part}": f"{part}." for part in ("data", "space", "search", "train", "machine")
}
"""Option that takes a YAML file -> prefix of the keys in the file."""


def as_typed(message: str, words: Sequence[str]) -> str:
    """Spell the keys at the start of a message as the user typed them.

    Args:
        message: Text such as `search.epochs: 0 is less than 1`.
        words: Arguments of the command line.
    """
    match = KEYS.match(message)
    start = match.end() if match else 0
    if not {word.partition("=")[0] for word in words} & {"study", *CONFIG_OPTIONS}:  # whose keys are in a file
        message = message[:start] + OPTION.sub(lambda found: _dashed(found[1]), message[start:])
    if match is None:
        return message
    typed = {word.partition("=")[0].lstrip("-").replace("-", "_") for word in words if word.startswith("--")}
    files = dict(_config_files(words))
    keys = ", ".join(_typed(key, typed, files) for key in match[1].split(", "))
    return f"{keys}: {message[match.end() :]}"


def _dashed(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _typed(key: str, typed: set[str], files: dict[str, dict[str, Any]]) -> str:
    for name in (key, key.rpartition(".")[2]):
        if name in typed:
            return _dashed(name)
    for file, values in files.items():
        if _holds(values, key.split(".")):
            return f"{key} in {file}"
    return key


def _holds(values: Any, path: Sequence[str]) -> bool:
    if not path:
        return True
    return isinstance(values, dict) and path[0] in values and _holds(values[path[0]], path[1:])


def _config_files(words: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Read the YAML files that the command line names. Their keys are those of a whole config."""
    found = []
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in CONFIG_OPTIONS:
            file = value if equals else "".join(words[place + 1 : place + 2])
            part = CONFIG_OPTIONS[option].rstrip(".")
            try:
                values = read_yaml(Path(file), "")
            except UserError:
                continue
            found.append((file, {part: values} if part else values))
    return found
