"""Options that a user gives and that have no effect, as tables.

An option that is wrong in its command is an error. An option that a recipe, a config file for all commands or a later
call with `--resume` may hold is no error: one line of notes names those that the user changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from jsonargparse import Namespace

from compactnas.config import OBJECTIVE_OPTIONS, RECIPES, STRATEGIES, RunConfig, TrainConfig, require_objective_options
from compactnas.distributed.launch import is_rank_zero
from compactnas.errors import UserError
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
    def absent(self) -> str:
        """Operations that are to be normalised, but are not in the space."""
        search, space = self.config.search, self.config.space
        return ", ".join(name for name in search.normalized_operations if name not in space.operations)


ALL_COSTS = tuple(f"search.{name}" for name in OBJECTIVE_OPTIONS)

RUN: tuple[Rule[Run], ...] = (
    Rule(
        (
            *("search.warmup", "search.alpha_learning_rate", "search.alpha_weight_decay", "search.tau_start"),
            *("search.tau_end", "search.depth_logit", "search.complexity", "search.objective", *ALL_COSTS),
        ),
        lambda run: not run.strategy.learns_alpha,
        "search.strategy={0.config.search.strategy} does not train alpha",
    ),
    Rule(ALL_COSTS, lambda run: not run.config.search.complexity, "search.complexity is off"),
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
    Rule(("search.depth_logit",), lambda run: not run.config.search.search_depth, "search.search_depth is off"),
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


def changed(values: Mapping[str, Any], base: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Name the values that differ from those of a base."""
    return {prefix + name for name, value in values.items() if value != base[name]}


def check(rules: Iterable[Rule[State]], state: State, given: set[str]) -> str:
    """Find the given options that have no effect.

    Args:
        rules: Table of the command.
        state: What decides about its options.
        given: Names of the options that the user changed.

    Returns:
        Note about them; empty if there are none.

    Raises:
        UserError: One of them is refused.
    """
    left, found = set(given), []
    for rule in rules:
        keys = [key for key in rule.keys if key in left]
        if not keys or not rule.idle(state):
            continue
        because = rule.because.format(state)
        if rule.error:
            raise UserError(f"{keys[0]}: has no effect, because {because}")
        left -= set(keys)
        found.append(f"{', '.join(keys)}: no effect, because {because}")
    return "; ".join(found)


def note(line: str) -> None:
    """Print a note on stderr, unless it is empty."""
    if line:
        print(f"note: {line}", file=sys.stderr)


def note_of_choice(rules: Iterable[Rule[Any]], options: Namespace, config: RunConfig, choice: Any) -> None:
    """Check the options of a new selection or front.

    Args:
        rules: Table of the command.
        options: Parsed options; the first search of `run` gives the defaults of `train`.
        config: Config of the command.
        choice: Its own options.
    """
    if continues(options):
        return
    from compactnas.runs.folder import read_config
    from compactnas.selection.holdout import on_one_device

    own = on_one_device(read_config(Path(options.run[0])))
    given = changed(asdict(choice), asdict(type(choice)())) | changed(asdict(config.train), asdict(own.train), "train.")
    note(check(rules, choice, given))


def note_of_plan(choice: FindConfig, teachers: int, hours: float, file: Path) -> None:
    """Print a note about options of `find` that a plan from a file replaces."""
    note(check(PLANNED, Planned(choice, teachers, hours, file), changed(asdict(choice), asdict(FindConfig()))))


def continues(options: Namespace) -> bool:
    """Check whether a command continues what is in its folder, whose options are settled."""
    return bool(options.resume) and any(
        (Path(options.output) / name).exists() for name in ("config.yaml", "find/config.yaml")
    )


def require_search_options(options: Namespace, config: RunConfig) -> None:
    """Refuse options that the objective of a new search does not have, before its data is opened."""
    if not continues(options):
        require_objective_options(config.search)


def note_of_run(
    options: Namespace,
    config: RunConfig,
    rows: Mapping[str, Sized],
    parts: Sequence[str],
    *,
    base: RunConfig | None = None,
    ensemble: bool = False,
) -> None:
    """Print a note about options that the user changed and that have no effect in a new run.

    Args:
        options: Parsed options of the command.
        config: Config of the run.
        rows: Rows of each part of the data.
        parts: Parts of the config that the command uses.
        base: Config that the user's differs from; by default, that of the recipe.
        ensemble: Whether other networks than those of the config may teach.
    """
    if continues(options) or not is_rank_zero(config.machine):
        return
    ours, theirs = asdict(config), asdict(base or RECIPES[options.recipe]())
    given = set[str]().union(*(changed(ours[part], theirs[part], f"{part}.") for part in parts))
    note(check(RUN, Run(config, bool(len(rows["validation"])), bool(config.train.teachers) or ensemble), given))
