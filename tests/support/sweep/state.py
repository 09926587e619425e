"""Take the state of a folder, bring it back, and compare it with another one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """File, link or folder: its mode, the moment of its last change, and its content or the target of the link."""

    mode: int
    changed_ns: int
    content: bytes


@dataclass(frozen=True)
class State:
    """All that a folder holds: entries by their path below it."""

    entries: dict[str, Entry]

    @classmethod
    def of(cls, folder: Path) -> State:
        """Read a folder."""
        entries: dict[str, Entry] = {}
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(place) / name
                found = path.lstat()
                if stat.S_ISLNK(found.st_mode):
                    content = os.fsencode(path.readlink())
                else:
                    content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
                entries[str(path.relative_to(folder))] = Entry(found.st_mode, found.st_mtime_ns, content)
        return cls(entries)

    @property
    def digest(self) -> str:
        """Hash of the names and contents."""
        found = hashlib.sha256()
        for name, entry in sorted(self.entries.items()):
            found.update(repr((name, stat.S_IFMT(entry.mode), len(entry.content))).encode() + entry.content)
        return found.hexdigest()

    def restore(self, folder: Path) -> None:
        """Make a folder as it was."""
        clear(folder)
        for name, entry in sorted(self.entries.items()):
            path = folder / name
            if stat.S_ISDIR(entry.mode):
                path.mkdir()
            elif stat.S_ISLNK(entry.mode):
                path.symlink_to(os.fsdecode(entry.content))
            else:
                path.write_bytes(entry.content)
        for name, entry in sorted(self.entries.items(), reverse=True):
            if not stat.S_ISLNK(entry.mode):
                (folder / name).chmod(stat.S_IMODE(entry.mode))
                os.utime(folder / name, ns=(entry.changed_ns, entry.changed_ns))


def clear(folder: Path) -> None:
    """Remove what a folder holds; a process that was killed must not write to it any more."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if folder.exists():
        for place, names, _ in os.walk(folder):
            for name in names:
                (Path(place) / name).chmod(0o700)
        folder.chmod(0o700)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _without(*keys: str) -> Callable[[bytes], bytes]:
    """Leave keys of a JSON file out."""

    def clean(content: bytes) -> bytes:
        values = json.loads(content)
        return json.dumps({key: value for key, value in values.items() if key not in keys}).encode()

    return clean


def _without_times(content: bytes) -> bytes:
    """Leave the section with the times of jobs out of a study's page, and dates and durations out of a run's."""
    content = re.sub(rb'<dd class="time">[^<]*</dd>', b"", content)
    return re.sub(rb'<section class="card" id="time">.*?</section>', b"", content, flags=re.DOTALL)


def _nothing(content: bytes) -> bytes:
    return b""


APART: dict[str, Callable[[bytes], bytes]] = {
    r"seconds\.json": _nothing,
    r"\.writer": _nothing,
    r"map\.json": _without("seconds"),
    r"report\.html": _without_times,
}
"""Files that hold wall time or the number of a process, by a pattern of their name, and what to compare of each."""

TEMPORARY = re.compile(r"^\.(.+)\.compactnas-[0-9a-f]+-\d+-[0-9a-f]+\.part$")
"""Name under which a file is written first; it tells the process."""


def compared(state: State) -> dict[str, bytes]:
    """Contents to compare, by path: files without their wall times; a folder ends with a slash."""
    found: dict[str, bytes] = {}
    for name, entry in state.entries.items():
        if stat.S_ISDIR(entry.mode):
            found[f"{name}/"] = b""
            continue
        plain = TEMPORARY.sub(r"\1", Path(name).name)
        clean = next((clean for pattern, clean in APART.items() if re.fullmatch(pattern, plain)), None)
        try:
            found[name] = clean(entry.content) if clean else entry.content
        except ValueError:
            found[name] = entry.content
    return found


def _same(name: str, one: bytes, other: bytes) -> bool:
    """Compare two contents. A checkpoint counts by its values: its pickle tells which of them were one object."""
    if one == other or not re.fullmatch(r"checkpoint-.*\.pt", Path(name).name):
        return one == other
    import torch

    first, second = (torch.load(BytesIO(content), weights_only=True) for content in (one, other))
    return _values(first) == _values(second)


def _values(value: Any) -> Any:
    """Replace tensors by their dtype, shape and bytes, throughout nested values."""
    import torch

    if isinstance(value, torch.Tensor):
        flat = value.detach().contiguous().flatten().view(torch.uint8) if value.numel() else value
        return str(value.dtype), tuple(value.shape), flat.numpy().tobytes()
    if isinstance(value, dict):
        return [(key, _values(inner)) for key, inner in value.items()]
    return [_values(inner) for inner in value] if isinstance(value, list | tuple) else repr(value)


def difference(found: State, expected: State) -> str:
    """Describe how a folder differs from what is expected; empty if it does not."""
    one, other = compared(found), compared(expected)
    missing, more = sorted(other.keys() - one.keys()), sorted(one.keys() - other.keys())
    changed = sorted(name for name in one.keys() & other.keys() if not _same(name, one[name], other[name]))
    parts = [
        f"{what}: {', '.join(names[:4])}"
        for what, names in (("missing", missing), ("left over", more), ("differs", changed))
        if names
    ]
    return "; ".join(parts)


def fingerprint(state: State) -> str:
    """Hash of what is compared, in which the names of temporary files do not tell their process."""
    named = sorted(
        (re.sub(r"compactnas-[0-9a-f]+-\d+-[0-9a-f]+", "temporary", name), content)
        for name, content in compared(state).items()
    )
    found = hashlib.sha256()
    for name, content in named:
        found.update(repr((name, len(content))).encode() + content)
    return found.hexdigest()
