"""Runs a target on many inputs, in child processes: a crash of a C library ends one of them, not the run."""

from __future__ import annotations

import json
import mmap
import os
import resource
import select
import signal
import struct
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from support.fuzz.targets import Harness, Target

CHUNK = 2000
"""Inputs of one process."""
SECONDS = 10.0
"""Processor time that an input may take; a busy machine has no part in it."""
HANG_S = 120.0
"""Without any progress, after which a process is ended from outside."""
MOST_BYTES = 2**30
"""Resident memory of a process beside what it begins with; twice as much address space can be asked for."""
ENOUGH = 20
"""Failures after which a target is left."""


class TooSlowError(BaseException):
    """An input took too much processor time; no reader may catch it."""


@dataclass
class Result:
    """What became of a target's inputs.

    Attributes:
        inputs: that were tried.
        left_out: that could not be made.
        refused: with a `UserError`.
        seconds: of wall time.
        peak: resident bytes of the largest process.
        failures: kind of each -> (file of the input, text).
    """

    inputs: int = 0
    left_out: int = 0
    refused: int = 0
    seconds: float = 0.0
    peak: int = 0
    failures: dict[str, tuple[Path, str]] = field(default_factory=dict)


def input_of(harness: Harness, seed: int, index: int) -> bytes:
    """Input number `index` of a seed."""
    return harness.input(Random(f"{seed} {index}"))


def memory_folder() -> Path:
    """Where files cost no disk, if there is such a place."""
    shared = Path("/dev/shm")  # a folder of a name of its own is made in it
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def run(target: Target, inputs: int, seed: int, keep: Path, name: str, tell: Callable[[str], None]) -> Result:
    """Try a target on so many inputs.

    Args:
        target: the target.
        inputs: how many.
        seed: they are those of this seed.
        keep: folder for inputs that failed.
        name: of the target, for their names.
        tell: hears of each failure, and from time to time how far it is.
    """
    result, begun, said = Result(), time.monotonic(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="compactnas-fuzz-", dir=memory_folder()) as folder:
        harness = Harness(target, Path(folder))
        _check_seeds(harness)
        done = 0
        while done < inputs and len(result.failures) < ENOUGH:
            end = min(inputs, (done // CHUNK + 1) * CHUNK)
            for kind, index, text in _chunk(harness, seed, done, end, result):
                if kind not in result.failures:
                    file = keep / f"{name}-{seed}-{index}"
                    keep.mkdir(parents=True, exist_ok=True)
                    file.write_bytes((harness.inputs / str(index)).read_bytes())
                    result.failures[kind] = (file, text)
                    tell(f"{name}: input {index}: {kind}\n{text}")
            done = result.inputs
            if time.monotonic() - said > 60:
                said = time.monotonic()
                tell(f"{name}: {done} of {inputs}")
    result.seconds = time.monotonic() - begun
    return result


def _check_seeds(harness: Harness) -> None:
    """What is changed is valid: a fuzzer of refusals alone would find nothing."""
    from support.fuzz.targets import packed

    for files in harness.seeds:
        assert harness.accepts(packed(files)), sorted(files)


def _fork(work: Callable[[], None]) -> int:
    """Do something in a child process, and nothing else there."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads that hold locks: those of numpy's and torch's libraries wait for work here.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001  # it must not go on as its parent
        traceback.print_exc()
    finally:
        os._exit(0)


def _make(harness: Harness, seed: int, first: int, last: int) -> None:
    """Write inputs into the harness's folder, in processes that read nothing.

    Making odd HDF5 files ends a process now and then, and would be taken for a fault of the reader. Such an input
    is left out.
    """
    for old in harness.inputs.iterdir():
        old.unlink()

    def make() -> None:
        for index in range(first, last):
            signal.alarm(2 * int(HANG_S))
            content = input_of(harness, seed, index)
            (harness.inputs / str(index)).write_bytes(content)

    while first < last:
        os.waitpid(_fork(make), 0)
        made = max((int(file.name) for file in harness.inputs.iterdir()), default=first - 1)
        first = max(first, made + 1) + 1  # the one after the last that was made is left out


def _chunk(harness: Harness, seed: int, first: int, last: int, result: Result) -> list[tuple[str, int, str]]:
    """Run inputs `first` to `last` in a child; gives (kind, index, text) of its failures."""
    if first == 0 or first % CHUNK == 0:
        _make(harness, seed, first, last)
        result.left_out += last - first - len(list(harness.inputs.iterdir()))
    progress, (reading, writing) = mmap.mmap(-1, 8), os.pipe()
    progress[:] = struct.pack("<q", first)

    def work() -> None:
        os.close(reading)
        with os.fdopen(writing, "w") as report:
            _read(harness, range(first, last), progress, report.write)

    child = _fork(work)
    os.close(writing)
    lines, hung = _listen(reading, child, progress)
    _, status = os.waitpid(child, 0)
    at = struct.unpack("<q", progress[:])[0]
    failures = []
    for line in lines:
        found = json.loads(line)
        if "kind" in found:
            failures.append((found["kind"], found["index"], found["text"]))
        else:
            result.refused, result.peak = result.refused + found["refused"], max(result.peak, found["peak"])
    if at < last:  # it did not come to its end
        kind = "hang" if hung else f"the process ended ({signal.Signals(status).name if 0 < status < 65 else status})"
        failures.append((kind, at, f"no progress for {HANG_S:.0f} s" if hung else ""))
        at += 1
    result.inputs = at
    return failures


def _listen(reading: int, child: int, progress: mmap.mmap) -> tuple[list[str], bool]:
    """Lines of a child until it closes its end; it is killed where it does not go on."""
    text, last, moved, hung = b"", b"", time.monotonic(), False
    while True:
        ready, _, _ = select.select([reading], [], [], 1.0)
        if ready:
            part = os.read(reading, 65536)
            if not part:
                break
            text += part
        if progress[:] != last:
            last, moved = progress[:], time.monotonic()
        elif time.monotonic() - moved > HANG_S and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
    os.close(reading)
    return text.decode().splitlines(), hung


def _read(harness: Harness, indices: range, progress: mmap.mmap, report: Callable[[str], object]) -> None:
    """Try inputs in this process."""
    harness.begin()
    tempfile.tempdir = str(harness.temporary)
    limit_memory()
    begins = peak_bytes()  # that of the process it comes from, which may be a large one
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, _too_slow)
    refused, large = 0, False
    for index in indices:
        progress[:] = struct.pack("<q", index)
        failure, file = "", harness.inputs / str(index)
        if not file.exists():
            continue
        data = file.read_bytes()
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            refused += not harness.accepts(data)
            signal.setitimer(signal.ITIMER_PROF, 0)
        except BaseException as error:  # noqa: BLE001  # anything but a refusal is what is looked for
            failure = kind_of(error)
            text = "".join(traceback.format_exception(error, limit=-6))[-3000:]
        signal.setitimer(signal.ITIMER_PROF, 0)
        if not failure and not large and peak_bytes() - begins > MOST_BYTES:
            large, failure, text = True, "memory", f"{(peak_bytes() - begins) / 2**20:.0f} MB"
        if failure:
            report(json.dumps({"kind": failure, "index": index, "text": text}) + "\n")
    report(json.dumps({"refused": refused, "peak": peak_bytes()}) + "\n")
    progress[:] = struct.pack("<q", indices.stop)


def limit_memory() -> None:
    """Let a claim of a file fail at once where it would take the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + 2 * MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def kind_of(error: BaseException) -> str:
    """Type of an error and where in the package it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "compactnas" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
    return f"{type(error).__name__} at {where}"


def _too_slow(number: int, frame: object) -> None:
    raise TooSlowError(f"more than {SECONDS:g} s of processor time")
