"""What a strategy that learns no alpha does last: candidates are measured on the supernet, the best is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compactnas.data.batches import drawing
from compactnas.distributed.process_group import ProcessGroup
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.io.signals import StoppedError, stop_requests
from compactnas.search.budget import USED, Budget, unused
from compactnas.search.derivation import Derived
from compactnas.search.strategies.trials import Chooser, Evaluate, Trial
from compactnas.search.strategies.trials import Row as Choice
from compactnas.search.strategies.uniform import Genotypes
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener

KEEP_EVERY = 20
"""Candidates after which what is measured is kept."""

SELECTION = 3
"""Number that keeps its draws apart from those of the readers of data."""


@dataclass(frozen=True)
class Selection:
    """Candidates of a trained supernet, kept in `candidates.jsonl`: it goes on where it was stopped.

    Attributes:
        genotypes: what is chosen from.
        budgets: limits of a candidate; where the space has such, at least 95 % of one is used.
        choose: makes the candidates.
        evaluations: how many.
        accuracy: of a genotype on D_V with the supernet's weights.
        price: what is taken off the accuracy for the genotype's cost; zero without setting C.
        macs: of a genotype.
        seed: of the candidates.
        processes: the processes that measure together; the first one writes.
    """

    genotypes: Genotypes
    budgets: Sequence[Budget]
    choose: Chooser
    evaluations: int
    accuracy: Callable[[Genotype], float]
    price: Callable[[Genotype], float]
    macs: Callable[[Genotype], int]
    seed: int
    processes: ProcessGroup

    def run(self, folder: Path, listener: Listener, *, resume: bool) -> tuple[Derived, Row]:
        """Measure what is left of the candidates; gives the best, the first of equals, and its row of the table.

        Errors:
            UserError: no network that was drawn is within the budgets.
            StoppedError: SIGTERM or SIGUSR1 asked to stop; what was measured is kept.
            UserError: the table in the folder is of other candidates.
        """
        file = folder / "candidates.jsonl"
        rows: list[Row] = self.processes.on_rank_zero(lambda: _read(file) if resume else [])
        done, count, since = len(rows), 0, time.monotonic()
        listener.start("selection on D_V", 1, self.evaluations, 0)

        def keep() -> None:
            nonlocal since
            if self.processes.is_rank_zero:
                write_rows(file, rows)
                seconds, now = folder / "seconds.json", time.monotonic()
                before = float(read_json(seconds, "remove it")) if seconds.exists() else 0.0
                write_json(seconds, round(before + now - since, 3))
                since = now

        with stop_requests() as requested:

            def evaluate(choice: Choice) -> float:
                nonlocal count
                genotype = self.genotypes.genotype(choice)
                if count >= len(rows):
                    rows.append(self._row(count, genotype))
                    listener.step({"accuracy": float(rows[-1]["accuracy"])})
                    if len(rows) % KEEP_EVERY == 0:
                        keep()
                    if self.processes.any(bool(requested())):
                        keep()
                        raise StoppedError(
                            f"selection: stopped by {requested() or 'another process'} after {len(rows)}; they are kept"
                        )
                elif rows[count]["genotype"] != genotype.to_values():
                    raise UserError(f"{file}: its candidate {count} is of another search; name a new folder")
                count += 1
                return float(rows[count - 1]["score"])

            try:
                trials = self._trials(evaluate, USED) or self._trials(evaluate, 0.0)
            finally:
                listener.end()
        if not trials:
            raise UserError("budget: none of many networks drawn is within it; raise the limit")
        if len(rows) > done:
            keep()
        best = max(range(len(trials)), key=lambda number: trials[number].value)
        genotype = self.genotypes.genotype(trials[best].row)
        costs = [budget.of(self.genotypes.space, genotype) for budget in self.budgets]
        return Derived(genotype, unused(self.budgets, costs, "no network drawn uses 95 % of it")), rows[best]

    def _trials(self, evaluate: Evaluate, used: float) -> list[Trial]:
        rng = drawing(self.seed, SELECTION)
        return self.choose(self.genotypes.choices(self.budgets, used), evaluate, self.evaluations, rng)

    def _row(self, number: int, genotype: Genotype) -> Row:
        accuracy = round(self.accuracy(genotype), 6)
        score = round(accuracy - self.price(genotype), 6)
        row = {"candidate": number, "macs": self.macs(genotype), "accuracy": accuracy, "score": score}
        return row | {"genotype": genotype.to_values()}


def _read(file: Path) -> list[Row]:
    return read_rows(file, "remove it to measure its candidates again") if file.exists() else []
