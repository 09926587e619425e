"""Do searches and short trainings of a find side by side, in processes that open its data again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from compactnas.config import RunConfig
from compactnas.data import open_dataset
from compactnas.finding.config import FindConfig
from compactnas.finding.setting import Setting
from compactnas.training.runtime import Listener
from compactnas.training.side_by_side import Crew
from compactnas.training.workers import Work

Does = Callable[[Setting, Any, Listener], Any]
"""Function of a module that does a task."""


def crew(setting: Setting, does: Does, listener: Listener) -> Crew:
    """Prepare to do tasks, in this process or in others.

    Args:
        setting: Data, config, options and device of the find.
        does: Function that does a task.
        listener: Receives the progress.
    """
    there = partial(_reopened, setting.config, setting.choice, does)
    return Crew(setting.sharing, lambda: partial(does, setting), there, listener)


def _reopened(config: RunConfig, choice: FindConfig, does: Does) -> Work:
    return partial(does, Setting.of(config, choice, open_dataset(config.data)))
