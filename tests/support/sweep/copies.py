"""Let the disk be full at many operations of one run.

At each operation, a copy of the process goes on first, to its end, with a full disk. Then its folder is brought back,
and the process goes on to the next operation. This takes a tenth of the time of a run for each operation.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from support.sweep.cases import Case
from support.sweep.shim import COPY, Act, Interruption, Kinds
from support.sweep.state import State, clear, difference
from support.sweep.warm import Ended, Warm


@dataclass(frozen=True)
class Linked:
    """Second names of all files in a folder, because a process may have them open.

    Attributes:
        folder: The folder.
        names: Folder of the second names.
        found: Inode of each folder, file or link by its path below the folder, in the order of a walk.
        state: State of the folder.
    """

    folder: Path
    names: Path
    found: dict[str, int]
    state: State

    @classmethod
    def of(cls, folder: Path, names: Path) -> Linked:
        """Give all files of a folder a second name."""
        clear(names)
        found: dict[str, int] = {}
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(place) / name
                found[str(path.relative_to(folder))] = inode = path.lstat().st_ino
                if name in files or path.is_symlink():
                    os.link(path, names / str(inode), follow_symlinks=False)
        return cls(folder, names, found, State.of(folder))

    def restore(self) -> bool:
        """Bring the folder back, with the same files; whether they hold what they held."""
        for place, folders, files in os.walk(self.folder, topdown=False):
            for name in (*folders, *files):
                path = Path(place) / name
                if self.found.get(str(path.relative_to(self.folder))) != path.lstat().st_ino:
                    path.unlink() if name in files or path.is_symlink() else path.rmdir()
        for name, inode in self.found.items():
            if not (path := self.folder / name).is_symlink() and not path.exists():
                second = self.names / str(inode)
                if second.is_symlink() or second.exists():
                    os.link(second, path, follow_symlinks=False)
                else:
                    path.mkdir()
        return not difference(State.of(self.folder), self.state)


def full_at(
    warm: Warm, case: Case, kinds: Kinds, error: int, wanted: Collection[int], final: State
) -> dict[int, tuple[Ended, State]]:
    """Run a command once, and let a copy of it go on with a full disk at each wanted operation.

    Returns:
        The end of each copy, and the state that it left. Empty if a copy disturbed its command: GDAL keeps what it
        writes in a buffer of the C library, which a copy writes to the file, too. Empty also if the command has several
        threads: a copy has only one of them, and onnxruntime waits for the others for ever.
    """
    found: dict[int, tuple[Ended, State]] = {}
    linked: list[Linked] = []
    number, disturbed = -1, False

    def told(line: str) -> bytes | None:
        nonlocal number, disturbed
        kind, text = line.split(" ", 1)
        if kind == "ended":
            found[number] = warm.copied(int(text)), State.of(case.place)
            disturbed = not linked.pop().restore()
            return None
        number += 1
        disturbed = disturbed or (number in wanted and warm.threads() > 1)
        if disturbed or number not in wanted:
            return None
        linked.append(Linked.of(case.place, case.place.parent / "linked"))
        return COPY

    clear(case.place)
    ended = warm.finish(case.call, Interruption(Act.ASK, case.place, 0, error, kinds), told)
    return {} if disturbed or ended.code or difference(State.of(case.place), final) else found
