"""Methods, splits and seeds that a study compares, read from one YAML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from compactnas.config import (
    RECIPES,
    DataConfig,
    MachineConfig,
    SearchConfig,
    Split,
    TrainConfig,
    from_values,
)
from compactnas.errors import UserError
from compactnas.io.untrusted import read_yaml
from compactnas.nn.baselines import BASELINES, compared_baselines
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

METHODS = ("S", "S+C", "S+D", "S+C+D")
"""The paper's settings of a search: C, the complexity loss, and D, the search for depths."""


RANDOM, RANDOM_SEARCH = "random", "random search"

MOST_JOBS = 10_000


@dataclass(frozen=True)
class StudyConfig:
    """Methods by splits by seeds.

    Attributes:
        data: which patches; how they are split is said below.
        search_split: split whose training part is searched (the paper: d2's).
        splits: splits on which networks are trained and tested: rules of `data.split`, or names of your own,
            each with the fields of `data` in which it differs, and `places`: whether its test patches lie `apart` from
            its training patches or are `mixed` with them, for the report, where nothing else tells.
        methods: settings of the search, each searched `searches` times: the paper's, or names of your own, each with
            the fields of `search` in which it differs, and `space`: those of `space`.
        baselines: networks that are trained beside them.
        networks: networks of your own beside them, by name: each a genotype's file, a run folder, or what stands in
            such a file. In a study's file also a folder of such files, whose names are theirs.
        random: also random cells that cost what the last method's network costs, one for each retraining.
        random_search: also the best of such cells by a random search that computes as much as the last method's
            searches together; or names of methods, for a random search as long as each one's.
        random_epochs: Number of epochs of each candidate of the random search.
        searches: Number of searches of each method, with seeds from 0.
        selection: `best` retrains the search with the best accuracy on D_V (the paper's "best selected model"), `each`
            retrains search after search, so that the spread is that of the whole method.
        retrainings: Number of trainings of each network on each split, with seeds from 0.
        space: what the searches choose from.
        search: the searches; `complexity` and `depth` are the methods', where these are the paper's.
        train: the trainings.
        machine: where it computes.
    """

    data: DataConfig = field(default_factory=DataConfig)
    search_split: str = "d2"
    splits: tuple[Split, ...] | dict[str, dict[str, Any]] = ("d1", "d2")
    methods: tuple[str, ...] | dict[str, dict[str, Any]] = METHODS
    baselines: tuple[str, ...] = compared_baselines()
    networks: dict[str, Any] = field(default_factory=dict)
    random: bool = True
    random_search: bool | tuple[str, ...] = True
    random_epochs: int = 5
    searches: int = 4
    selection: Literal["best", "each"] = "best"
    retrainings: int = 4
    space: Space = field(default_factory=Space)
    search: SearchConfig = field(default_factory=SearchConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)

    def __post_init__(self) -> None:
        for name in ("searches", "retrainings", "random_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: {getattr(self, name)} is less than 1")
        controls = self.random + len(self.random_searches)
        networks = len(self.methods) + len(self.baselines) + len(self.networks) + controls
        jobs = self.searches * len(self.methods) + self.retrainings * len(self.splits) * networks
        if jobs > MOST_JOBS:
            raise UserError(f"searches, retrainings: make {jobs} jobs; a study has at most {MOST_JOBS}")
        if not self.splits or not (self.methods or self.baselines or self.networks):
            raise UserError("splits, methods, baselines: nothing to compare; name a split and a method or a baseline")
        for name in ("random", "random_search"):
            if getattr(self, name) and not self.methods:
                raise UserError(f"{name}: random cells cost what a method's network costs; name a method, or say false")
        as_long_as = self.random_search if isinstance(self.random_search, tuple) else ()
        for name in as_long_as:
            if name not in self.methods:
                known = ", ".join(self.methods)
                raise UserError(f"random_search: {name!r} is no method of this study; use true, or some of {known}")
        for name, values in (
            ("splits", self.splits),
            ("methods", self.methods),
            ("baselines", self.baselines),
            ("random_search", as_long_as),
        ):
            if len(set(values)) < len(values):
                raise UserError(f"{name}: names one twice; name each once")
        unknown = [name for name in self.baselines if name not in BASELINES]
        if unknown:
            raise UserError(f"baselines: {', '.join(unknown)} is unknown; use some of {', '.join(BASELINES)}")
        if self.machine.devices * self.machine.nodes > 1:
            raise UserError("machine.devices: a study computes each job on one device; spread its jobs with --ray")
        for method in self.methods:
            self.search_of(method)
            self.space_of(method)
        for name in self.networks:
            if name in (*BASELINES, *self.controls, *self.methods):
                raise UserError(f"networks.{name}: is the name of another network; choose another")
            self.network_of(name)
        for split in (*self.splits, self.search_split):
            self.data_of(split)
            self.places_of(split)

    @property
    def random_searches(self) -> dict[str, str]:
        """The random searches by name, each with the method that it takes as long as."""
        if isinstance(self.random_search, tuple):
            return {f"{RANDOM_SEARCH} as long as {method}": method for method in self.random_search}
        return {RANDOM_SEARCH: list(self.methods)[-1]} if self.random_search and self.methods else {}

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls that a searched network has to beat at the same cost; reserved."""
        return (RANDOM, RANDOM_SEARCH, *self.random_searches)

    def search_of(self, method: str) -> SearchConfig:
        """The search of a method."""
        if not isinstance(self.methods, dict):
            if method not in METHODS:
                raise UserError(
                    f"methods: {method!r} is unknown; use some of {', '.join(METHODS)}, or names of your own with the "
                    "fields of search in which each differs"
                )
            return replace(self.search, complexity="+C" in method, search_depth="+D" in method)
        if method in (*BASELINES, *self.controls):
            raise UserError(f"methods.{method}: is the name of another network; choose another")
        try:
            fields = {name: value for name, value in self.methods[method].items() if name != "space"}
            return from_values(SearchConfig, fields, asdict(self.search))
        except (TypeError, UserError) as error:
            raise UserError(f"methods.{method}: {' '.join(str(error).split())[:300]}") from None

    def space_of(self, method: str) -> Space:
        """Search space of a method."""
        fields = self.methods[method].get("space", {}) if isinstance(self.methods, dict) else {}
        try:
            return from_values(Space, fields, asdict(self.space))
        except (TypeError, UserError) as error:
            raise UserError(f"methods.{method}: space: {' '.join(str(error).split())[:300]}") from None

    def network_of(self, name: str) -> Genotype:
        """A network that the study's file describes."""
        value = self.networks[name]
        try:
            if isinstance(value, str):
                return Genotype.load(value)
            return Genotype.from_values(value)
        except UserError as error:
            raise UserError(f"networks.{name}: {error}") from None

    def places_of(self, split: str) -> Literal["apart", "mixed"] | None:
        """Location of the test patches of a split, if the study states it."""
        places = self.splits.get(split, {}).get("places") if isinstance(self.splits, dict) else None
        if places not in (None, "apart", "mixed"):
            raise UserError(f"splits.{split}: places: {places!r} is unknown; use apart or mixed")
        return places

    def data_of(self, split: str) -> DataConfig:
        """The patches of a split and how they are cut."""
        if isinstance(self.splits, dict) and split in self.splits:
            fields = {name: value for name, value in self.splits[split].items() if name != "places"}
            try:
                return from_values(DataConfig, fields, asdict(self.data))
            except (TypeError, UserError) as error:
                raise UserError(f"splits.{split}: {' '.join(str(error).split())[:300]}") from None
        if split not in get_args(Split):
            own = f", or one of {', '.join(self.splits)}" if isinstance(self.splits, dict) else ""
            raise UserError(f"search_split: {split!r} is unknown; use one of {', '.join(get_args(Split))}{own}")
        return replace(self.data, split=split)  # type: ignore[arg-type]  # one of them, as was just checked


def _networks_in(folder: Path) -> dict[str, str]:
    """The genotypes' files of a folder, by their names."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(f"networks: {folder} holds no genotype, NAME.json; name a folder of them, or networks by name")
    return {file.stem: str(file) for file in files}


def read_study(file: Path) -> StudyConfig:
    """The study in a YAML file; values that it does not give are those of its `recipe` (`paper` if none is named).

    Errors:
        UserError: no file, no YAML, an unknown name or a value that does not fit.
    """
    values = read_yaml(file, "give names and values, as in examples/paper.yaml")
    recipe = values.pop("recipe", "paper")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise UserError(f"{file}: recipe {recipe!r} is unknown; use one of {', '.join(RECIPES)}")
    parts = {part: asdict(getattr(RECIPES[recipe](), part)) for part in ("space", "search", "train", "machine")}
    try:
        if isinstance(values.get("networks"), str):
            values["networks"] = _networks_in(Path(values["networks"]))
        return from_values(StudyConfig, values, parts)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())[:300]}") from None
