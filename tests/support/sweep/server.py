"""Process with everything imported that forks a process for each command. It runs with the shim loaded.

It reads requests as JSON lines from stdin and answers each with a JSON line on stdout:
`learn` what to import and build, `start` a command, `wait` for its end or stop.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import importlib.metadata
import json
import os
import resource
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from support.sweep import keeping


class Parsed:
    """Options that are parsed before the fork, because parsing takes as long as the work of most commands here.

    Words with a config file are parsed where they are asked for: the file is different each time.
    """

    def __init__(self) -> None:
        from compactnas.cli.parser import Parser

        self.real, defaults = Parser.parse_args, Parser.set_defaults
        self.asked, self.ready = list[tuple[str, tuple[str, ...]]](), dict[tuple[str, tuple[str, ...]], Any]()

        def set_defaults(parser: Any, *args: Any, **kwargs: Any) -> None:
            parser.built_by = ""  # what it parses from now on is not known before the fork
            defaults(parser, *args, **kwargs)

        Parser.set_defaults = set_defaults  # type: ignore[method-assign]
        Parser.parse_args = lambda parser, words: self.options(parser, words)  # type: ignore[method-assign, assignment]

    def options(self, parser: Any, words: Sequence[str]) -> Any:
        """Parse words, or copy the options that were parsed from the same words by the same kind of parser."""
        key = (getattr(parser, "built_by", ""), tuple(words))
        self.asked.append(key)
        ready = self.ready.get(key)
        return ready.clone() if ready is not None else self.real(parser, words)

    def make(self, asked: list[tuple[str, list[str]]], again: list[str]) -> None:
        """Parse words, and the same with those of a command that is given again."""
        for how, words in asked:
            if not how or any("config" in word for word in words):
                continue
            name, *rest = json.loads(how)
            for each in (tuple(words), (*words, *again)):
                self.ready[how, each] = self.real(BUILT[name].build(*rest), each)


class Built:
    """Parsers of a command that are built before the fork, because building one takes longer than most commands here.

    Each is used once, as the process that is forked would have built it.
    """

    def __init__(self, name: str, build: Callable[..., Any]) -> None:
        self.name, self.real = name, build
        self.asked, self.ready = list[tuple[Any, ...]](), dict[tuple[Any, ...], list[Any]]()

    def __call__(self, *how: Any) -> Any:
        self.asked.append(how)
        ready = self.ready.get(how)
        return ready.pop() if ready else self.build(*how)

    def build(self, *how: Any) -> Any:
        """Build a parser that knows how it was built."""
        parser = self.real(*how)
        parser.built_by = json.dumps([self.name, *how])
        return parser

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
        BUILT[name] = Built(name, command.build)
        sys.modules[command.run.__module__].build = BUILT[name]  # type: ignore[attr-defined]


def main(library: str, channel: int) -> None:
    """Answer requests until stdin ends."""
    shim = ctypes.CDLL(library)
    import filelock

    import compactnas.cli
    import compactnas.pipeline.running  # noqa: F401  what every command needs
    from compactnas.config import RunConfig, values

    keep_parsers()
    filelock.BaseFileLock._raise_if_inherited = lambda lock: None  # type: ignore[method-assign]  # for `copies.py`
    parsed = Parsed()
    values._parser(RunConfig)  # it is kept, and every command that reads a run needs it
    # Fabric reads the files of all installed packages for this.
    importlib.metadata.entry_points = cache(importlib.metadata.entry_points)
    importlib.metadata.entry_points(group="lightning_fabric.callbacks_factory")
    answers = {
        "learn": lambda asked: learnt(asked, parsed),
        "start": lambda asked: start(asked, shim, channel, parsed),
        "wait": wait,
    }
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answers[asked["do"]](asked)), flush=True)


def learnt(asked: dict[str, Any], parsed: Parsed) -> dict[str, Any]:
    """Import modules, so that the forked processes need not. A module that fails is left to them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in asked["names"]:
            with suppress(Exception):
                importlib.import_module(name)
    keeping.keep()
    keeping.learn(asked["kept"])
    exec(asked["prime"], {"__name__": "primed"})
    for name, asked_for in asked["built"].items():
        BUILT[name].make(asked_for)
    parsed.make(asked["parsed"], asked["again"])
    gc.collect()
    gc.freeze()  # else each forked process looks through, and so copies, all that this one holds
    return {"modules": len(sys.modules), "threads": threading.active_count()}


def start(asked: dict[str, Any], shim: ctypes.CDLL, channel: int, parsed: Parsed) -> dict[str, int]:
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
        leave(code, asked["modules"], parsed)


def run(asked: dict[str, Any], shim: ctypes.CDLL, channel: int) -> int:
    """Run the command in the forked process."""
    import tempfile

    tempfile.tempdir = None
    exec(asked["code"], {"__name__": "prepared"})  # the settings of a test
    if asked["nofile"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (asked["nofile"], asked["nofile"]))
    if interruption := asked["interruption"]:
        shim.sweep_printed(*(os.fsencode(f"{file}-copy") for file in asked["files"]))
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


def leave(code: int, modules: str, parsed: Parsed) -> None:
    """End as an interpreter does, but without freeing what it holds."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        if modules:
            with Path(modules).open("w") as file:
                built = {name: one.asked for name, one in BUILT.items() if one.asked}
                told = {"names": list(sys.modules), "built": built, "parsed": parsed.asked, "kept": keeping.learnt()}
                json.dump(told, file)
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
