"""`compactnas train`: train a found network or a baseline from scratch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.cli.options import Recipe
    from compactnas.cli.parser import Parser


def build(recipe: Recipe = "paper") -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_RUN, COMMON_TRAIN, add_run_options
    from compactnas.cli.parser import BUDGETS, Parser
    from compactnas.nn.baselines import BASELINES

    parser = Parser(
        "train",
        "--model MODEL --data.path PATH -o DIR [--recipe NAME] [--resume] [options]",
        "Train one network from scratch on the whole training part.",
        aliases={"--max-steps": ("--train.max_steps",)},
        common=("--model", "--like", *COMMON_RUN, *COMMON_TRAIN),
        required=("--model", "--data.path", "--output"),
    )
    parser.add_argument(
        "--model",
        type=str,
        default="",
        help=f"Baseline ({', '.join(BASELINES)}), genotype file, run folder, or "
        "`random` for a random cell that costs as much as the network of --like.",
    )
    parser.add_argument("--like", type=str, default="", help="Genotype file or run folder that `random` matches.")
    add_run_options(parser, recipe)
    budgets = [name.removeprefix("--").replace("-", "_") for name in BUDGETS]
    parser.keep_to_files(["search", *budgets], "`compactnas train` does not search")
    parser.add_argument(
        "--max-steps", type=int, help="Stop after this number of steps and estimate the time of the whole training."
    )
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import listener, open_data, parse, require_model
    from compactnas.cli.without_effect import note_of_run
    from compactnas.distributed.launch import is_rank_zero

    options, config = parse(build, argv)
    require_model(options.model, random=True)
    _require_random(options, argv)
    from compactnas.pipeline.running import train_stage

    data = open_data(config, options.recipe)
    note_of_run(options, config, data.parts, ("train",))
    folder = Path(options.output)
    train_stage(
        config,
        folder,
        options.model,
        like=options.like,
        resume=options.resume,
        listener=listener(options, config),
        data=data,
    )
    if not is_rank_zero(config.machine):
        return 0
    if options.json:
        print(json.dumps(_trained(folder), indent=2))
    else:
        print(f"trained: {folder}; next: compactnas evaluate {folder}")
    return 0


def _require_random(options: Namespace, argv: Sequence[str]) -> None:
    """Refuse options that only the model `random` uses."""
    if options.model == "random":
        return
    given = (word.partition("=")[0].replace("_", "-") for word in argv)
    names = ["--like"] * bool(options.like) + [
        word for word in given if word == "--space" or word.startswith("--space.")
    ]
    if names:
        raise UserError(f"{names[0]}: has no effect, because only --model random draws a network; leave it out")


def _trained(folder: Path) -> dict[str, Any]:
    """Read what was trained, and the figures of its last epoch."""
    from compactnas.io.atomic import read_json
    from compactnas.io.jsonl import read_rows
    from compactnas.nn.registry import FILE

    rows = read_rows(folder / "train" / "metrics.jsonl", "train again")
    return {"run": str(folder), "model": read_json(folder / "train" / FILE, "train again"), "last_epoch": rows[-1]}


COMMAND = Command(
    group="Search and train",
    summary="train a found network or a baseline from scratch",
    examples=(
        "compactnas train --model run --data.path so2sat -o trained",
        "compactnas train --model resnet20 --data.path so2sat -o resnet20 --train.epochs 50",
        "compactnas train --model random --like run --data.path so2sat -o random",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
