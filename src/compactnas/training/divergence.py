"""A loss that is not finite, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

ROWS = 8
"""Most rows of a batch that a message names."""


class DivergedError(ArithmeticError):
    """A loss is not finite. On the CPU it is raised before the step; on a GPU a few steps may follow first.

    Args:
        what: Loss that is not finite.
        steps: First and last step that it may come from, from 1; None if it is the one that is running.
    """

    def __init__(self, what: str, steps: tuple[int, int] | None = None) -> None:
        super().__init__(what)
        self.steps = steps

    def where(self, running: int, rows_of: Callable[[int], Sequence[int]]) -> str:
        """Name the step with the rows of its batch, or the steps that it may be.

        Args:
            running: Step that is running, from 1.
            rows_of: Gives the rows of the data in the batch of a step.
        """
        first, last = self.steps or (running, running)
        if first < last:
            return f"one of steps {first} to {last}"
        rows = [int(row) for row in rows_of(first)]
        listed = ", ".join(map(str, rows[:ROWS])) + ", ..." * (len(rows) > ROWS)
        return f"step {first}, whose batch holds rows {listed} of the data"
