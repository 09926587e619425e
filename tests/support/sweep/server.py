"""Process with everything imported that forks a process for each command. It runs with the shim loaded.

It reads requests as JSON lines from stdin and answers each with a JSON line on stdout:
`learn` what to import and build, `start` a command, `wait` for its end or stop.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import json
import os
import resource
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Built:
    """Parsers of a command that are built before the fork, because building one takes longer than most commands here.

    Each is used once, as the process that is forked would have built it.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build, self.asked, self.ready = build, list[tuple[Any, ...]](), dict[tuple[Any, ...], list[Any]]()

    def __call__(self, *how: Any) -> Any:
        self.asked.append(how)
        ready = self.ready.get(how)
        return ready.pop() if ready else self.build(*how)

    def make(self, asked: list[list[Any]]) -> None:
        """Build a parser for each call."""
        self.ready = {}
        for how in map(tuple, asked):
            self.ready.setdefault(how, []).append(self.build(*how))


BUILT: dict[str, Built] = {}


def keep_parsers() -> None:
    """Let each command take its parser from `BUILT`."""
    from compactnas.cli.command import COMMANDS

    for name, command in COMMANDS.items():
        BUILT[name] = Built(command.build)
        sys.modules[command.run.__module__].build = BUILT[name]  # type: ignore[attr-defined]


def main(library: str, channel: int) -> None:
    """Answer requests until stdin ends."""
    shim = ctypes.CDLL(library)
    import compactnas.cli
    import compactnas.pipeline  # noqa: F401  what every command needs

    keep_parsers()
    answers = {"learn": learnt, "start": lambda asked: start(asked, shim, channel), "wait": wait}
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answers[asked["do"]](asked)), flush=True)


def learnt(asked: dict[str, Any]) -> dict[str, Any]:
    """Import modules, so that the forked processes need not. A module that fails is left to them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in asked["names"]:
            with suppress(Exception):
                importlib.import_module(name)
    exec(asked["prime"], {"__name__": "primed"})
    for name, asked_for in asked["built"].items():
        BUILT[name].make(asked_for)
    return {"modules": len(sys.modules), "threads": threading.active_count()}


def start(asked: dict[str, Any], shim: ctypes.CDLL, channel: int) -> dict[str, int]:
    """Fork a process for a command."""
    pid = os.fork()
    if pid:
        return {"pid": pid}
    code = 1
    try:
        os.setsid()
        for number, file in enumerate((os.devnull, *asked["files"])):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(file, flags, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, range(3), "rww")
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        code = run(asked, shim, channel)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  an interpreter prints any error, too
        traceback.print_exc()
    finally:
        leave(code, asked["modules"])


def run(asked: dict[str, Any], shim: ctypes.CDLL, channel: int) -> int:
    """Run the command in the forked process."""
    import tempfile

    tempfile.tempdir = None
    exec(asked["code"], {"__name__": "prepared"})  # the settings of a test
    if asked["nofile"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked["nofile"], asked["nofile"]))
    if interruption := asked["interruption"]:
        shim.sweep_arm(
            os.fsencode(interruption["root"]),
            *(ctypes.c_int(interruption[name]) for name in ("kinds", "act")),
            ctypes.c_long(interruption["at"]),
            *(ctypes.c_int(value) for value in (interruption["error"], channel)),
        )
    from compactnas.cli import entry

    sys.argv = ["compactnas", *asked["words"]]
    entry()
    return 0


def leave(code: int, modules: str) -> None:
    """End as an interpreter does, but without freeing what it holds."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        if modules:
            with Path(modules).open("w") as file:
                built = {name: one.asked for name, one in BUILT.items() if one.asked}
                json.dump({"names": list(sys.modules), "built": built}, file)
    finally:
        os._exit(code)


def wait(asked: dict[str, Any]) -> dict[str, Any]:
    """Wait until a process ends or stops."""
    _, status = os.waitpid(asked["pid"], os.WUNTRACED)
    return {
        "stopped": os.WIFSTOPPED(status),
        "code": None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status),
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
