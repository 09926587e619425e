"""Measure candidates on a trained supernet and take the best one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compactnas.cost.constraints import USED, Budget, unused
from compactnas.data.batches import drawing
from compactnas.data.streams import Stream
from compactnas.distributed.process_group import ProcessGroup
from compactnas.errors import UserError
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.io.signals import StoppedError, stop_requests
from compactnas.nn.sample import Sample
from compactnas.runs.seconds import add_seconds
from compactnas.search.bilevel import BilevelStep
from compactnas.search.derivation import Derived, raising
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.skip_limit import SkipLimit
from compactnas.search.trials import Chooser, Evaluate, Trial
from compactnas.search.trials import Row as Choice
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener

SAVE_EVERY = 20
"""Number of candidates after which the measurements are written."""


@dataclass(frozen=True)
class CandidateMeasures:
    """Functions that measure a candidate.

    Attributes:
        accuracy: Accuracy of a network on D_V with the weights of the supernet.
        cost: Amount that a network's cost subtracts from its accuracy; zero without setting C.
        macs: MACs of a network.
    """

    accuracy: Callable[[Genotype], float]
    cost: Callable[[Genotype], float]
    macs: Callable[[Genotype], int]


@dataclass(frozen=True)
class SupernetCandidates:
    """Candidates of a trained supernet, kept in `candidates.jsonl`, so that a stopped selection can be resumed.

    Attributes:
        genotypes: Networks to choose from.
        budgets: Limits on the cost of a candidate. A candidate uses at least 95 % of one, if the space has such.
        limit: Limit on skip connections.
        evaluations: Number of candidates.
        measures: Functions that measure a candidate.
        seed: Seed of the candidates.
        processes: Processes that measure together; the first one writes.
    """

    genotypes: GenotypeChoices
    budgets: Sequence[Budget]
    limit: SkipLimit | None
    evaluations: int
    measures: CandidateMeasures
    seed: int
    processes: ProcessGroup

    def best(self, choose: Chooser, folder: Path | None, listener: Listener, *, resume: bool) -> Derived:
        """Measure the remaining candidates and return the best one, the first of equals.

        Args:
            choose: Makes the candidates.
            folder: Folder of `candidates.jsonl`; None writes nothing.
            listener: Receives the progress.
            resume: Keep the measurements that the folder holds.

        Raises:
            UserError: None of many networks drawn is within the limits, or the folder holds other candidates.
            StoppedError: SIGTERM or SIGUSR1 asked to stop; the measurements are kept.
        """
        return _Measuring(self, folder, listener, resume=resume).best(choose)


def candidates_of(
    bilevel: BilevelStep, limit: SkipLimit | None, accuracy: Callable[[Genotype], float], count: int, seed: int
) -> SupernetCandidates:
    """Make the candidates that a trained supernet can measure.

    Args:
        bilevel: Holds the supernet, the budgets and the cost of a network.
        limit: Limit on skip connections.
        accuracy: Accuracy of a network on D_V with the weights of the supernet.
        count: Number of candidates.
        seed: Seed of the candidates.
    """
    space = bilevel.architecture.space
    measures = CandidateMeasures(
        accuracy,
        lambda genotype: bilevel.objective.cost_of(space, genotype),
        lambda genotype: bilevel.table.total(space, genotype),
    )
    genotypes = GenotypeChoices(space, bilevel.architecture.fixed_depths)
    return SupernetCandidates(genotypes, bilevel.budgets, limit, count, measures, seed, bilevel.processes)


def measured_samples(
    samples: Iterable[Sample],
    count: int,
    accuracy: Callable[[Sample], float],
    folder: Path | None,
    listener: Listener,
    processes: ProcessGroup,
) -> list[float]:
    """Measure samples one after the other. They are not kept: a resumed search measures them again.

    Args:
        samples: Samples of the supernet.
        count: Number of samples.
        accuracy: Measures a sample.
        folder: Folder of `seconds.json`, to which their time is added; None writes nothing.
        listener: Receives the progress.
        processes: Processes that measure together.

    Raises:
        StoppedError: SIGTERM or SIGUSR1 asked to stop.
    """
    found, began = list[float](), time.monotonic()
    listener.start("selection on D_V", 1, count, 0)
    try:
        with stop_requests() as stop_request:
            for sample in samples:
                found.append(round(accuracy(sample), 6))
                listener.step({"accuracy": found[-1]})
                request = stop_request()
                if processes.any(bool(request)):
                    raise StoppedError(
                        f"selection: stopped by {request or 'another process'} after {len(found)} of {count} "
                        "measurements; resume with --resume, which repeats them"
                    )
    finally:
        listener.end()
        if folder is not None and processes.is_rank_zero:
            add_seconds(folder, time.monotonic() - began)
    return found


class _Measuring:
    """One run over the candidates, with the rows that are measured so far."""

    def __init__(self, given: SupernetCandidates, folder: Path | None, listener: Listener, *, resume: bool) -> None:
        self.given, self.folder, self.listener = given, folder, listener
        self.rows: list[Row] = given.processes.on_rank_zero(lambda: _read(folder) if resume and folder else [])
        self.count, self.written, self.since = 0, len(self.rows), time.monotonic()
        self._stop_request: Callable[[], str] = str

    def best(self, choose: Chooser) -> Derived:
        given = self.given
        self.listener.start("selection on D_V", 1, given.evaluations, 0)
        try:
            with stop_requests() as self._stop_request:
                trials = self._trials(choose, USED) or self._trials(choose, 0.0)
        finally:
            self.listener.end()
        if not trials:
            remedy = raising(given.budgets, given.limit)
            raise UserError(f"search: none of the many networks drawn is within the limits; {remedy}")
        if len(self.rows) > self.written:
            self._write()
        best = max(range(len(trials)), key=lambda number: trials[number].value)
        genotype, row = given.genotypes.genotype(trials[best].row), self.rows[best]
        costs = [budget.cost_of(given.genotypes.space, genotype) for budget in given.budgets]
        left = unused(given.budgets, costs, "no network drawn uses 95 % of it")
        return Derived(genotype, left, {"accuracy_alpha": row["accuracy"], "derived_macs": row["macs"]})

    def _trials(self, choose: Chooser, used: float) -> list[Trial]:
        given, rng = self.given, drawing(self.given.seed, Stream.CANDIDATES)
        evaluate: Evaluate = self._evaluate
        choices = given.genotypes.choices(given.budgets, used, given.limit)
        return choose(choices, evaluate, given.evaluations, rng)

    def _evaluate(self, choice: Choice) -> float:
        genotype = self.given.genotypes.genotype(choice)
        if self.count >= len(self.rows):
            self.rows.append(self._row(genotype))
            self.listener.step({"accuracy": float(self.rows[-1]["accuracy"])})
            self._save_or_stop()
        elif self.rows[self.count]["genotype"] != genotype.to_values():
            raise UserError(f"{self._file}: candidate {self.count} belongs to another search; choose a new folder")
        self.count += 1
        return float(self.rows[self.count - 1]["score"])

    def _row(self, genotype: Genotype) -> Row:
        measures = self.given.measures
        accuracy = round(measures.accuracy(genotype), 6)
        score = round(accuracy - measures.cost(genotype), 6)
        row = {"candidate": self.count, "macs": measures.macs(genotype), "accuracy": accuracy, "score": score}
        return row | {"genotype": genotype.to_values()}

    def _save_or_stop(self) -> None:
        request = self._stop_request()
        if len(self.rows) % SAVE_EVERY == 0:
            self._write()
        if self.given.processes.any(bool(request)):
            self._write()
            raise StoppedError(
                f"selection: stopped by {request or 'another process'} after {len(self.rows)} candidates; "
                "resume with --resume"
            )

    @property
    def _file(self) -> Path:
        assert self.folder is not None
        return self.folder / "candidates.jsonl"

    def _write(self) -> None:
        """Write the measurements, and the seconds that they took to a file of its own."""
        if self.folder is None or not self.given.processes.is_rank_zero:
            return
        write_rows(self._file, self.rows)
        now = time.monotonic()
        add_seconds(self.folder, now - self.since)
        self.since = now


def _read(folder: Path) -> list[Row]:
    file = folder / "candidates.jsonl"
    return read_rows(file, "remove it to measure its candidates again") if file.exists() else []
