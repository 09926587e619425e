"""The command line: `compactnas COMMAND`.

A user error is one line on stderr and exit code 2. An interrupted run (Ctrl-C) ends with code 130, and a run that
SIGTERM or SIGUSR1 stopped ends with code 75 after it has written its state.
"""

from __future__ import annotations

import difflib
import errno
import gc
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from io import TextIOWrapper

from compactnas import __version__
from compactnas.cli.command import COMMANDS, overview
from compactnas.cli.messages import as_typed
from compactnas.distributed.launch import rank
from compactnas.errors import AlreadyReportedError, UserError
from compactnas.io.signals import StoppedError, stopping_at_once

USAGE, STOPPED, INTERRUPTED, BROKEN_PIPE = 2, 75, 130, 141
"""Exit codes; 75 is EX_TEMPFAIL of sysexits.h, which means: try again later."""
MACHINE_FAULTS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ESTALE),
    *(
        errno.ENOENT,
        errno.ENOTEMPTY,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EMFILE,
        errno.ENFILE,
    ),
}
"""Errors of the system that are not ours: its disk, its rights, its names of files and its limits."""
HDF5_NUMBER = re.compile(r"\berrno = ([0-9]{1,4})\b")
OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "not enough memory")

PEER_GONE = ("Connection closed by peer", "Connection reset by peer", "DistBackendError", "DistNetworkError")
"""Texts in errors of torch.distributed which mean that another process of the run has ended."""

OBJECTS_OF_A_START = 400_000
"""More objects than a command has made when all is imported."""

HELP = ("-h", "--help", "help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    try:
        with stopping_at_once() if after_stop(name) else nullcontext():
            return _dispatch(words)
    except AlreadyReportedError:
        return USAGE
    except UserError as error:
        return _fail(as_typed(str(error), words))
    except BrokenPipeError:
        # The reader, such as `head`, has ended. Without this, Python would report the broken pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        how = after_stop(name)
        if rank() == 0:
            print("compactnas: interrupted" + f"; {how}" * bool(how), file=sys.stderr)
        return INTERRUPTED
    except StoppedError as error:
        if rank() == 0:
            print(f"compactnas: {error}; {after_stop(name) or 'start it again'}", file=sys.stderr)
        return STOPPED
    except Exception as error:
        line = _machine_fault(error, after_stop(name))
        if line is None:
            raise
        return _fail(line)


def entry() -> None:
    """Run the console script."""
    # By default, GNU's OpenMP keeps a waiting thread spinning for milliseconds. If other programs use the cores too,
    # that slows a search two to eight times; a short spin does not. It must be set before torch is imported.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ["MPLBACKEND"] = "Agg"  # pictures are only written, and an unknown backend would be an error
    for stream in (sys.stdout, sys.stderr):  # names of files need not be text
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _collect_later()
    sys.exit(main())


def _collect_later() -> None:
    """Put off the first search for garbage: looking through the objects of a start, which all stay, takes 0.2 s."""
    usual = gc.get_threshold()

    def resume(phase: str, info: Mapping[str, int]) -> None:
        gc.callbacks.remove(resume)
        gc.set_threshold(*usual)

    gc.callbacks.append(resume)
    gc.set_threshold(OBJECTS_OF_A_START, *usual[1:])


def after_stop(name: str) -> str:
    """Find the advice on how to continue an interrupted command; empty for most commands."""
    return COMMANDS[name].after_stop if name in COMMANDS else ""


def _dispatch(words: list[str]) -> int:
    if not words or words in ([word] for word in HELP):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"compactnas {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name in HELP:
        name, rest = words[1], [*words[2:], "--help"]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`compactnas --help` lists the commands"
        raise UserError(f"unknown command {name!r}; {hint}")
    return COMMANDS[name].run(rest)


def _fail(message: str) -> int:
    who = f"process {rank()}: " if rank() else ""
    print(f"compactnas: error: {who}{' '.join(message.split())}", file=sys.stderr)
    return USAGE


def _machine_fault(error: Exception, how: str) -> str | None:
    """Describe an error of the machine (disk, rights, memory) in one line; None for any other error.

    Args:
        error: Exception that ended the command.
        how: Advice on how to continue the command.
    """
    text = " ".join(str(error).split())
    number = _number(error, text)
    if number in MACHINE_FAULTS:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        what = os.strerror(number).lower()
        return f"{where}{what}; {_remedy(what, how)}"
    if _says(text, PEER_GONE):
        return f"another process of this run has ended; {how or 'start it again'}"
    if "no space left on device" in text.lower():  # h5py and torch wrap it
        return f"no space left on device; {_remedy('no space', how)}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _says(text, OUT_OF_MEMORY):
        return "out of memory; lower the batch size (search.batch_size, train.batch_size) or data.preload_gib"
    return None


def _number(error: Exception, text: str) -> int:
    """Number of the system's error, 0 if there is none. HDF5 has it only in its text."""
    if not isinstance(error, OSError):
        return 0
    found = HDF5_NUMBER.search(text)
    return error.errno or (int(found[1]) if found else 0)


def _says(text: str, signs: Sequence[str]) -> bool:
    return any(sign in text for sign in signs)


def _remedy(what: str, how: str) -> str:
    if "space" in what or "quota" in what:
        return f"free some space and {how or 'try again'}"
    if "too many open files" in what:
        return f"raise the limit (ulimit -n 1024) and {how or 'try again'}"
    if "no such file" in what or "not empty" in what:
        return f"was it moved, removed or replaced meanwhile? Put it back and {how or 'try again'}"
    if "input/output" in what or "stale" in what:
        return f"check the disk and {how or 'try again'}"
    if "name too long" in what:
        return "give a shorter path"
    return "name a writable folder with --output"
