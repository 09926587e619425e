"""The searches of a find, each without one fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from compactnas.finding.plan import Plan
from compactnas.finding.setting import Setting
from compactnas.finding.side_by_side import crew
from compactnas.pipeline.running import search_stage
from compactnas.runs.folder import run_writer
from compactnas.selection.searches import FinishedSearch
from compactnas.training.runtime import Listener
from compactnas.training.workers import ENDS_WITHIN_S


@dataclass(frozen=True)
class _Task:
    """A search without a fold.

    Attributes:
        fold: Number of the fold that it holds out.
        epochs: Number of epochs.
        folder: Folder of the search.
    """

    fold: int
    epochs: int
    folder: Path

    @property
    def done(self) -> bool:
        return (self.folder / "genotype.json").exists()


def run_searches(setting: Setting, plan: Plan, folder: Path, listener: Listener) -> list[FinishedSearch]:
    """Do the searches that are not done; search number N holds out fold N.

    Args:
        setting: Folds, config and device.
        plan: Numbers of searches and epochs.
        folder: Folder of all searches.
        listener: Receives the progress.
    """
    tasks = [_Task(number, plan.search_epochs, folder / str(number)) for number in range(plan.searches)]
    left = {f"search {task.fold + 1} of {len(tasks)}": task for task in tasks if not task.done}
    with crew(setting, _search, listener) as searchers:
        searchers.do("searches", left, lambda name, result: None, of=len(tasks))
    return [FinishedSearch.read(task.folder) for task in tasks]


def _search(setting: Setting, task: _Task, listener: Listener) -> None:
    config = setting.config
    search = replace(config.search, epochs=task.epochs, max_steps=0, stop_after=0)
    given = replace(config, search=search, seed=config.seed + task.fold)
    with run_writer(task.folder, wait_s=ENDS_WITHIN_S):
        search_stage(given, task.folder, resume=True, listener=listener, data=setting.folds.each[task.fold])
