"""Show the progress of a run on a terminal: a bar, the latest figures, and the remaining time.

Everything goes to stderr, so that results on stdout can be piped. Without a terminal, as in the log of a cluster or
in a notebook, each epoch is one plain line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

SPEED_WINDOW_S = 300.0
"""Seconds over which the remaining time is estimated. Steps take different times, because sampled paths differ."""


class RichListener:
    """A `compactnas.training.runtime.Listener` that shows progress with rich.

    On a terminal, it shows one bar for each stage and, below it, the figures of the last step and epoch. Without a
    terminal, it prints one plain line for each epoch. Warnings are always shown, each once.

    Args:
        console: Console to write to; stderr by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live: Live | None = None
        self._progress, self._task = _bar(self._console)
        self._stage, self._epochs, self._steps = "", 0, 0
        self._epoch, self._step = 0, 0
        self._last_step: Mapping[str, object] = {}
        self._last_epoch: Mapping[str, object] = {}
        self._warned: set[str] = set()

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
        """Begin a stage of `epochs` epochs with `steps` steps each, or continue it after `done` epochs."""
        self.end()
        self._stage, self._epochs, self._steps, self._epoch, self._step = stage, epochs, steps, done, 0
        self._last_step, self._last_epoch = {}, {}
        if self._console.is_terminal:
            self._progress, self._task = _bar(self._console, total=epochs * steps, stage=stage)
            self._live = Live(self._view(), console=self._console, refresh_per_second=5)
            self._live.start()
            self._advance_to(done * steps)

    def step(self, metrics: Mapping[str, object]) -> None:
        """Show that a step is done; `metrics` are those of its batch."""
        self._step, self._last_step = self._step + 1, metrics
        if self._live is not None:
            self._progress.update(self._task, advance=1, position=self._position())
            self._live.update(self._view())

    def epoch(self, metrics: Mapping[str, object]) -> None:
        """Show that an epoch is done; `metrics` are its means, with `epoch` counted from 1."""
        number = metrics.get("epoch")
        self._epoch, self._step = number if isinstance(number, int) else self._epoch + 1, 0
        self._last_epoch = metrics
        if self._live is not None:
            self._advance_to(self._epoch * self._steps)
            self._live.update(self._view())
        if not self._console.is_terminal:
            self._print(f"{self._stage} epoch {self._epoch}/{self._epochs}: {describe(metrics)}")

    def warn(self, text: str) -> None:
        """Show a warning once in a run. It may contain names from files, so it is not read as markup."""
        if text not in self._warned:
            self._warned.add(text)
            self._print(f"warning: {text}", style="yellow")

    def note(self, text: str) -> None:
        """Show that a part of the stage is done, as a plain line; on a terminal the bar shows it."""
        if not self._console.is_terminal:
            self._print(f"{self._stage}: {text}")

    def end(self) -> None:
        """End the stage, finished or not; may be called twice."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _advance_to(self, completed: int) -> None:
        """Set the number of completed steps. The jump of a resumed run must not count as speed."""
        known = self._progress.tasks[0].completed
        if completed - known > self._steps:
            self._progress.reset(self._task, completed=completed, position=self._position())
        else:
            self._progress.update(self._task, completed=completed, position=self._position())

    def _position(self) -> str:
        running = min(self._epoch + (self._step > 0), self._epochs)
        return f"epoch {running}/{self._epochs}" + (f" step {self._step}/{self._steps}" if self._step else "")

    def _view(self) -> Group:
        lines = [
            (f"epoch {self._epoch}", self._last_epoch),
            (f"step {self._step}", self._last_step if self._step else {}),
        ]
        shown = [Text(f"  {name}: {figures}", style="dim") for name, row in lines if (figures := describe(row))]
        return Group(self._progress, *shown)

    def _print(self, line: str, style: str = "") -> None:
        printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        self._console.print(Text(printable, style=style), soft_wrap=True)
        self._console.file.flush()


def describe(metrics: Mapping[str, object]) -> str:
    """Write the main figures in one line: loss, accuracy, entropy, cost, depth."""
    parts = [
        _pair("loss", metrics, "loss", 1.0, 3, ""),
        _pair("accuracy", metrics, "accuracy", 100.0, 1, " %"),
        _number("validation OA", metrics.get("validation_oa"), 100.0, 1, " %"),
        _number("entropy", metrics.get("entropy"), 1.0, 2, " nats"),
        _number("cost", metrics.get("expected_macs"), 1e-6, 2, " M MACs"),
        _depths(metrics.get("depths") if "entropy" in metrics else None),  # else the mean of uniform draws
        _number("tau", metrics.get("tau"), 1.0, 1, ""),
    ]
    return "  ".join(part for part in parts if part)


class Counter:
    """A progress bar with the rate of a count. Without a terminal, it shows nothing.

    Args:
        unit: Name of the counted things, in the plural.
        console: Console to write to; stderr by default.
    """

    def __init__(self, unit: str, console: Console | None = None) -> None:
        self._unit = unit
        self._console = console or Console(stderr=True)
        self._progress, self._task = _bar(self._console, stage=unit)

    def __enter__(self) -> Counter:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:  # without a terminal, stopping would print an empty line
            self._progress.stop()

    def at(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        speed = self._progress.tasks[0].speed
        rate = f", {speed:.0f}/s" if speed else ""
        self._progress.update(self._task, completed=done, total=total, position=f"{done} of {total}{rate}")


def _bar(console: Console, total: int = 0, stage: str = "") -> tuple[Progress, TaskID]:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[position]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=SPEED_WINDOW_S,
    )
    return progress, progress.add_task(stage, total=total, position="")


def _number(label: str, value: object, scale: float, digits: int, unit: str) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{label} {value * scale:.{digits}f}{unit}"


def _pair(label: str, metrics: Mapping[str, object], key: str, scale: float, digits: int, unit: str) -> str:
    """Write a figure of a training, or the two of a search: for the weights, then for alpha."""
    pair = [metrics.get(f"{key}_weights"), metrics.get(f"{key}_alpha")]
    values = [value for value in pair if isinstance(value, int | float)]
    if not values:
        return _number(label, metrics.get(key), scale, digits, unit)
    return f"{label} " + " | ".join(f"{value * scale:.{digits}f}" for value in values) + unit


def _depths(value: object) -> str:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return ""
    return "depth " + " ".join(f"{depth:.1f}" for depth in value)
