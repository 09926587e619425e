"""Epochs that survive whatever happens to them: a kill, a request to stop, a loss that is no number."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch

from compactnas.data import Indices
from compactnas.distributed.process_group import ALONE, Ranks
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.io.signals import StoppedError, stop_requests
from compactnas.runs.checkpoints import EACH_EPOCH, Checkpoints, Keeping
from compactnas.runs.folder import Row, write_rows
from compactnas.training.optim import DivergedError
from compactnas.training.runtime import Listener, Means, duration, peak_memory_gib

Tell = Callable[[dict[str, float]], bool]
"""Hears the figures of a step when it is done, and says whether there is more to do."""

LOOK_EVERY = 50
"""Steps between two looks at the losses where reading one waits for the device."""

LOWERED, TRIES = 0.5, 5
"""By what the learning rate is multiplied after a divergence, and how often."""


@dataclass
class Position:
    """Where a stage stands.

    Attributes:
        rows: one for each epoch that is done.
        step: steps that are done of the next epoch.
        means: over these.
        factor: of the learning rate; below 1 after a divergence.
    """

    rows: list[Row] = field(default_factory=list)
    step: int = 0
    means: Means = field(default_factory=Means)
    factor: float = 1.0


@dataclass(frozen=True)
class Stage:
    """A loop's epochs, its whole state, and where both are kept.

    Attributes:
        folder: where metrics and checkpoints are written.
        name: for the listener.
        epochs: how many.
        steps: of an epoch.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        run_epoch: runs an epoch from a position on, calls the function that it is given after each step and
            stops when that answers False; gives the epoch's metrics.
        state: the whole state, as tensors and plain values.
        restore: takes such a state.
        rows_of: rows of the data in a step of an epoch, to name them.
        on_divergence: `stop`, or `lower` the rate and go on from the last checkpoint.
        finished: whether the rows so far end the stage early.
        ranks: the processes that run it together; the first one writes.
        keeping: when the state is kept.
    """

    folder: Path
    name: str
    epochs: int
    steps: int
    max_steps: int
    run_epoch: Callable[[int, Tell, Position], Row]
    state: Callable[[], dict[str, Any]]
    restore: Callable[[dict[str, Any]], None]
    rows_of: Callable[[int, int], Indices]
    on_divergence: Literal["stop", "lower"] = "stop"
    finished: Callable[[list[Row]], bool] = lambda rows: False
    ranks: Ranks = ALONE
    keeping: Keeping = EACH_EPOCH

    def run(self, listener: Listener, *, resume: bool) -> list[Row]:
        """Run what is left; metrics and the whole state are on disk after each epoch, and at intervals in it.

        Errors:
            UserError: the loss is no number; or no checkpoint can be read, or the folder is gone.
            StoppedError: SIGTERM or SIGUSR1 asked to stop; all that was done is kept.
        """
        with stop_requests() as requested:
            return _Running(self, listener, requested).run(resume=resume)


class _Running:
    """A stage that runs."""

    def __init__(self, stage: Stage, listener: Listener, requested: Callable[[], str]) -> None:
        self.stage, self.listener, self.requested = stage, listener, requested
        self.checkpoints = Checkpoints(stage.folder, stage.keeping.last)
        self.at, self.tries = Position(), 0
        self.times = [time.monotonic()]
        self.kept_at = time.monotonic()
        self.done, self.spent = 0, False

    def run(self, *, resume: bool) -> list[Row]:
        stage = self.stage
        if resume:
            self._restore()
        if stage.ranks.first:
            stage.folder.mkdir(parents=True, exist_ok=True)
            if not self.at.rows and not self.at.step:
                (stage.folder / "seconds.json").unlink(missing_ok=True)
        stage.ranks.require_same("the place to go on from", [len(self.at.rows), self.at.step])
        self.listener.start(stage.name, stage.epochs, stage.steps, len(self.at.rows))
        try:
            while len(self.at.rows) < stage.epochs and not (self.at.rows and stage.finished(self.at.rows)):
                if not self._epoch():
                    break
        finally:
            self.listener.end()
        return self.at.rows

    def _epoch(self) -> bool:
        """One epoch, or what is left of it; whether there is more to do."""
        stage, at = self.stage, self.at
        try:
            row = stage.run_epoch(len(at.rows), self._step, at)
            self._require_numbers()
        except DivergedError as error:
            self._go_back(error)
            return True
        at.rows.append({"epoch": len(at.rows) + 1} | row)
        if self.spent:
            if stage.ranks.first:
                write_rows(stage.folder / "metrics.jsonl", at.rows)
            return False
        at.step, at.means = 0, Means()
        self._keep()
        self.listener.epoch(at.rows[-1])
        if asked := self._asked():
            raise StoppedError(asked)
        return True

    def _step(self, metrics: dict[str, float]) -> bool:
        """A step is done: count it, keep the state if it is time, stop if somebody asks."""
        stage, at = self.stage, self.at
        at.step, self.done = at.step + 1, self.done + 1
        self.listener.step(metrics)
        # Without metrics the step was only launched; to time it is to wait until its loss can be read.
        if not metrics and (stage.max_steps or at.step % LOOK_EVERY == 0):
            self._require_numbers()
        if stage.max_steps:
            self.times.append(time.monotonic())
            self.spent = self.done >= stage.max_steps
            if self.spent:
                self.listener.warn(self._estimate())
                return False
        if at.step == stage.steps:  # the epoch's end keeps it
            return True
        every = stage.keeping.every_s
        asked = self._asked()
        if asked or (every and stage.ranks.first and time.monotonic() - self.kept_at >= every):
            self._require_numbers()
            self._keep()
        if asked:
            raise StoppedError(asked)
        return True

    def _asked(self) -> str:
        """Who asks to stop, and where; empty if nobody does."""
        request, at = self.requested(), self.at
        if not self.stage.ranks.any(bool(request)):
            return ""
        where = f"epoch {len(at.rows) + 1}, step {at.step}" if at.step else f"epoch {len(at.rows)}"
        return f"{self.stage.name}: stopped by {request or 'another process'} after {where}; it is kept"

    def _keep(self) -> None:
        """Write metrics and the whole state; it is the same in all processes."""
        stage, at = self.stage, self.at
        if not stage.ranks.first:
            return
        if not stage.folder.is_dir():
            raise UserError(f"{stage.folder}: is gone; when its disk is back, go on with --resume")
        state: dict[str, Any] = {"rows": at.rows, "step": at.step, "means": at.means.state(), "factor": at.factor}
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        state |= {"rng": torch.get_rng_state(), "cuda_rng": cuda, "state": stage.state()}
        self.checkpoints.save(len(at.rows), at.step, state)
        if at.rows:
            write_rows(stage.folder / "metrics.jsonl", at.rows)
        # Wall time is kept apart: metrics must be the same bytes when run again.
        now, file = time.monotonic(), stage.folder / "seconds.json"
        before = float(read_json(file, "remove it")) if file.exists() else 0.0
        write_json(file, round(before + now - self.kept_at, 3))
        self.kept_at = now

    def _restore(self) -> bool:
        """Take up the newest state that can be read; whether there was one."""
        saved, warnings = self.checkpoints.newest()
        for warning in warnings:
            self.listener.warn(f"{warning}; an older one is taken")
        if saved is None:
            return False
        factor = min(saved["factor"], self.at.factor)
        self.at = Position(saved["rows"], saved["step"], Means.of(saved["means"]), factor)
        torch.set_rng_state(saved["rng"])
        if saved["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda_rng"])
        self.stage.restore(saved["state"])
        return True

    def _require_numbers(self) -> None:
        """Raise `DivergedError` where a mean of this epoch so far is no number."""
        if not self.at.means.finite():
            raise DivergedError("a loss")

    def _go_back(self, error: DivergedError) -> None:
        """After a divergence: stop, or lower the rate and go on from the last good state."""
        stage, at = self.stage, self.at
        rows = [int(row) for row in stage.rows_of(len(at.rows), min(at.step, stage.steps - 1))]
        what = (
            f"{stage.name}: {error} is no finite number at epoch {len(at.rows) + 1}, step {at.step + 1}, whose batch "
            f"holds rows {', '.join(map(str, rows[:8]))}{', ...' if len(rows) > 8 else ''} of the data"
        )
        kept = self.checkpoints.files()
        last = f"the last good state is kept ({kept[0].name})" if kept else "nothing was kept before it"
        if stage.on_divergence == "stop" or not kept or self.tries >= TRIES:
            raise UserError(
                f"{what}; {last}; look at these patches, lower the learning rate, or give on_divergence: lower"
            ) from None
        self.tries += 1
        at.factor *= LOWERED
        self._restore()
        self.listener.warn(f"{what}; goes on from the last good state at {self.at.factor:g} of the learning rate")

    def _estimate(self) -> str:
        spans = sorted(later - sooner for sooner, later in pairwise(self.times))
        median, stage = spans[len(spans) // 2], self.stage
        return (
            f"{stage.name}: stopped after {self.done} steps of {median:.3f} s (median); the whole, "
            f"{stage.epochs} epochs of {stage.steps} steps, would take about "
            f"{duration(median * stage.epochs * stage.steps)} and {peak_memory_gib():.2f} GiB of memory"
        )
