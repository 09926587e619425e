"""Run commands in processes forked from a warm one, interrupted at file operations."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from support.sweep.shim import Interruption, build

TESTS = Path(__file__).resolve().parents[2]
LIMIT_S = 300.0
"""Longest that a command may take."""

Told = Callable[[str], bytes | None]
"""Function that gets the kind and the path of an operation before it happens. It may answer (`shim.py`)."""


@dataclass(frozen=True)
class Call:
    """A command and its surroundings.

    Attributes:
        words: Words after `compactnas`.
        cwd: Current folder.
        code: Python that the process runs first.
        env: Changes of the environment.
        nofile: Largest number of open files; 0 leaves it as it is.
    """

    words: tuple[str, ...]
    cwd: Path
    code: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    nofile: int = 0


@dataclass(frozen=True)
class Ended:
    """End of a command.

    Attributes:
        code: Exit code, negative for a signal.
        out: What it printed to stdout.
        err: What it printed to stderr.
        seconds: Time that it took.
    """

    code: int
    out: str
    err: str
    seconds: float

    @property
    def error(self) -> str:
        """The line that says what was wrong; empty if there is none, or more than a line."""
        lines = [line for line in self.err.splitlines() if line.startswith("compactnas: ")]
        one = len(lines) == 1 and self.err.rstrip("\n").endswith(lines[0]) and "Traceback" not in self.err
        return lines[0] if one else ""


def _outputs(folder: Path) -> list[Path]:
    """Make empty files for what a command prints."""
    files = []
    for name in ("out-", "err-"):
        descriptor, file = tempfile.mkstemp(dir=folder, prefix=name)
        os.close(descriptor)  # thousands of commands are started
        files.append(Path(file))
    return files


class Warm:
    """Process with everything imported, in which commands are started; use it as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        library = build(folder)
        self.channel, theirs = socket.socketpair()
        env = os.environ | {
            "LD_PRELOAD": str(library),
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)]),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.sweep.server", library, str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            pass_fds=[theirs.fileno()],
            text=True,
        )
        theirs.close()
        self.files = _outputs(folder)
        self.began: dict[int, tuple[float, list[Path]]] = {}
        assert "ready" in self._answer()

    def __enter__(self) -> Warm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.channel.close()

    def start(self, call: Call, interruption: Interruption | None = None, *, modules: Path | None = None) -> int:
        """Start a command and return the id of its process."""
        files = _outputs(self.folder)
        env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"} | {"OMP_NUM_THREADS": "1"}
        told = asdict(interruption) | {"root": str(interruption.root)} if interruption else None
        pid = int(
            self._ask(
                do="start",
                words=call.words,
                cwd=str(call.cwd),
                code=call.code,
                env={key: value for key, value in (env | dict(call.env)).items() if value},
                nofile=call.nofile,
                files=list(map(str, files)),
                interruption=told,
                modules=str(modules or ""),
            )["pid"]
        )
        self.began[pid] = time.monotonic(), files
        return pid

    def wait(self, pid: int, told: Told | None = None) -> Ended | None:
        """Wait for the end of a command; None if it has stopped. It is killed if it takes too long."""
        self._send(do="wait", pid=pid)
        assert self.process.stdout is not None
        until = time.monotonic() + LIMIT_S
        while True:
            found, _, _ = select.select([self.channel, self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            if not found:
                os.kill(pid, signal.SIGKILL)
                until = time.monotonic() + LIMIT_S
            if self.channel in found:
                self._hear(told)
            elif self.process.stdout in found:
                answer = self._answer()
                break
        if answer["stopped"]:
            return None
        began, files = self.began.pop(pid)
        out, err = (file.read_text(errors="replace") for file in files)
        for file in files:
            file.unlink()
        return Ended(int(answer["code"]), out, err, time.monotonic() - began)

    def finish(
        self,
        call: Call,
        interruption: Interruption | None = None,
        told: Told | None = None,
        *,
        modules: Path | None = None,
    ) -> Ended:
        """Run a command to its end."""
        ended = self.wait(self.start(call, interruption, modules=modules), told)
        assert ended is not None, "it has stopped"
        return ended

    def threads(self) -> int:
        """Count the threads of the command that was started last."""
        pid, *_ = reversed(self.began)
        return len(list(Path(f"/proc/{pid}/task").iterdir()))

    def copied(self, code: int) -> Ended:
        """End of a copy of the command that was started last (`copies.py`)."""
        (_, files), *_ = reversed(self.began.values())
        out, err = (file.with_name(f"{file.name}-copy") for file in files)
        ended = Ended(code, out.read_text(errors="replace"), err.read_text(errors="replace"), 0.0)
        for file in (out, err):
            file.unlink()
        return ended

    def learn(self, modules: Path, prime: str = "", again: Sequence[str] = ()) -> None:
        """Import, build and parse what a command has, also with the words `again`; the next ones start faster."""
        self._ask(do="learn", prime=prime, again=list(again), **json.loads(modules.read_text()))

    def _hear(self, told: Told | None) -> None:
        lines = self.channel.recv(2**16).decode(errors="replace").splitlines()
        answer = None
        for line in lines:
            if told is not None:
                answer = told(line)
        self.channel.send(answer or b".")

    def _ask(self, **request: Any) -> dict[str, Any]:
        self._send(**request)
        return self._answer()

    def _send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process that forks has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer
