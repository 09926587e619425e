"""Build the shim that counts and interrupts file operations, and say what it should do (`shim.c`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path


class Kinds(IntFlag):
    """Kinds of file operations, with the numbers of `shim.c`."""

    OPEN = 1
    WRITE = 2
    SYNC = 4
    RENAME = 8
    LINK = 16
    UNLINK = 32
    MKDIR = 64
    RMDIR = 128
    RESIZE = 256
    LOCK = 512
    READ = 1024
    CHMOD = 2048


CHANGING = ~Kinds.READ
"""Operations that may change a folder."""
NEEDING_SPACE = Kinds.OPEN | Kinds.WRITE | Kinds.SYNC | Kinds.RENAME | Kinds.LINK | Kinds.MKDIR | Kinds.RESIZE
"""Operations that fail on a full disk."""
COPY = b"c"
"""Answer at an operation with `Act.ASK`: a copy of the process goes on first, in which everything fails from here."""
OPENING = Kinds.OPEN | Kinds.READ
"""Operations that need a new descriptor."""


class Act(IntEnum):
    """What happens, with the numbers of `shim.c`: at every operation, at one, or from one on."""

    OFF = 0
    TELL_ALL = 1
    TELL = 2
    KILL = 3
    STOP = 4
    FAIL = 5
    FAIL_FROM = 6
    CLOCK_BACK = 7
    ASK = 8


@dataclass(frozen=True)
class Interruption:
    """What happens to a process at a file operation.

    Attributes:
        act: What happens.
        root: Folder whose operations count.
        at: Number of the operation, from 0.
        error: Number of the system's error, for an operation that fails.
        kinds: Kinds of operations that count.
    """

    act: Act
    root: Path
    at: int = 0
    error: int = 0
    kinds: Kinds = CHANGING


def unavailable() -> str:
    """Say why the shim cannot be built here; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "interrupted file operations need Linux"
    return "" if shutil.which("cc") else "interrupted file operations need a C compiler (cc)"


def build(folder: Path) -> Path:
    """Compile the shim into a folder."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library
