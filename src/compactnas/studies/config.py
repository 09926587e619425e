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
"""Settings of a search in the paper: C is the complexity loss, and D the search for depths."""

RANDOM, RANDOM_SEARCH = "random", "random search"

MOST_JOBS = 10_000

FOLD = "{fold}"
"""Placeholder for the number of a fold."""


@dataclass(frozen=True)
class StudyConfig:
    """Methods, splits and seeds to compare.

    Attributes:
        data: Config of the patches; `splits` and `search_split` give the split.
        search_split: Split whose training part is searched; d2 in the paper.
        splits: Splits on which networks are trained and tested: values of `data.split`, or your own names, each with
            the fields of `data` that differ. `places` tells the report whether the test patches lie `apart` from the
            training patches or are `mixed` with them, if the data does not show it.
        folds: Number of folds of each of `splits`, which then has names of your own; 0 makes none. In texts, `{fold}`
            stands for the number of the fold from 1; the split `fold` gets its folds without it. Methods are searched
            on the training part of each fold, so `search_split` does not apply, and networks are trained and tested on
            each fold.
        methods: Settings of the search, each searched `searches` times: those of the paper, or your own names, each
            with the fields of `search` that differ and, under `space`, those of `space`.
        baselines: Names of baselines that are trained too.
        networks: Your own networks that are trained too, by name: each a genotype file, a run folder, or the content of
            a genotype file. A study file can also give a folder of genotype files, which are named by their files.
        random: Train random cells with the cost of the last method's network too, one for each retraining.
        random_search: Train the best cell of a random search that does as much work as all searches of the last method;
            or names of methods, for a random search as long as the searches of each.
        random_epochs: Number of epochs of each candidate of the random search.
        searches: Number of searches of each method, with seeds from 0.
        selection: `best` retrains the search with the best accuracy on D_V (the paper's "best selected model"), `each`
            retrains one search after the other, so that the spread is that of the whole method.
        retrainings: Number of trainings of each network on each split, with seeds from 0.
        space: Search space.
        search: Config of the searches; the methods of the paper set `complexity` and `search_depth`.
        train: Config of the trainings.
        machine: Device and threads.
    """

    data: DataConfig = field(default_factory=DataConfig)
    search_split: str = "d2"
    splits: tuple[Split, ...] | dict[str, dict[str, Any]] = ("d1", "d2")
    folds: int = 0
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
                raise UserError(f"{name}: {getattr(self, name)} is less than 1; give 1 or more")
        controls = self.random + len(self.random_searches)
        networks = len(self.methods) + len(self.baselines) + len(self.networks) + controls
        self._check_folds()
        grounds = len(self.tested) if self.folds else 1
        jobs = self.searches * len(self.methods) * grounds + self.retrainings * len(self.tested) * networks
        if jobs > MOST_JOBS:
            raise UserError(f"searches, retrainings: they make {jobs} jobs; give fewer, for at most {MOST_JOBS} jobs")
        if not self.splits or not (self.methods or self.baselines or self.networks):
            raise UserError("splits, methods, baselines: nothing to compare; name a split and a method or a baseline")
        for name in ("random", "random_search"):
            if getattr(self, name) and not self.methods:
                raise UserError(
                    f"{name}: random cells cost as much as the network of a method, but the study has no method; "
                    f"name one, or set {name} to false"
                )
        as_long_as = self.random_search if isinstance(self.random_search, tuple) else ()
        for name in as_long_as:
            if name not in self.methods:
                known = ", ".join(self.methods)
                raise UserError(f"random_search: {name!r} is not a method of this study; use true, or some of {known}")
        for name, values in (
            ("splits", self.splits),
            ("methods", self.methods),
            ("baselines", self.baselines),
            ("random_search", as_long_as),
        ):
            if len(set(values)) < len(values):
                raise UserError(f"{name}: a name is listed twice; list each name once")
        unknown = [name for name in self.baselines if name not in BASELINES]
        if unknown:
            raise UserError(f"baselines: {', '.join(unknown)} is unknown; use some of {', '.join(BASELINES)}")
        if self.machine.world_size > 1:
            raise UserError(
                "machine.devices: a study computes each job on one device; set machine.devices and machine.nodes to 1, "
                "and spread the jobs with --ray"
            )
        for method in self.methods:
            self.search_of(method)
            self.space_of(method)
        for name in self.networks:
            if name in (*BASELINES, *self.controls, *self.methods):
                raise UserError(f"networks.{name}: is the name of another network; choose another name")
            self.network_of(name)
        for split in (*self.tested, *(() if self.folds else (self.search_split,))):
            self.data_of(split)
            self.places_of(split)

    def _check_folds(self) -> None:
        if not self.folds:
            return
        if self.folds < 2:
            raise UserError(f"folds: {self.folds}; give 0 (no folds), or 2 or more")
        if not isinstance(self.splits, dict):
            raise UserError(
                "folds: `splits` has to say where the folds are, such as `places: {split: csv, split_csv: "
                "'eurosat/fold_{fold}.csv'}`, or `cities: {split: fold}`"
            )
        for name, fields in self.splits.items():
            texts = (value for value in fields.values() if isinstance(value, str))
            if fields.get("split") != "fold" and not any(FOLD in text for text in texts):
                raise UserError(f"splits.{name}: all folds would be the same; write {FOLD} into split_csv, or use fold")
        if self.search_split != type(self).search_split:
            raise UserError(
                "search_split: with folds, methods are searched on the training part of each fold; leave it out"
            )

    @property
    def grounds(self) -> dict[str, tuple[str, ...]]:
        """Name of each split with folds -> names of its folds; empty without folds."""
        numbers = range(1, self.folds + 1)
        return {name: tuple(f"{name} {number}" for number in numbers) for name in self.splits} if self.folds else {}

    @property
    def tested(self) -> tuple[str, ...]:
        """Names of all splits on which networks are trained and tested: the folds, if there are any."""
        return tuple(fold for folds in self.grounds.values() for fold in folds) or tuple(self.splits)

    def searched_on(self, split: str) -> str:
        """Name of the split whose training part is searched for the networks that are tested on `split`."""
        return split if self.folds else self.search_split

    def _fields_of(self, split: str) -> dict[str, Any] | None:
        """Find the fields of `data` that differ on one of your own splits; None for another one."""
        if not isinstance(self.splits, dict):
            return None
        for name, folds in self.grounds.items():
            if split in folds:
                number = folds.index(split) + 1
                fields = {
                    key: value.replace(FOLD, str(number)) if isinstance(value, str) else value
                    for key, value in self.splits[name].items()
                }
                own = {"folds": self.folds, "fold": number - 1} if fields.get("split") == "fold" else {}
                return fields | own
        return self.splits.get(split)

    @property
    def random_searches(self) -> dict[str, str]:
        """Name of each random search -> method whose work it may do."""
        if isinstance(self.random_search, tuple):
            return {f"{RANDOM_SEARCH} as long as {method}": method for method in self.random_search}
        return {RANDOM_SEARCH: list(self.methods)[-1]} if self.random_search and self.methods else {}

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls, which a searched network has to beat at the same cost. These names are reserved."""
        return (RANDOM, RANDOM_SEARCH, *self.random_searches)

    def search_of(self, method: str) -> SearchConfig:
        """Build the config of a method's search."""
        if not isinstance(self.methods, dict):
            if method not in METHODS:
                raise UserError(
                    f"methods: {method!r} is unknown; use some of {', '.join(METHODS)}, or names of your own, each "
                    "with the fields of search that differ"
                )
            return replace(self.search, complexity="+C" in method, search_depth="+D" in method)
        if method in (*BASELINES, *self.controls):
            raise UserError(f"methods.{method}: is the name of another network; choose another name")
        try:
            fields = {name: value for name, value in self.methods[method].items() if name != "space"}
            return from_values(SearchConfig, fields, asdict(self.search))
        except (TypeError, UserError) as error:
            raise UserError(f"methods.{method}: {' '.join(str(error).split())[:300]}") from None

    def space_of(self, method: str) -> Space:
        """Build the search space of a method."""
        fields = self.methods[method].get("space", {}) if isinstance(self.methods, dict) else {}
        if not isinstance(fields, dict):
            raise UserError(f"methods.{method}: space: {fields!r} has no names; give them, such as {{layout: mobile}}")
        try:
            return from_values(Space, fields, asdict(self.space))
        except (TypeError, UserError) as error:
            raise UserError(f"methods.{method}: space: {' '.join(str(error).split())[:300]}") from None

    def network_of(self, name: str) -> Genotype:
        """Load or build the genotype of one of `networks`."""
        value = self.networks[name]
        try:
            if isinstance(value, str):
                return Genotype.load(value)
            return Genotype.from_values(value)
        except UserError as error:
            raise UserError(f"networks.{name}: {error}") from None

    def places_of(self, split: str) -> Literal["apart", "mixed"] | None:
        """Location of the test patches of a split, if the study states it."""
        places = (self._fields_of(split) or {}).get("places")
        if places not in (None, "apart", "mixed"):
            raise UserError(f"splits.{split}: places: {places!r} is unknown; use apart or mixed")
        return places

    def data_of(self, split: str) -> DataConfig:
        """Build the data config of a split."""
        if (own_fields := self._fields_of(split)) is not None:
            fields = {name: value for name, value in own_fields.items() if name != "places"}
            try:
                data = from_values(DataConfig, fields, asdict(self.data))
            except (TypeError, UserError) as error:
                raise UserError(f"splits.{split}: {' '.join(str(error).split())[:300]}") from None
        elif split in get_args(Split):
            data = replace(self.data, split=split)  # type: ignore[arg-type]  # one of them, as was just checked
        else:
            own = f", or one of {', '.join(self.splits)}" if isinstance(self.splits, dict) else ""
            raise UserError(f"search_split: {split!r} is unknown; use one of {', '.join(get_args(Split))}{own}")
        return data.with_fitting_split_options(self.data, self._rules)

    @property
    def _rules(self) -> set[str]:
        """Values of `data.split` on all splits of the study: each may use other options of `data`."""
        own = self.splits.values() if isinstance(self.splits, dict) else ({"split": split} for split in self.splits)
        return {self.search_split, *(str(fields.get("split", self.data.split)) for fields in own)}


def _networks_in(folder: Path) -> dict[str, str]:
    """Find the genotype files of a folder, by their names."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UserError(
            f"networks: {folder} holds no genotype files (NAME.json); name a folder with genotype files, or list "
            "networks by name"
        )
    return {file.stem: str(file) for file in files}


def read_study(file: str | Path) -> StudyConfig:
    """Read a study from a YAML file. Values that it leaves out are those of its `recipe`, by default `paper`.

    Raises:
        UserError: The file does not exist or is not YAML, a name is unknown, or a value is not allowed.
    """
    values = read_yaml(Path(file), "give names and values, as in examples/paper.yaml")
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
