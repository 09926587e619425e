"""Start commands in separate processes, forked from one that has already imported the package.

`python -m compactnas` spends seconds on imports. A forked process starts at once and can be killed like any other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("compactnas.pipeline.running", "compactnas.cli.options", "compactnas.reporting.run.page", __name__),
        # Each takes as long to import as torch. What is not installed is left out.
        *("lightning_fabric", "rasterio", "odc.stac", "pystac_client"),
        # Most commands import these late.
        *("compactnas.data.formats.scenes", "compactnas.data.formats.so2sat", "compactnas.cli.tables"),
        *("compactnas.studies.forecast", "compactnas.studies.parallel", "compactnas.finding.run"),
    ]
)
# The package starts its own processes from the same server, and names one module for it. If that came first, each
# command here would import the rest anew.
CONTEXT.set_forkserver_preload = lambda modules: None


class Forked:
    """Running command in a separate session, used like `subprocess.Popen`.

    Args:
        words: Arguments of `python`: `-m compactnas ...` or `-c CODE ...`.
        env: Environment; by default, that of this process.
    """

    def __init__(self, words: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        self.args = list(map(str, words))
        self.files = [Path(tempfile.mkstemp(prefix="said-")[1]) for _ in range(2)]
        self.said: tuple[str, str] | None = None
        place = (dict(os.environ if env is None else env), str(Path.cwd()))
        self.process = CONTEXT.Process(target=_run, args=(self.args, *place, list(map(str, self.files))))
        self.process.start()
        assert self.process.pid is not None
        self.pid = self.process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while the command runs."""
        return self.process.exitcode

    def poll(self) -> int | None:
        """Exit code; None while the command runs."""
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        if self.said is None:
            out, err = (file.read_text() for file in self.files)
            self.said = out, err
            for file in self.files:
                file.unlink()
        return self.process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end and return what the command has printed to stdout and stderr."""
        self.wait(timeout)
        assert self.said is not None
        return self.said

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process and its children with SIGKILL, if it still runs."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has only just been forked, and has no session yet
                os.kill(self.pid, signal.SIGKILL)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.wait()


def finish(
    words: Sequence[str | Path], env: Mapping[str, str] | None = None, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, like `subprocess.run`."""
    with Forked(words, env) as process:
        out, err = process.communicate()
    done = subprocess.CompletedProcess(process.args, process.wait(), out, err)
    assert not check or done.returncode == 0, err
    return done


def run_file(file: str, name: str = "__main__") -> None:
    """Run a test module as a program that does not have the paths and modules that pytest adds.

    Args:
        file: File of the module.
        name: `__name__` in the module; another than `__main__` only imports it.
    """
    folder = str(Path(__file__).parents[1])
    code = (
        "import runpy, sys\n"
        f"sys.path = [path for path in sys.path if path != {folder!r}]\n"
        "for name in [name for name in sys.modules if name.partition('.')[0] == 'support']: del sys.modules[name]\n"
        f"sys.argv = [{file!r}]\n"
        f"runpy.run_path({file!r}, run_name={name!r})"
    )
    finish(["-c", code])


def _run(words: list[str], env: dict[str, str], folder: str, files: list[str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files, start=1):
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    kind, what, *rest = words
    sys.argv = [what, *rest]
    if kind == "-c":
        exec(what, {"__name__": "__main__"})  # as `python -c` does
    else:
        assert (kind, what) == ("-m", "compactnas"), words
        sys.modules["__main__"].__spec__ = find_spec("compactnas.__main__")  # a run starts its other processes by it
        from compactnas.cli import entry

        entry()
