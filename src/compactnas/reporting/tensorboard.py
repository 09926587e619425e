"""Figures of a run for TensorBoard, through lightning-fabric's logger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.errors import UserError
from compactnas.io.jsonl import Row
from compactnas.training.runtime import Listener

if TYPE_CHECKING:
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger


class TensorBoard:
    """A `Listener` that writes each epoch's figures as scalars and passes every event to another listener.

    Each stage is a run of its own to TensorBoard; a resumed one goes on in its folder, and is shown as one curve.

    Args:
        inner: Listener that receives every event too.
        folder: where events go, to `search` and `train` in it.

    Errors:
        UserError: neither tensorboardX nor tensorboard is installed.
    """

    def __init__(self, inner: Listener, folder: Path) -> None:
        self.inner, self.folder = inner, folder
        self.logger = self._logger("")

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
        self.logger = self._logger(stage.split()[0])
        self.inner.start(stage, epochs, steps, done)

    def step(self, metrics: dict[str, float]) -> None:
        self.inner.step(metrics)

    def epoch(self, metrics: Row) -> None:
        self.logger.log_metrics(_scalars(metrics), step=metrics["epoch"])
        self.inner.epoch(metrics)

    def warn(self, text: str) -> None:
        self.inner.warn(text)

    def end(self) -> None:
        self.logger.finalize("success")  # only closing writes what is still waiting in the logger's queue
        self.inner.end()

    def _logger(self, stage: str) -> TensorBoardLogger:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger  # late: few want it

        try:
            return TensorBoardLogger(self.folder, name="", version="", sub_dir=stage)
        except ModuleNotFoundError:
            raise UserError(
                "--tensorboard: needs tensorboardX; install it with `pip install 'compactnas[cluster]'`"
            ) from None


def _scalars(metrics: Row) -> dict[str, float]:
    """Each number by name; of a list of numbers, one for each block."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        each = {f"{name}/block_{n}": v for n, v in enumerate(value, 1)} if isinstance(value, list) else {name: value}
        found |= {key: v for key, v in each.items() if isinstance(v, int | float) and key != "epoch"}
    return found
