"""Contents of a study's page, as plain values that the study fills in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from compactnas.evaluation.evaluate import Evaluation
from compactnas.io.jsonl import Row
from compactnas.nn.baselines import baseline_label
from compactnas.space.genotype import Genotype

Kind = Literal["baseline", "given", "searched", "random"]
Place = Literal["apart", "mixed", "unknown"]
"""Location of a test part: in other places than the training part, in the same ones, or unknown."""


@dataclass(frozen=True)
class Method:
    """A column of the tables.

    Attributes:
        key: what the study calls it.
        kind: built by hand, given by the study's file, searched, or drawn at random; random search is of the last kind.
    """

    key: str
    kind: Kind

    @property
    def name(self) -> str:
        """As papers write it."""
        return baseline_label(self.key)


@dataclass(frozen=True)
class Spent:
    """Wall time of a stage, pauses and all, and the threads that it had.

    Attributes:
        seconds: Wall time by the stage's own clock.
        threads: Number of threads of the process.
        gpu: name of the GPU that computed, empty for a CPU.
    """

    seconds: float
    threads: int
    gpu: str = ""

    @property
    def core_seconds(self) -> float:
        """Seconds of all threads; on a GPU seconds of the GPU."""
        return self.seconds * (1 if self.gpu else self.threads)


@dataclass(frozen=True)
class SearchView:
    """A finished search, or one candidate of a random search.

    Attributes:
        method: its key.
        seed: Seed of the search, or number of the candidate.
        genotype: what it found.
        accuracy: on D_V at its end, by which one is selected; NaN where it was not measured.
        selected: whether it is the one that is trained.
        rows: one an epoch, of its metrics; none for a candidate.
        macs: MACs of the network that it found; None if unknown.
        spent: None where no clock ran, and for candidates.
    """

    method: str
    seed: int
    genotype: Genotype
    accuracy: float
    selected: bool
    rows: tuple[Row, ...]
    macs: int | None
    spent: Spent | None


@dataclass(frozen=True)
class TrainingView:
    """A finished training with its evaluation.

    Attributes:
        method: its key.
        split: its split.
        seed: Seed of the training.
        evaluation: on the test part.
        genotype: Genotype of a searched or random network.
        spent: None where no clock ran.
    """

    method: str
    split: str
    seed: int
    evaluation: Evaluation
    genotype: Genotype | None
    spent: Spent | None


@dataclass(frozen=True)
class SplitView:
    """A split.

    Attributes:
        name: the study's.
        rule: how it is cut, as `data.split` names it.
        place: whether its test part lies in other places than its training part.
        parts: patches of each part, or of the part measured alone where no job here says more; empty where nothing ran
            on it yet.
        bands: names of the bands; empty where no job here says them.
    """

    name: str
    rule: str
    place: Place
    parts: dict[str, int]
    bands: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobView:
    """A job of the study.

    Attributes:
        name: Name in tables and figures.
        key: name of its folder.
        method: its key.
        search: whether it is a search and no training.
        done: whether it is done.
    """

    name: str
    key: str
    method: str
    search: bool
    done: bool


@dataclass(frozen=True)
class StudyView:
    """A whole study, or as much of it as is done.

    Attributes:
        title: Title of the page.
        data: name of the data.
        search_split: split whose training part was searched.
        splits: Splits in the study's order.
        methods: Methods in the order of the tables' columns.
        searches: the finished ones, and the candidates of random search.
        search_clocks: what random search as a whole took, by method.
        trainings: the finished ones.
        jobs: all of them.
        retrainings: how many each network has on each split when all is done.
        selection: whether the best search of a method is trained, or each by another seed.
        sizes: bands, classes and side of a patch; None where no network was trained yet.
        warnings: Warnings about the data, each once.
        config: the study as text.
        environment: what the results depend on, as (name, value).
    """

    title: str
    data: str
    search_split: str
    splits: tuple[SplitView, ...]
    methods: tuple[Method, ...]
    searches: tuple[SearchView, ...]
    search_clocks: dict[str, Spent]
    trainings: tuple[TrainingView, ...]
    jobs: tuple[JobView, ...]
    retrainings: int
    selection: Literal["best", "each"]
    sizes: tuple[int, int, int] | None
    warnings: tuple[str, ...]
    config: str
    environment: tuple[tuple[str, str], ...]

    def runs(self, method: str, split: str) -> list[TrainingView]:
        """The trainings of a method on a split, by seed."""
        found = [one for one in self.trainings if (one.method, one.split) == (method, split)]
        return sorted(found, key=lambda one: one.seed)

    def searches_of(self, method: str) -> list[SearchView]:
        """The searches of a method, by seed."""
        return sorted((one for one in self.searches if one.method == method), key=lambda one: one.seed)

    def shown(self, split: str) -> list[Method]:
        """The methods with a result on a split, in the order of the columns."""
        return [method for method in self.methods if self.runs(method.key, split)]

    @property
    def missing(self) -> list[JobView]:
        """The jobs that are not done."""
        return [job for job in self.jobs if not job.done]


def colour_of(method: Method, methods: Sequence[Method]) -> int:
    """A method's colour on the whole page: searched ones 0 to 3, random ones 4, all others 5."""
    if method.kind == "searched":
        return [one.key for one in methods if one.kind == "searched"].index(method.key) % 4
    return 4 if method.kind == "random" else 5
