"""Read parts from a CSV file that lists patches by path."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TextIO

import numpy as np

from compactnas.data.source import Facts, Groups, Parts
from compactnas.errors import UserError
from compactnas.io.paths import exists

PARTS = ("train", "validation", "test")

LONGEST_LINE = 2**16
"""Longest line of a file in characters."""

WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Accepted names of the parts, with the part that each one means."""


def read_split_csv(path: Path, facts: Facts) -> tuple[Parts, Groups | None]:
    """Read parts from a file with columns path,split[,group]; unlisted patches are left out.

    A path is the key of a patch. Patches that share a key go into the same part.

    Returns:
        The parts, and the group of each patch if the file has that column.
    """
    if facts.keys is None:
        raise UserError(f"data.split_csv: the patches of {facts.name} have no names; choose another data.split")
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(facts.keys):
        rows_of.setdefault(str(key), []).append(row)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    names = [""] * len(facts.labels)
    seen: set[str] = set()
    grouped = False
    for line, record in _records(path):
        key, part = _listed(f"{path}, line {line}", record, seen, rows_of)
        parts[part] += rows_of[key]
        grouped = "group" in record
        for row in rows_of[key]:
            names[row] = record.get("group") or ""
    groups = np.array(names) if grouped else None
    return {part: np.array(rows, np.int64) for part, rows in parts.items()}, groups


def _records(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Read line number and columns, row by row."""
    if exists(path) and not path.is_file():  # reading a pipe could block
        raise UserError(f"data.split_csv: {path} is not a file; give a CSV file")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(_lines(stream, path), strict=True)
            absent = {"path", "split"} - set(reader.fieldnames or ())
            if absent:
                raise UserError(f"{path}: has no column {', '.join(sorted(absent))}; its first line must be path,split")
            for record in reader:
                yield reader.line_num, record
    except OSError as error:
        raise UserError(f"data.split_csv: {path} cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.split_csv: {path} is not a CSV file in UTF-8 ({error}); export it again") from error


def _lines(stream: TextIO, path: Path) -> Iterator[str]:
    """Read lines of bounded length."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise UserError(f"data.split_csv: {path} has a line of more than {LONGEST_LINE} characters; shorten it")
        yield line


def _listed(
    where: str, record: dict[str, str | None], seen: set[str], rows_of: dict[str, list[int]]
) -> tuple[str, str]:
    """Check one row; return its key and part."""
    key, word = record["path"] or "", (record["split"] or "").strip().lower()
    windows = PureWindowsPath(key)
    if windows.is_absolute() or windows.root or ".." in windows.parts:
        raise UserError(f"{where}: {key} leaves the folder; give paths relative to data.path")
    key = str(PurePosixPath(*windows.parts))
    if word not in WORDS:
        raise UserError(f"{where}: unknown split {word!r}; use train, validation or test")
    if key not in rows_of:
        raise UserError(f"{where}: {key} is not among the patches; give paths relative to data.path")
    if key in seen:
        raise UserError(f"{where}: {key} is listed twice; list each path once")
    seen.add(key)
    return key, WORDS[word]
