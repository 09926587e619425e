"""Options that several commands share: those of a run, of data, and of commands on a finished run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from jsonargparse import Namespace

from compactnas.cli.parser import BUDGETS, PARTS, Parser
from compactnas.config import RECIPES, SPLIT_FIELDS, DataConfig, RunConfig
from compactnas.distributed.launch import is_rank_zero, require_processes
from compactnas.errors import UserError
from compactnas.io.paths import exists

if TYPE_CHECKING:
    from compactnas.data import Dataset
    from compactnas.training.runtime import Listener

Recipe = Literal["paper", "quick", "smoke"]
Config = TypeVar("Config")

OUTPUT, RESUME = "Folder of the results.", "Continue what is in the output folder."
PATCHES = "Patches in a format of docs/data.md, such as So2Sat data, an .npz file, a folder of images or a scene."
JSON = "Print the result as JSON."
TENSORBOARD = "Also write the figures of each epoch for TensorBoard (needs `[tensorboard]`)."

COMMON_RUN = (
    *("--data.path", "--output", "--recipe", "--config", "--resume", "--seed", "--json", "--max-steps"),
    *("--machine.device", "--threads"),
)
COMMON_SEARCH = ("--search.strategy", "--search.epochs", *BUDGETS)
COMMON_TRAIN = ("--train.epochs", "--train.batch-size", "--train.learning-rate")
COMMON_DATA = ("--data.path", "--data.split", "--data.bands")
"""Options of a whole run, a search, a training and of data that `--help` shows."""


def add_alias(parser: Parser, name: str, targets: tuple[str, ...], kind: type, text: str) -> None:
    """Add an option that sets one or more others."""
    parser.aliases[name] = targets
    parser.add_argument(name, type=kind, help=text)


def add_run_options(parser: Parser, recipe: Recipe) -> None:
    """Add the options of a whole run; a recipe gives the defaults."""
    parser.add_argument("--config", action="config", help="YAML file with values of these options.")
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the run.")
    parser.add_argument("--resume", action="store_true", help="Continue the run in the output folder.")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--tensorboard", action="store_true", help=TENSORBOARD)
    for name in ("devices", "nodes", "threads"):
        add_alias(parser, f"--{name}", (f"--machine.{name}",), int, f"Short for --machine.{name}.")
    add_budgets(parser)
    add_config_options(parser, recipe)


def add_config_options(parser: Parser, recipe: Recipe) -> None:
    """Add the recipe, and the keys of a `RunConfig` with the recipe's values as defaults."""
    parser.add_argument("--recipe", type=Recipe, default=recipe, help="Set of defaults for the options you leave out.")
    parser.add_class_arguments(RunConfig, None)
    parser.set_defaults(asdict(RECIPES[recipe]()))


def add_budgets(parser: Parser) -> None:
    """Add short names of the budgets of a search."""
    for name, option in BUDGETS.items():
        add_alias(parser, name, (option,), float, f"Short for {option.replace('_', '-')}; 20M means 20000000.")


def add_processes(parser: Parser, what: str) -> None:
    """Add the number of jobs or trainings that run at a time."""
    text = f"Number of {what} to run at a time on this machine; 0 runs one for each core, or one on a GPU."
    parser.add_argument("--processes", type=int, default=0, help=text)


def processes_of(options: Namespace) -> int:
    """Return the number of jobs or trainings at a time.

    Raises:
        UserError: It is negative.
    """
    found: int = options.processes
    if found < 0:
        raise UserError(f"--processes: {found} is negative; give 0 (one for each core) or more")
    return found


def parse(build: Callable[[Recipe], Parser], argv: list[str]) -> tuple[Namespace, RunConfig]:
    """Parse the options of a run.

    The recipe is parsed first, because it gives the defaults. With `--resume`, the run's own config gives them.
    """
    parser = build("paper")
    argv = parser.words(argv)
    first = parser.parsed([word for word in argv if not _ends_parsing(word)])
    own = Path(first.output or ".") / "config.yaml"
    if first.resume and first.output and own.is_file():
        argv = ["--config", str(own), *argv]
    if first.recipe != "paper":
        parser = build(first.recipe)
    options = parser.parsed(argv)
    if "--search.initial_depth" in parser.only_in_files:  # without a search, it need not fit the space
        least, most = options.space.min_depth, options.space.max_depth
        options["search.initial_depth"] = min(max(options.search.initial_depth, least), most)
    config = run_config(options)
    if not options.output:
        raise UserError("no folder for the run; name one with --output")
    require_processes(config.machine)
    return options, config


def _ends_parsing(word: str) -> bool:
    return word in ("-h", "--help", "--help-all") or word.startswith("--print-config")


def run_config(options: Namespace) -> RunConfig:
    """Make the `RunConfig` of parsed options."""
    return RunConfig(**{name: instance(kind, options[name]) for name, kind in PARTS.items()}, seed=options.seed)


def instance(kind: type[Config], values: Any) -> Config:
    """Make one config from the parsed options of its name."""
    given = values.as_dict() if isinstance(values, Namespace) else values
    if not isinstance(given, dict):
        raise UserError(f"{kind.__name__}: expected names and values, but found {given!r}; give NAME: VALUE pairs")
    return kind(**given)


def differences(recipe: Recipe) -> list[str]:
    """List the values of a recipe that differ from the paper, one in each line."""
    ours, papers = asdict(RECIPES[recipe]()), asdict(RECIPES["paper"]())
    return [
        f"{part}.{field.name}: {ours[part][field.name]} (paper: {papers[part][field.name]})"
        for part, kind in PARTS.items()
        for field in fields(kind)
        if ours[part][field.name] != papers[part][field.name]
    ]


def open_data(config: RunConfig, recipe: Recipe) -> Dataset:
    """Open the data of a run, then print on stderr how the recipe differs from the paper. Only rank zero prints.

    The data is opened first, so that an error in it is the only line.
    """
    from compactnas.data import open_dataset

    data = open_dataset(config.data)
    for line in differences(recipe) if is_rank_zero(config.machine) else ():
        print(f"recipe {recipe}: {line}", file=sys.stderr)
    return data


def listener(options: Namespace, config: RunConfig) -> Listener:
    """Make the listener of a run: the terminal, and TensorBoard on rank zero if requested."""
    from compactnas.reporting.progress import RichListener
    from compactnas.reporting.tensorboard import TensorBoard

    terminal = RichListener()
    if not (options.tensorboard and is_rank_zero(config.machine)):
        return terminal
    return TensorBoard(terminal, Path(options.output) / "tensorboard")


def add_source_options(parser: Parser) -> None:
    """Add the options that read patches, without those that split them."""
    parser.add_class_arguments(DataConfig, "data", skip={"path", *SPLIT_FIELDS})


def add_data_options(parser: Parser, what: str = "Folder of a run, or of an adopted network.") -> None:
    """Add the folder of a trained network, and the options of other data for it."""
    parser.add_argument("run", type=str, help=what)
    parser.add_class_arguments(DataConfig, "data")


def parse_with_run(
    build: Callable[[], Parser], argv: list[str], *, adopted: bool = True
) -> tuple[Namespace, DataConfig | None]:
    """Parse the options of a command on a finished run, or on an adopted network, which has no data of its own.

    Args:
        build: Function that makes the parser.
        argv: Arguments of the command line.
        adopted: Whether the command takes an adopted network.

    Returns:
        Options, and the config of the data that they name; None for the run's own data.
    """
    parser = build()
    argv = parser.words(argv)
    first = parser.parsed(argv)
    from compactnas.adopted.manifest import is_adopted
    from compactnas.runs.folder import read_config

    if is_adopted(Path(first.run)):
        data = instance(DataConfig, first.data)
        if not adopted:
            raise UserError(f"{first.run}: is an adopted network, with its file model.onnx; name the folder of a run")
        if not data.path:
            raise UserError(f"{first.run}: is an adopted network without data of its own; name some with --data.path")
        return first, data
    own = read_config(Path(first.run)).data
    parser.set_defaults({f"data.{field.name}": getattr(own, field.name) for field in fields(own)})
    options = parser.parsed(argv)
    data = instance(DataConfig, options.data).with_fitting_split_options(own)
    return options, None if data == own else data


def require_model(model: str, *, random: bool = False) -> None:
    """Raise a `UserError` unless a model is a baseline or an existing file or folder."""
    from compactnas.nn.baselines import BASELINES

    names = [*BASELINES, *(("random",) if random else ())]
    if not model or (model not in names and not exists(model)):
        what = f"{model!r} is unknown" if model else "no model is named"
        raise UserError(f"--model: {what}; use one of {', '.join(names)}, a genotype file or a run folder")
