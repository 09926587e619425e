"""Requests to stop: SIGTERM, as schedulers send before they kill, and SIGUSR1, Slurm's warning."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))  # Windows has one


class StoppedError(Exception):
    """A run was asked to stop; all that it has done is on disk, and it can go on."""


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """A handler for where nothing is lost by stopping here."""
    raise StoppedError(f"stopped by {signal.Signals(number).name}")


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """While it lasts, a request raises `StoppedError`, unless somebody else listens to it already."""
    with _handled(stop_at_once, (signal.SIG_DFL,)):
        yield


@contextmanager
def stop_requests() -> Iterator[Callable[[], str]]:
    """While it lasts, a request is noted; gives what tells the name of the first one, empty if none came."""
    noted: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(signal.Signals(number).name)

    with _handled(note, (signal.SIG_DFL, stop_at_once)):
        yield lambda: noted[0] if noted else ""


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """While it lasts, Ctrl-C and SIGTERM are noted, whoever listened to them; gives what tells whether one came.

    For where an exception in a handler could be raised inside another library's callback, which loses it.
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
    """Set a handler for the signals whose handler is one of these, None: any; only the main thread may."""
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
