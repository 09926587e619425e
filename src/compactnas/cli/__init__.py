"""The command line: `compactnas COMMAND`.

A command's module is imported when that command is given, so that help answers at once. What a
user did wrong is one line on stderr and exit code 2; a run that is interrupted (Ctrl-C) ends with
code 130, one that SIGTERM or SIGUSR1 stopped, with its state on disk, with 75.
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib import import_module

from compactnas import __version__
from compactnas.distributed.launch import rank
from compactnas.errors import AlreadyReportedError, UserError
from compactnas.io.signals import StoppedError, stopping_at_once

COMMANDS = {
    "demo": ("the whole method on a made world, in some minutes", "demo"),
    "synth": ("make a world of Local Climate Zones to try things on", "synth"),
    "prepare": ("stream patches into a set that is read at once", "prepare"),
    "inspect": ("show what is inside a set of patches", "inspect"),
    "leakage": ("report test patches that overlap training patches", "leakage"),
    "run": ("search, retrain and evaluate in one folder", "run"),
    "search": ("search for a network", "search"),
    "select": ("choose among the networks that searches came upon", "select"),
    "train": ("train a found network or a baseline from scratch", "train"),
    "evaluate": ("measure a trained network", "evaluate"),
    "predict": ("write the classes of patches to a CSV file", "predict"),
    "map": ("map a scene with a trained network", "map"),
    "assess": ("measure a map by a reference raster or polygons", "assess"),
    "export": ("write a trained network as a folder that runs anywhere", "export"),
    "bench": ("measure an export beside ResNets", "bench"),
    "study": ("compare methods by splits by seeds, from one file", "study"),
    "report": ("write one HTML page that shows runs side by side", "report"),
    "pareto": ("find the front of accuracy against cost from a few searches", "pareto"),
    "latency": ("measure what the operations of a space take on this machine", "latency"),
    "cost": ("count the parameters and multiply-accumulates of a network", "cost"),
}
"""Name -> (summary, module of this package with `main(argv) -> int`)."""

GO_ON = dict.fromkeys(("run", "search", "select", "pareto", "train", "demo"), "go on with --resume") | dict.fromkeys(
    ("prepare", "study", "map"), "give the same command again to go on"
)
"""How an interrupted command goes on."""

USAGE, STOPPED, INTERRUPTED, BROKEN_PIPE = 2, 75, 130, 141
"""75 is EX_TEMPFAIL of sysexits.h: give it again later."""
FULL_OR_FORBIDDEN = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}

PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "DistBackendError", "DistNetworkError")
"""In the errors of torch.distributed where another process of a run has ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with stopping_at_once() if words and words[0] in GO_ON else nullcontext():
            return _dispatch(words)
    except AlreadyReportedError:
        return USAGE
    except UserError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The reader (`head`) has gone; stdout must not complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        how = GO_ON.get(words[0], "") if words else ""
        if rank() == 0:
            print("compactnas: interrupted" + f"; {how}" * bool(how), file=sys.stderr)
        return INTERRUPTED
    except StoppedError as error:
        if rank() == 0:
            print(f"compactnas: {error}; {GO_ON.get(words[0], 'start it again')}", file=sys.stderr)
        return STOPPED
    except Exception as error:
        line = _machine_fault(error, words[0] if words else "")
        if line is None:
            raise
        return _fail(line)


def entry() -> None:
    """The console script."""
    # GNU's OpenMP keeps a waiting thread spinning for milliseconds by default. Where other programs
    # want the cores too, that costs a search two to eight times its time; a short spin does not.
    # It has to be set before torch is imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    sys.exit(main())


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"compactnas {__version__}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`compactnas --help` lists the commands"
        raise UserError(f"unknown command {name!r}; {hint}")
    command: Callable[[list[str]], int] = import_module(f"compactnas.cli.commands.{COMMANDS[name][1]}").main
    return command(words[1:])


def overview() -> str:
    """The text of `compactnas --help`."""
    lines = [f"  {name:<10}{summary}" for name, (summary, _) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: compactnas COMMAND [options]",
            "",
            "Search for compact networks that classify satellite image patches.",
            "",
            "commands:",
            *lines,
            "",
            "`compactnas COMMAND --help` lists a command's options; `compactnas --version` prints the version.",
        ]
    )


def _fail(message: str) -> int:
    who = f"process {rank()}: " if rank() else ""
    print(f"compactnas: error: {who}{' '.join(message.split())}", file=sys.stderr)
    return USAGE


def _machine_fault(error: Exception, command: str) -> str | None:
    """One line for what the machine refused (disk, rights, memory); None for a fault of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in FULL_OR_FORBIDDEN:
        where = f"{error.filename}: " if error.filename else ""
        what = (error.strerror or text).lower()
        return f"{where}{what}; {_remedy(what, command)}"
    if any(sign in text for sign in PEER_GONE):
        return f"another process of this run has ended; {GO_ON.get(command, 'start it again')}"
    if "no space left on device" in text.lower():  # h5py and torch wrap it
        return f"no space left on device; {_remedy('no space', command)}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory; lower the batch size (search.batch_size, train.batch_size) or data.preload_gib"
    return None


def _remedy(what: str, command: str) -> str:
    if "space" in what or "quota" in what:
        return f"free some and {GO_ON.get(command, 'try again')}"
    return "name a folder that can be written with --output"
