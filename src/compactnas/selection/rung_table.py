"""Table of the short trainings of all rungs: the same file, whichever training ends first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from compactnas.io.jsonl import Row, write_rows
from compactnas.training.side_by_side import Crew

Key = tuple[int, ...]
"""Numbers that identify a training, such as those of its candidate and rung."""


@runtime_checkable
class RungTask(Protocol):
    """Training of a candidate to the end of a rung."""

    @property
    def name(self) -> str:
        """Name for progress and messages."""

    @property
    def key(self) -> Key:
        """Numbers that identify it."""

    def row(self, result: Any) -> Row:
        """Row of the table, from the result of the training."""


@dataclass
class RungTable:
    """Rows of the trainings, in the order of their tasks.

    Attributes:
        file: File of the table, which is written after each training.
        rows: Rows of the trainings that are done.
        order: Trainings of all rungs so far.
    """

    file: Path
    rows: dict[Key, Row]
    order: list[Key] = field(default_factory=list)

    def fill(self, crew: Crew, title: str, tasks: Sequence[RungTask]) -> None:
        """Do the trainings of a rung that are not done."""
        self.order += [task.key for task in tasks]
        left = {task.name: task for task in tasks if task.key not in self.rows}

        def keep(name: str, result: Any) -> None:
            self.rows[left[name].key] = left[name].row(result)
            write_rows(self.file, self.ordered)

        crew.do(title, left, keep, of=len(tasks))

    @property
    def ordered(self) -> list[Row]:
        """Rows in the order of the trainings."""
        return [self.rows[key] for key in self.order if key in self.rows]
