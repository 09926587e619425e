"""Options from typed configs: a parser whose every complaint is one `UserError`, and recipes as defaults."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from jsonargparse import ArgumentParser, Namespace

from compactnas.config import (
    RECIPES,
    SPLIT_FIELDS,
    DataConfig,
    MachineConfig,
    RunConfig,
    SearchConfig,
    TrainConfig,
)
from compactnas.config.values import in_plain_words
from compactnas.distributed.launch import is_rank_zero, require_processes
from compactnas.errors import UserError
from compactnas.io.untrusted import read_yaml, require_plain
from compactnas.space.search_space import Space

if TYPE_CHECKING:
    from compactnas.data import Dataset
    from compactnas.training.runtime import Listener

Recipe = Literal["paper", "quick", "smoke"]
PARTS = {
    "data": DataConfig,
    "space": Space,
    "search": SearchConfig,
    "train": TrainConfig,
    "machine": MachineConfig,
}
"""Names in a `RunConfig` -> the config that stands there."""

CONFIG_FILES = {"--config": RunConfig} | {f"--{name}": kind for name, kind in PARTS.items()}
"""Options that take a file of values -> the config that it describes."""

LISTS = ("--data.bands", "--data.test_groups", "--space.operations", "--train.teachers")
"""Options that take several names; `a,b` is accepted for `[a,b]`."""

BUDGETS = {
    "--max-macs": "--search.max_macs",
    "--max-parameters": "--search.max_parameters",
    "--max-latency-ms": "--search.max_latency_ms",
}
"""Short names of the budgets of a search."""

QUANTITIES = {*BUDGETS.values(), "--least", "--most"}
"""Options that take `20M` for 20000000."""

Config = TypeVar("Config")


class Parser(ArgumentParser):
    """jsonargparse's parser, with errors raised as one line, and with words made easier to write.

    `a-b` and `a_b` name the same option, `--data.bands B02,B03` stands for `[B02,B03]`, and an
    alias sets several options.

    Args:
        command: that is parsed.
        arguments: of its usage line.
        description: of what it does.
        aliases: option -> the options that get its value.
    """

    def __init__(
        self, command: str, arguments: str, description: str, aliases: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.aliases = dict(aliases or {})
        super().__init__(
            prog=f"compactnas {command}",
            usage=f"compactnas {command} {arguments}",
            description=description,
            allow_abbrev=False,
            print_config="--print-config",
        )

    def words(self, argv: Sequence[str]) -> list[str]:
        """The words as the options want them."""
        known = {option: option for option in (*self._option_string_actions, *self.aliases)}
        spelt = {option.replace("-", "_"): option for option in known} | known
        words: list[str] = []
        rest = list(argv)
        while rest:
            option, equals, value = rest.pop(0).partition("=")
            if not option.startswith("--"):
                words.append(option + equals + value)
                continue
            option = spelt.get(option, spelt.get(option.replace("-", "_"), option))
            if option in CONFIG_FILES:
                _require_plain_file(option, value if equals else "".join(rest[:1]))
            if (option in LISTS or option in self.aliases) and not equals and rest:
                equals, value = "=", rest.pop(0)
            if option in LISTS and not value.startswith("["):
                value = f"[{value}]"
            names = self.aliases.get(option, (option,))
            if not equals and rest and set(names) & QUANTITIES:
                equals, value = "=", rest.pop(0)
            words += [name + equals + (_in_full(value) if name in QUANTITIES else value) for name in names]
        return words

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(self._explain(message))

    def _explain(self, message: str) -> str:
        line = in_plain_words(message, key="--")
        unknown = re.match(r"unrecognized arguments: (\S+)", line)
        return (
            f"unknown option {unknown[1]}; {self._hint(unknown[1])}" if unknown else f"{line}; see `{self.prog} --help`"
        )

    def _hint(self, word: str) -> str:
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        near = difflib.get_close_matches(word.split("=")[0], known, n=1)
        return f"did you mean {near[0]}?" if near else f"`{self.prog} --help` lists them"


def _in_full(number: str) -> str:
    """`20M` as 20000000.0; what is no such number as it is."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG])", number)
    return str(float(match[1]) * {"k": 1e3, "M": 1e6, "G": 1e9}[match[2]]) if match else number


def _require_plain_file(option: str, file: str) -> None:
    """Look at a file of values before the parser does, which imports the classes that one names."""
    if not Path(file).is_file():
        return  # the parser says what is wrong with it
    try:
        values = read_yaml(Path(file), "see `compactnas run --print-config` for one")
        if "config" in values:
            raise TypeError("config: a config names no other; give --config once for each")
        require_plain(CONFIG_FILES[option], values)
    except TypeError as error:
        raise UserError(f"{option}: {file}: {error}") from None


TENSORBOARD = "write each epoch's figures for TensorBoard too (needs `[cluster]`)"


def add_run_options(parser: Parser, recipe: Recipe) -> None:
    """The options of a whole run, with a recipe's values as defaults."""
    parser.add_argument("--config", action="config", help="YAML file with values of the options below")
    parser.add_argument("--recipe", type=Recipe, default=recipe, help="where values that are not given come from")
    parser.add_argument("-o", "--output", type=str, default="", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run that is in --output")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--tensorboard", action="store_true", help=TENSORBOARD)
    for name in ("devices", "nodes"):
        parser.aliases[f"--{name}"] = (f"--machine.{name}",)
        parser.add_argument(f"--{name}", type=int, help=f"the same as --machine.{name}")
    for name, option in BUDGETS.items():
        parser.aliases[name] = (option,)
        parser.add_argument(name, type=float, help=f"the same as {option}; 20M is 20000000")
    parser.add_class_arguments(RunConfig, None)
    parser.set_defaults(asdict(RECIPES[recipe]()))


def parse(build: Callable[[Recipe], Parser], argv: list[str]) -> tuple[Namespace, RunConfig]:
    """Parse the options of a run: the recipe is found first, since it gives the defaults.

    With `--resume`, values come from the run's own config.
    """
    argv = build("paper").words(argv)
    first = build("paper").parse_args([word for word in argv if not _ends_parsing(word)])
    own = Path(first.output or ".") / "config.yaml"
    if first.resume and first.output and own.is_file():
        argv = ["--config", str(own), *argv]
    options = build(first.recipe).parse_args(argv)
    config = run_config(options)
    if not options.output:
        raise UserError("no folder for the run; name one with --output")
    require_processes(config.machine)
    return options, config


def _ends_parsing(word: str) -> bool:
    return word in ("-h", "--help") or word.startswith("--print-config")


def run_config(options: Namespace) -> RunConfig:
    """The `RunConfig` of parsed options."""
    return RunConfig(**{name: instance(kind, options[name]) for name, kind in PARTS.items()}, seed=options.seed)


def instance(kind: type[Config], values: Any) -> Config:
    """One config dataclass of the parsed options with its name."""
    given = values.as_dict() if isinstance(values, Namespace) else values
    if not isinstance(given, dict):
        raise UserError(f"{kind.__name__}: expected names and values, found {given!r}")
    return kind(**given)


def differences(recipe: Recipe) -> list[str]:
    """How a recipe differs from the paper, one value a line."""
    ours, papers = asdict(RECIPES[recipe]()), asdict(RECIPES["paper"]())
    return [
        f"{part}.{field.name}: {ours[part][field.name]} (paper: {papers[part][field.name]})"
        for part, kind in PARTS.items()
        for field in fields(kind)
        if ours[part][field.name] != papers[part][field.name]
    ]


def open_data(config: RunConfig, recipe: Recipe) -> Dataset:
    """Open a run's data, then tell on stderr, once for all processes, what a recipe other than the paper's changes.

    In this order, a mistake in the data is one line.
    """
    from compactnas.data import open_dataset

    data = open_dataset(config.data)
    for line in differences(recipe) if is_rank_zero(config.machine) else ():
        print(f"recipe {recipe}: {line}", file=sys.stderr)
    return data


def listener(options: Namespace, config: RunConfig) -> Listener:
    """Who is told how a run goes: a terminal and, if wanted, TensorBoard, by the process that leads."""
    from compactnas.reporting.progress import RichListener
    from compactnas.reporting.tensorboard import TensorBoard

    terminal = RichListener()
    if not (options.tensorboard and is_rank_zero(config.machine)):
        return terminal
    return TensorBoard(terminal, Path(options.output) / "tensorboard")


def add_source_options(parser: Parser) -> None:
    """How a source that a command is given is read; not how it would be split."""
    parser.add_class_arguments(DataConfig, "data", skip={"path", *SPLIT_FIELDS})


def add_data_options(parser: Parser) -> None:
    """A trained run, and the options of other data for it."""
    parser.add_argument("run", type=str, help="folder of a run")
    parser.add_class_arguments(DataConfig, "data")


def parse_with_run(build: Callable[[], Parser], argv: list[str]) -> tuple[Namespace, DataConfig | None]:
    """Parse options that stand on a run: data that is not given is the run's own (None if none is given)."""
    parser = build()
    argv = parser.words(argv)
    first = parser.parse_args(argv)
    from compactnas.runs.folder import read_config

    own = read_config(Path(first.run)).data
    parser.set_defaults({f"data.{field.name}": getattr(own, field.name) for field in fields(own)})
    options = parser.parse_args(argv)
    data = instance(DataConfig, options.data)
    return options, None if data == own else data


def require_model(model: str, *, random: bool = False) -> None:
    """Raise a UserError where a model's name is neither a baseline nor something on disk."""
    from compactnas.nn.baselines import BASELINES

    names = [*BASELINES, *(("random",) if random else ())]
    if not model or (model not in names and not Path(model).exists()):
        what = f"{model!r} is unknown" if model else "no model is named"
        raise UserError(f"--model: {what}; use one of {', '.join(names)}, a genotype's file or a run's folder")
