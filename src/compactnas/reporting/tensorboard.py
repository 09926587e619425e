"""Write the figures of a run for TensorBoard, with the logger of lightning-fabric."""

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

    TensorBoard shows each stage as a run. A resumed stage continues in its folder, as one curve.

    Args:
        inner: Listener that receives every event too.
        folder: Folder of the events, which go into `search` and `train` in it.

    Raises:
        UserError: Neither tensorboardX nor tensorboard is installed.
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

    def note(self, text: str) -> None:
        self.inner.note(text)

    def end(self) -> None:
        self.logger.finalize("success")  # only closing writes the events that are still in the logger's queue
        self.inner.end()

    def _logger(self, stage: str) -> TensorBoardLogger:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger  # imported here, because few runs need it

        try:
            return TensorBoardLogger(self.folder, name="", version="", sub_dir=stage)
        except ModuleNotFoundError:
            raise UserError(
                "--tensorboard: needs tensorboardX; install it with `pip install 'compactnas[tensorboard]'`"
            ) from None


def _scalars(metrics: Row) -> dict[str, float]:
    """Collect the numbers by name; a list gives one number for each block."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        each = {f"{name}/block_{n}": v for n, v in enumerate(value, 1)} if isinstance(value, list) else {name: value}
        found |= {key: v for key, v in each.items() if isinstance(v, int | float) and key != "epoch"}
    return found
