"""Handle requests to stop: SIGTERM, which schedulers send before they kill, and SIGUSR1, Slurm's warning."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))  # Windows has one


class StoppedError(Exception):
    """A run was asked to stop. Its work is on disk and can be resumed."""


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """Signal handler that raises `StoppedError` at once."""
    raise StoppedError(f"stopped by {signal.Signals(number).name}")


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Raise `StoppedError` on a request to stop, unless the signal has another handler."""
    with _handled(stop_at_once, (signal.SIG_DFL,)):
        yield


@contextmanager
def stop_requests() -> Iterator[Callable[[], str]]:
    """Record requests to stop. Yields a function that returns the name of the first signal; empty if none came."""
    noted: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(signal.Signals(number).name)

    with _handled(note, (signal.SIG_DFL, stop_at_once)):
        yield lambda: noted[0] if noted else ""


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Record Ctrl-C and SIGTERM instead of raising. Yields a function that returns whether one came.

    Use it if an exception could be raised, and lost, inside a callback of another library.
    """
    noted: list[int] = []
    with _handled(lambda number, frame: noted.append(number), None, (signal.SIGINT, signal.SIGTERM)):
        yield lambda: bool(noted)


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None],
    instead: tuple[object, ...] | None,
    numbers: tuple[signal.Signals, ...] = SIGNALS,
) -> Iterator[None]:
    """Set a handler in the main thread for signals whose current handler is in `instead` (None: any)."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if instead is None or signal.getsignal(number) in instead:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
