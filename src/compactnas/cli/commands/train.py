"""`compactnas train`: train a found network or a baseline from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.options import Recipe
    from compactnas.cli.parser import Parser


def build(recipe: Recipe = "paper") -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_RUN, COMMON_TRAIN, add_run_options
    from compactnas.cli.parser import Parser
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
    parser.add_argument(
        "--max-steps", type=int, help="Stop after this number of steps and estimate the time of the whole training."
    )
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import listener, open_data, parse, require_model
    from compactnas.distributed.launch import is_rank_zero

    options, config = parse(build, argv)
    require_model(options.model, random=True)
    from compactnas.pipeline.running import train_stage

    data = open_data(config, options.recipe)
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
    if is_rank_zero(config.machine):
        print(f"trained: {folder}; next: compactnas evaluate {folder}")
    return 0


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
