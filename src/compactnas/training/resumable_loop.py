"""Run epochs that can be interrupted: by a kill, by a request to stop, or by a loss that is not finite."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from compactnas.data import Indices
from compactnas.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from compactnas.errors import UserError
from compactnas.io.durations import duration
from compactnas.io.jsonl import Row, write_rows
from compactnas.io.signals import StoppedError, stop_requests
from compactnas.runs.checkpoints import EACH_EPOCH, CheckpointPolicy, Checkpoints
from compactnas.runs.seconds import FILE as SECONDS
from compactnas.runs.seconds import add_seconds
from compactnas.training.divergence import DivergedError
from compactnas.training.runtime import Listener, Means, peak_memory_gib

CHECK_EVERY_STEPS = 50
"""Steps between two checks of the losses on a GPU, because reading a loss waits for the device."""

RATE_CUT, MOST_CUTS = 0.5, 5
"""Factor that lowers the learning rate after a divergence, and the largest number of times it is applied."""


class StepResult(NamedTuple):
    """Result of a step.

    Attributes:
        means: Pairs of a number of patches and means over them, which the loop averages over the epoch.
        shown: Figures for the listener; empty if reading them would wait for the device.
    """

    means: tuple[tuple[int, dict[str, Tensor]], ...]
    shown: dict[str, float]


@runtime_checkable
class Trainer(Protocol):
    """Interface that a `ResumableLoop` needs from a training or a search."""

    def run_epoch(self, epoch: int, first_step: int = 0, rate_factor: float = 1.0) -> Generator[StepResult, None, None]:
        """Run the steps of an epoch, one for each result. The loop may close the generator after any of them.

        Args:
            epoch: Epoch to run, from 0.
            first_step: First step to run; the steps before it are done.
            rate_factor: Factor of the learning rate; below 1 after a divergence.
        """

    def epoch_row(self, epoch: int) -> Row:
        """Figures at the end of an epoch, besides the means over its steps."""

    def data_rows(self, epoch: int, step: int) -> Indices:
        """Rows of the data in the batch of a step."""

    def finished(self, rows: list[Row]) -> bool:
        """Decide whether to stop early, given the rows of all epochs so far."""

    def state(self) -> dict[str, Any]:
        """The whole state, as tensors and plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore such a state."""


@dataclass
class LoopState:
    """Progress of a loop. Only the loop changes it.

    Attributes:
        rows: Metrics of each finished epoch.
        step: Number of finished steps in the current epoch.
        checked: Number of these whose losses are known to be finite.
        means: Means over these steps.
        rate_factor: Factor of the learning rate; below 1 after a divergence.
    """

    rows: list[Row] = field(default_factory=list)
    step: int = 0
    checked: int = 0
    means: Means = field(default_factory=Means)
    rate_factor: float = 1.0

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return len(self.rows)


class ResumableLoop:
    """Run a trainer's epochs, write metrics and checkpoints, and resume from the newest checkpoint.

    Args:
        trainer: Training or search to run.
        listener: Receives progress and warnings.
        folder: Folder of the metrics and checkpoints.
        name: Name for progress and messages.
        epochs: Number of epochs.
        steps: Number of steps in an epoch.
        max_steps: Stop after this many steps, to try a setting; 0 runs all.
        on_divergence: `stop`, or `lower` the learning rate and resume from the last checkpoint.
        processes: Processes of the run; the first one writes.
        policy: When checkpoints are written, and how many are kept.
    """

    def __init__(
        self,
        trainer: Trainer,
        listener: Listener,
        folder: Path,
        name: str,
        *,
        epochs: int,
        steps: int,
        max_steps: int = 0,
        on_divergence: Literal["stop", "lower"] = "stop",
        processes: ProcessGroup = SINGLE_PROCESS,
        policy: CheckpointPolicy = EACH_EPOCH,
    ) -> None:
        self.trainer, self.listener, self.folder, self.name = trainer, listener, folder, name
        self.epochs, self.steps, self.max_steps = epochs, steps, max_steps
        self.on_divergence, self.processes, self.policy = on_divergence, processes, policy
        self.checkpoints = Checkpoints(folder, policy.last)
        self.state, self.cuts = LoopState(), 0
        self.steps_run, self.step_times = 0, [time.monotonic()]
        self.saved_at = time.monotonic()
        self._stop_request: Callable[[], str] = str

    def run(self, *, resume: bool) -> list[Row]:
        """Run the remaining epochs and return the metrics of all. Metrics and checkpoints are on disk after each.

        Args:
            resume: Start from the newest checkpoint, if there is one.

        Raises:
            UserError: The loss is not finite, no checkpoint can be read, or the folder is gone.
            StoppedError: SIGTERM or SIGUSR1 asked to stop; everything done so far is kept.
        """
        with stop_requests() as self._stop_request:
            if resume:
                self._restore_newest()
            if self.processes.is_rank_zero:
                self.folder.mkdir(parents=True, exist_ok=True)
                if not self.state.rows and not self.state.step:
                    (self.folder / SECONDS).unlink(missing_ok=True)
            self.processes.require_same("the step to resume from", [self.state.epoch, self.state.step])
            self.listener.start(self.name, self.epochs, self.steps, self.state.epoch)
            try:
                while not self._finished() and self._run_epoch():
                    pass
            finally:
                self.listener.end()
            return self.state.rows

    def _finished(self) -> bool:
        rows = self.state.rows
        return len(rows) >= self.epochs or (bool(rows) and self.trainer.finished(rows))

    def _run_epoch(self) -> bool:
        """Run an epoch, or the rest of it. Return whether to go on."""
        state, trainer = self.state, self.trainer
        try:
            with closing(trainer.run_epoch(state.epoch, state.step, state.rate_factor)) as results:
                for result in results:
                    self._add(result)
                    if self._out_of_steps():
                        break
                    if state.step < self.steps:  # the end of the epoch writes a checkpoint of its own
                        self._save_if_due()
            self._require_finite()
        except DivergedError as error:
            self._recover(error)
            return True
        state.rows.append({"epoch": state.epoch + 1} | state.means.result() | trainer.epoch_row(state.epoch))
        if self._out_of_steps():
            self.listener.warn(self._estimate())
            self._write_metrics()
            return False
        state.step, state.checked, state.means = 0, 0, Means()
        self._save()
        self.listener.epoch(state.rows[-1])
        if message := self._stop_message():
            raise StoppedError(message)
        return True

    def _add(self, result: StepResult) -> None:
        """Count a step and add up its figures."""
        for patches, values in result.means:
            self.state.means.add(patches, **values)
        self.state.step += 1
        self.steps_run += 1
        self.listener.step(result.shown)
        # On a GPU the step was only launched: its time is known once its loss can be read.
        if not result.shown and (self.max_steps or self.state.step % CHECK_EVERY_STEPS == 0):
            self._require_finite()
        if self.max_steps:
            self.step_times.append(time.monotonic())

    def _out_of_steps(self) -> bool:
        return bool(self.max_steps) and self.steps_run >= self.max_steps

    def _save_if_due(self) -> None:
        """Write a checkpoint within an epoch if the policy or a request to stop asks for it."""
        every = self.policy.every_s
        message = self._stop_message()
        if message or (every and self.processes.is_rank_zero and time.monotonic() - self.saved_at >= every):
            self._require_finite()
            self._save()
        if message:
            raise StoppedError(message)

    def _stop_message(self) -> str:
        """Describe the request to stop and where it came; empty without one."""
        request, state = self._stop_request(), self.state
        if not self.processes.any(bool(request)):
            return ""
        where = f"epoch {state.epoch + 1}, step {state.step}" if state.step else f"epoch {state.epoch}"
        return f"{self.name}: stopped by {request or 'another process'} after {where}; everything so far is kept"

    def _save(self) -> None:
        """Write metrics and a checkpoint. The state is the same in all processes, so the first one writes it."""
        if not self.processes.is_rank_zero:
            return
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: the folder is gone; bring it back and resume with --resume")
        state, cuda = self.state, torch.cuda.is_available()
        saved = {"rows": state.rows, "step": state.step, "means": state.means.state(), "factor": state.rate_factor}
        random = {"rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state() if cuda else None}
        self._write_seconds()  # before the checkpoint, else a kill between them loses the time of this epoch
        self.checkpoints.save(state.epoch, state.step, saved | random | {"state": self.trainer.state()})
        self._write_metrics()

    def _write_seconds(self) -> None:
        """Add the wall time since the last checkpoint."""
        now = time.monotonic()
        add_seconds(self.folder, now - self.saved_at)
        self.saved_at = now

    def _write_metrics(self) -> None:
        """Write the metrics of the finished epochs."""
        if self.state.rows and self.processes.is_rank_zero:
            write_rows(self.folder / "metrics.jsonl", self.state.rows)

    def _restore_newest(self) -> None:
        """Restore the newest readable checkpoint, if there is one."""
        saved, warnings = self.checkpoints.newest()
        for warning in warnings:
            self.listener.warn(f"{warning}; resuming from an older one")
        if saved is None:
            return
        factor = min(saved["factor"], self.state.rate_factor)
        self.state = LoopState(saved["rows"], saved["step"], saved["step"], Means.of(saved["means"]), factor)
        torch.set_rng_state(saved["rng"])
        if saved["cuda_rng"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(saved["cuda_rng"])
        self.trainer.restore(saved["state"])
        self._write_metrics()  # a kill between the checkpoint and the metrics leaves them a row behind

    def _require_finite(self) -> None:
        """Raise `DivergedError` if a mean of the current epoch is not finite."""
        state = self.state
        if not state.means.finite():
            raise DivergedError("a loss", (state.checked + 1, state.step))
        state.checked = state.step

    def _recover(self, error: DivergedError) -> None:
        """After a divergence, lower the learning rate and restore the last checkpoint, or raise a `UserError`."""
        state = self.state
        where = error.where(state.step + 1, lambda step: self.trainer.data_rows(state.epoch, step - 1).tolist())
        what = f"{self.name}: {error} is not finite at epoch {state.epoch + 1}, {where}"
        files = self.checkpoints.files()
        last = f"the last good state is kept ({files[0].name})" if files else "there is no checkpoint yet"
        if self.on_divergence == "stop" or not files or self.cuts >= MOST_CUTS:
            raise UserError(
                f"{what}; {last}; check the patches, lower the learning rate, or set on_divergence: lower"
            ) from None
        self.cuts += 1
        state.rate_factor *= RATE_CUT
        self._restore_newest()
        factor = self.state.rate_factor
        self.listener.warn(f"{what}; resuming from the last good state at {factor:g} of the learning rate")

    def _estimate(self) -> str:
        times = sorted(later - sooner for sooner, later in pairwise(self.step_times))
        median = times[len(times) // 2]
        total, gib = duration(median * self.epochs * self.steps), peak_memory_gib()
        return (
            f"{self.name}: stopped after {self.steps_run} steps of {median:.3f} s (median); all {self.epochs} epochs "
            f"of {self.steps} steps would take about {total}" + f" and {gib:.2f} GiB of memory" * bool(gib)
        )
