"""Results of a study as plain values, from which its page is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from compactnas.evaluation.evaluation import Evaluation
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
        key: Name of the method in the study.
        kind: Built by hand, given by the study file, searched, or random, which includes random search.
    """

    key: str
    kind: Kind

    @property
    def name(self) -> str:
        """Name of the method as in papers."""
        return baseline_label(self.key)


@dataclass(frozen=True)
class Spent:
    """Wall time of a stage, pauses included, and its threads.

    Attributes:
        seconds: Wall time by the stage's own clock.
        threads: Number of threads of the process.
        gpu: Name of the GPU; empty for a CPU.
    """

    seconds: float
    threads: int
    gpu: str = ""

    @property
    def core_seconds(self) -> float:
        """Seconds times threads; on a GPU, seconds of the GPU."""
        return self.seconds * (1 if self.gpu else self.threads)


@dataclass(frozen=True)
class SearchView:
    """A finished search, or one candidate of a random search.

    Attributes:
        method: Key of the method.
        split: Fold whose training part was searched; empty without folds.
        seed: Seed of the search, or number of the candidate.
        genotype: Genotype that it found.
        accuracy: Accuracy on D_V at its end, which decides the selection; NaN if it was not measured.
        selected: Whether its network is trained.
        rows: Metrics, one row for each epoch; empty for a candidate.
        macs: MACs of the network that it found; None if unknown.
        spent: Time; None if it was not measured, and for candidates.
    """

    method: str
    split: str
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
        method: Key of the method.
        split: Name of the split.
        seed: Seed of the training.
        evaluation: Evaluation on the test part.
        genotype: Genotype of a searched or random network.
        spent: Time; None if it was not measured.
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
        name: Name of the split in the study.
        rule: Method of the split, as in `data.split`.
        place: Whether its test part lies in other places than its training part.
        parts: Number of patches in each part, or only in the measured part if no job records the others; empty if no
            job has run on the split.
        bands: Names of the bands; empty if no job records them.
        pixel_m: Side of a pixel in metres; None if no job records it.
        majority: Most frequent class of the measured part, and its share; None if no job is measured.
    """

    name: str
    rule: str
    place: Place
    parts: dict[str, int]
    bands: tuple[str, ...] = ()
    pixel_m: float | None = None
    majority: tuple[str, float] | None = None


@dataclass(frozen=True)
class JobView:
    """A job of the study.

    Attributes:
        name: Name in tables and figures.
        key: Name of the job's folder.
        method: Key of the method.
        search: Whether the job is a search, not a training.
        done: Whether the job is done.
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
        data: Name of the data.
        search_split: Split whose training part was searched.
        splits: Splits in the study's order.
        grounds: Name of each split with folds, and the names of its folds; empty without folds.
        methods: Methods in the order of the tables' columns.
        searches: Finished searches, and the candidates of random searches.
        search_clocks: Time of each random search as a whole, by method.
        trainings: Finished trainings.
        jobs: All jobs, done or not.
        retrainings: Number of trainings of each network on each split in the finished study.
        selection: `best` if the best search of a method is trained, `each` if each search is trained with another seed.
        sizes: Bands, classes and side of a patch; None if no network is trained yet.
        warnings: Warnings about the data, each once.
        config: Study as text.
        environment: Versions and hardware as (name, value).
    """

    title: str
    data: str
    search_split: str
    splits: tuple[SplitView, ...]
    grounds: tuple[tuple[str, tuple[str, ...]], ...]
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
        """List the trainings of a method on a split, by seed."""
        found = [one for one in self.trainings if (one.method, one.split) == (method, split)]
        return sorted(found, key=lambda one: one.seed)

    def searches_of(self, method: str) -> list[SearchView]:
        """List the searches of a method, by seed."""
        return sorted((one for one in self.searches if one.method == method), key=lambda one: (one.split, one.seed))

    def shown(self, split: str) -> list[Method]:
        """List the methods with a result on a split, in the order of the columns."""
        return [method for method in self.methods if self.runs(method.key, split)]

    @property
    def missing(self) -> list[JobView]:
        """Jobs that are not done."""
        return [job for job in self.jobs if not job.done]


def colour_of(method: Method, methods: Sequence[Method]) -> int:
    """Find the colour of a method on the page: 0 to 3 for searched ones, 4 for random ones, 5 for all others."""
    if method.kind == "searched":
        return [one.key for one in methods if one.kind == "searched"].index(method.key) % 4
    return 4 if method.kind == "random" else 5
