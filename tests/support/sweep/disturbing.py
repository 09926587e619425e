"""Disturb a command in its middle: stop it, change its folder, or take away what it needs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from support.sweep.cases import Case
from support.sweep.shim import NEEDING_SPACE, Act, Interruption, Kinds
from support.sweep.state import State, clear
from support.sweep.sweeping import require_done
from support.sweep.warm import Ended, Warm


@dataclass(frozen=True)
class Undisturbed:
    """Undisturbed run of a command: the state that it leaves, and the number of times it writes."""

    final: State
    writes: int


def undisturbed(warm: Warm, case: Case) -> Undisturbed:
    """Run a command, and clear its place again."""
    writes: list[str] = []
    require_done(warm.finish(case.call, modules=warm.folder / "modules.json"))
    warm.learn(warm.folder / "modules.json", case.prime, case.again)
    clear(case.place)
    require_done(warm.finish(case.call, Interruption(Act.TELL_ALL, case.place, kinds=Kinds.WRITE), writes.append))
    final = State.of(case.place)
    clear(case.place)
    return Undisturbed(final, len(writes))


def middle(case: Case, whole: Undisturbed, act: Act, error: int = 0) -> Interruption:
    """Interruption of the write in the middle of a command."""
    return Interruption(act, case.place, whole.writes // 2, error, Kinds.WRITE)


def while_stopped(warm: Warm, case: Case, whole: Undisturbed, act: Callable[[], Ended]) -> tuple[Ended, Ended]:
    """Stop a command in its middle, do something, and let it go on; return both ends."""
    first = warm.start(case.call, middle(case, whole, Act.STOP))
    try:
        assert warm.wait(first) is None, "the command did not stop"
        second = act()
    finally:
        os.kill(first, signal.SIGCONT)
    ended = warm.wait(first)
    assert ended is not None
    return ended, second


def folder_of(case: Case) -> Path:
    """Folder that a command is writing to: its output, or the work folder beside it."""
    output = case.place / case.output
    beside = (output, output.with_name(f"{output.name}.part"), output.with_name(f".{output.name}.part"))
    return next((folder for folder in beside if folder.is_dir()), case.place)


def moved(folder: Path) -> None:
    """Rename a folder."""
    folder.rename(folder.with_name("elsewhere"))


def removed(folder: Path) -> None:
    """Remove a folder."""
    clear(folder)
    folder.rmdir()


def linked(folder: Path) -> None:
    """Replace a folder by a link to another one."""
    moved(folder)
    other = folder.with_name("other")
    other.mkdir()
    folder.symlink_to(other)


CHANGES: Mapping[str, Callable[[Path], None]] = {"renamed": moved, "removed": removed, "replaced by a link": linked}


def with_change(warm: Warm, case: Case, whole: Undisturbed, change: Callable[[Path], None]) -> Ended:
    """Change the folder of a command in its middle."""

    def told(line: str) -> None:
        change(folder_of(case))

    return warm.finish(case.call, middle(case, whole, Act.TELL), told)


def surrounded(case: Case, **changes: object) -> Case:
    """Run a command in other surroundings: `env`, `nofile`, or more `code`."""
    call = replace(case.call, **changes)  # type: ignore[arg-type]
    return replace(case, call=call)


def full(folder: Path) -> Interruption:
    """A folder on a disk that is full from the beginning."""
    return Interruption(Act.FAIL_FROM, folder, 0, 28, NEEDING_SPACE)


READ_ONLY_ROOT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, how):
    if libc.mount(source and source.encode(), target.encode(), None, ctypes.c_ulong(how), None):
        raise OSError(ctypes.get_errno(), "mount")
if libc.unshare(0x20000):
    raise OSError(ctypes.get_errno(), "unshare")
mount(None, "/", 0x4000 | 0x40000)
mount({place!r}, {place!r}, 0x1000)
holding = os.path.dirname({outside!r})
while not os.path.ismount(holding):
    holding = os.path.dirname(holding)
for folder in dict.fromkeys(["/", holding]):
    mount(None, folder, 0x20 | 0x1000 | 0x1)
os.chdir(os.getcwd())
try:
    open({outside!r}, "w")
except OSError as error:
    assert error.errno == 30, error
else:
    raise AssertionError("the root is not read-only")
"""
"""Code that makes all but one folder read-only for the process: it needs the right to mount."""
