"""`compactnas init`: write a commented config file to edit."""

from __future__ import annotations

import textwrap
from argparse import Action
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.options import Recipe
    from compactnas.cli.parser import Parser
    from compactnas.config import RunConfig

WIDTH = 100
FILE = "compactnas.yaml"


def build(recipe: Recipe = "paper") -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_DATA, COMMON_SEARCH, COMMON_TRAIN, add_budgets, add_config_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "init",
        "[-o FILE] [--recipe NAME] [--all] [options]",
        "Write a config file with a comment for each key, to edit and to give to `compactnas run --config FILE`. It "
        "holds the common keys, those that the recipe changes, and the options that you give here.",
        common=("--output", "--recipe", "--all", "--seed", *COMMON_DATA, *COMMON_SEARCH, *COMMON_TRAIN),
        writes_file=True,
    )
    parser.add_argument("-o", "--output", type=str, default=FILE, help="File to write.")
    parser.add_argument("--all", action="store_true", help="Write all keys, not only the common ones.")
    add_budgets(parser)
    add_config_options(parser, recipe)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import run_config
    from compactnas.io.atomic import write_bytes

    words = build().words(argv)
    recipe = build().parse_args([word for word in words if word not in ("-h", "--help", "--help-all")]).recipe
    parser = build(recipe)
    options = parser.parsed(words)
    out = Path(options.output)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: exists already; name a new file with --output")
    text = commented(parser, run_config(options), recipe, everything=options.all)
    write_bytes(out, text.encode())
    first = "" if options.data.path else f"set data.path in {out}, then "
    print(f"written: {out}; next: {first}compactnas run --config {out} -o RUN")
    return 0


def commented(parser: Parser, config: RunConfig, recipe: Recipe, *, everything: bool) -> str:
    """Write a config as YAML, with the help of each option as a comment.

    Args:
        parser: Parser of this command, which knows the options.
        config: Values to write.
        recipe: Recipe that gives the values of the keys that are left out.
        everything: Write all keys, not only those of `_shown`.
    """
    from compactnas.cli.help import TITLES

    actions = {action.dest: action for action in parser._actions if action.option_strings}
    shown = set(actions) if everything else _shown(parser, config, recipe)
    lines = _comment("A run of compactnas: `compactnas run --config FILE -o RUN`.")
    lines += ["", *_entry(actions["recipe"], recipe), "", *_entry(actions["seed"], config.seed)]
    left_out = 0
    for part, values in _parts(config).items():
        keys = [key for key in values if f"{part}.{key}" in shown]
        left_out += len(values) - len(keys)
        lines += ["", f"# {TITLES[part]}", f"{part}:"] if keys else []
        for key in keys:
            lines += _entry(actions[f"{part}.{key}"], values[key], indent=2)
    if left_out:
        text = f"{left_out} more keys have the recipe's values: `compactnas init --all` writes them too."
        lines += ["", *_comment(text)]
    return "\n".join(lines) + "\n"


def _shown(parser: Parser, config: RunConfig, recipe: Recipe) -> set[str]:
    """Find the keys to write: common ones, those that the recipe changes, and those that the user changed."""
    from compactnas.cli.parser import BUDGETS
    from compactnas.config import RECIPES

    common = {option.removeprefix("--").replace("-", "_") for option in (*parser.common, *BUDGETS.values())}
    given, ours, papers = (_flat(one) for one in (config, RECIPES[recipe](), RECIPES["paper"]()))
    return common | {key for key, value in given.items() if value != ours[key] or value != papers[key]}


def _flat(config: RunConfig) -> dict[str, Any]:
    return {f"{part}.{key}": value for part, values in _parts(config).items() for key, value in values.items()}


def _parts(config: RunConfig) -> dict[str, dict[str, Any]]:
    return {part: values for part, values in asdict(config).items() if isinstance(values, dict)}


def _entry(action: Action, value: Any, indent: int = 0) -> list[str]:
    """Write a key with its meaning and its choices."""
    from compactnas.cli.help import choices_of

    text, choices = " ".join((action.help or "").split()), ", ".join(choices_of(action))
    key = action.dest.rpartition(".")[2]
    comment = _comment(f"{text} One of {choices}." if choices else text, indent)
    return [*comment, f"{' ' * indent}{key}: {_written(value)}"]


def _comment(text: str, indent: int = 0) -> list[str]:
    start = " " * indent + "# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False, break_long_words=False
    )


def _written(value: Any) -> str:
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


COMMAND = Command(
    group="Search and train",
    summary="write a commented config file to edit",
    examples=(
        "compactnas init",
        "compactnas init --recipe quick --data.path patches.npz --data.split group -o city.yaml",
        "compactnas init --all -o everything.yaml",
    ),
    build=build,
    run=main,
)
