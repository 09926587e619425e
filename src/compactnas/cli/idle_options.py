"""Tables of options that have no effect in some cases.

An option that is wrong in its command is an error. An option that a recipe, a config file for all commands or a later
call with `--resume` may hold is no error: it is only noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from jsonargparse import Namespace

from compactnas.config import OBJECTIVE_OPTIONS, OBJECTIVES, STRATEGIES, RunConfig, SearchConfig, TrainConfig
from compactnas.finding.config import FindConfig
from compactnas.selection.config import FrontConfig, SelectConfig

State = TypeVar("State")


@dataclass(frozen=True)
class Rule(Generic[State]):
    """Options that have no effect in some cases.

    Attributes:
        keys: Names of the options, as in a config file.
        idle: Function that checks whether they have no effect.
        because: Reason, as a clause; it may say what to do. `{0}` in it stands for the state.
        error: Whether they are refused.
    """

    keys: tuple[str, ...]
    idle: Callable[[State], bool]
    because: str
    error: bool = False


class Run(NamedTuple):
    """What decides about the options of a run.

    Attributes:
        config: Config of the run.
        validation: Whether the data has a validation part.
        teachers: Whether a network teaches another one.
    """

    config: RunConfig
    validation: bool
    teachers: bool

    @property
    def strategy(self) -> Any:
        """The strategy of the search, which imports torch."""
        return STRATEGIES[self.config.search.strategy]

    @property
    def prices(self) -> bool:
        """True if the objective also subtracts the cost of a candidate from its accuracy."""
        from compactnas.search.objective import CostObjective

        return OBJECTIVES[self.config.search.objective_taken].cost_of is not CostObjective.cost_of

    @property
    def absent(self) -> str:
        """Operations that are to be normalised, but are not in the space."""
        search, space = self.config.search, self.config.space
        return ", ".join(name for name in search.normalized_operations if name not in space.operations)


ALL_COSTS = tuple(f"search.{name}" for name in OBJECTIVE_OPTIONS)

RUN: tuple[Rule[Run], ...] = (
    Rule(
        (
            *("search.warmup", "search.alpha_learning_rate", "search.alpha_weight_decay", "search.tau_start"),
            *("search.tau_end", "search.depth_logit", "search.depth_mode"),
            *("search.complexity_probability", "search.complexity_depth"),
        ),
        lambda run: not run.strategy.learns_alpha,
        "search.strategy={0.config.search.strategy} does not train alpha",
    ),
    Rule(ALL_COSTS, lambda run: not run.config.search.complexity, "search.complexity is off"),
    Rule(
        ("search.complexity", "search.objective", *ALL_COSTS),
        lambda run: not run.strategy.learns_alpha and not run.prices,
        "search.strategy={0.config.search.strategy} does not train alpha, and search.objective="
        "{0.config.search.objective_taken} is only a loss of alpha",
    ),
    Rule(
        ("search.candidates",),
        lambda run: not run.strategy.measured_batches(1, 1),
        "search.strategy={0.config.search.strategy} measures no candidates",
    ),
    Rule(
        ("search.skip_limit_edges",),
        lambda run: run.config.search.skip_limit == "log",
        "search.skip_limit=log only counts; use limit or stop",
    ),
    Rule(
        ("search.skip_limit_operations",),
        lambda run: run.config.search.skip_limit == "log" and not run.strategy.learns_alpha,
        "search.skip_limit is log, and search.strategy={0.config.search.strategy} counts nothing; use limit",
    ),
    Rule(
        ("search.initial_depth",),
        lambda run: run.config.search.search_depth and not run.strategy.learns_alpha,
        "search.strategy={0.config.search.strategy} draws all depths from space.min_depth to space.max_depth",
    ),
    Rule(
        ("search.depth_logit", "search.depth_mode"),
        lambda run: not run.config.search.search_depth,
        "search.search_depth is off",
    ),
    Rule(("search.normalized_operations",), lambda run: bool(run.absent), "space.operations has no {0.absent}"),
    Rule(
        ("train.momentum", "train.nesterov", "train.learning_rate_min"),
        lambda run: run.config.train.optimizer == "nadam",
        "train.optimizer=nadam does not use them",
    ),
    Rule(
        ("train.teacher_weight", "train.teacher_temperature"),
        lambda run: not run.teachers,
        "there is no teacher; name some with train.teachers",
    ),
    Rule(
        ("train.validate_every",),
        lambda run: bool(run.config.train.validate_every) and not run.validation,
        "the validation part is empty; give data.validation_fraction",
    ),
)
"""Options of a run."""

TRAIN = tuple(f"train.{field.name}" for field in fields(TrainConfig))

HOLDOUT = Rule[Any](
    ("holdout_fraction",),
    lambda choice: choice.holdout == "validation",
    "the whole validation part is held out; add --holdout random, or leave it out",
    error=True,
)
"""Option of `select` and `pareto`."""

SELECT: tuple[Rule[SelectConfig], ...] = (
    Rule(
        ("train.epochs",),
        lambda choice: True,
        "`halving` sets the epochs of its trainings; use --epochs, --eta and --rungs",
        error=True,
    ),
    HOLDOUT,
    Rule(
        ("epochs", "eta", "rungs", *TRAIN),
        lambda choice: "halving" not in choice.by,
        "only `halving` trains candidates, and --by does not name it",
    ),
    Rule(
        ("initialisations",),
        lambda choice: not {"synflow", "naswot", "gradnorm"} & set(choice.by),
        "only `synflow`, `naswot` and `gradnorm` average over them, and --by names none",
    ),
)
"""Options of `select`. What a later call with --resume and more rankings may need is no error."""

PARETO: tuple[Rule[FrontConfig], ...] = (
    HOLDOUT,
    Rule(TRAIN, lambda choice: not choice.retrain, "networks are trained with --retrain only"),
)
"""Options of `pareto`. `--retrain --resume` needs the same ones, so those of the training are no error."""

STUDY: tuple[Rule[Namespace], ...] = (
    Rule(
        ("ray_cpus", "ray_gpus"),
        lambda options: not (options.ray or options.ray_address),
        "the jobs do not run on Ray; add --ray or --ray-address, or leave it out",
        error=True,
    ),
)
"""Options of `study`."""

ASSESS: tuple[Rule[Mapping[str, Any]], ...] = (
    Rule(
        ("window_m",),
        lambda options: not options["purity"],
        "it is the window of --purity; add --purity, such as 0.8, or leave it out",
        error=True,
    ),
)
"""Options of `assess` with a reference."""


WITHOUT_SEARCHES = ("max_macs", "max_parameters", "max_latency_ms", "latency_table", "search_depth", "initial_depth")
"""Options of a search that also decide about random networks."""

FIND: tuple[Rule[FindConfig], ...] = (
    Rule(
        (
            "random_share",
            *(f"search.{field.name}" for field in fields(SearchConfig) if field.name not in WITHOUT_SEARCHES),
        ),
        lambda choice: choice.searches == 0,
        "--searches 0 does without searches",
    ),
)
"""Options of `find`."""


class Planned(NamedTuple):
    """Options of a `find` beside those of the plan from a file."""

    choice: FindConfig
    teachers: int
    hours: float
    file: Path


PLANNED: tuple[Rule[Planned], ...] = (
    Rule(
        ("hours",),
        lambda find: find.choice.hours != find.hours,
        "the plan of {0.file} was made for --hours {0.hours:g}",
    ),
    Rule(
        ("ensemble",),
        lambda find: not find.choice.ensemble and bool(find.teachers),
        "the plan of {0.file} has {0.teachers} teachers",
    ),
)
"""Options of `find` that a plan from a file replaces."""
