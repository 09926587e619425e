"""`compactnas train`: train a found network or a baseline from scratch."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser, Recipe, add_run_options, listener, open_data, parse, require_model
from compactnas.distributed.launch import is_rank_zero


def build(recipe: Recipe) -> Parser:
    """The command's options."""
    parser = Parser(
        "train",
        "--model MODEL --data.path PATH --output DIR [--recipe NAME] [--resume] [options]",
        "Train one network from scratch on the whole training part.",
        aliases={"--max-steps": ("--train.max_steps",)},
    )
    add_run_options(parser, recipe)
    parser.add_argument(
        "--model",
        type=str,
        default="",
        help="resnet8, resnet20, resnet32, resnet110, sen2lcz, sen2lcz_mf; or a genotype's file or a run's folder; "
        "or `random`, a random cell that costs what --like costs",
    )
    parser.add_argument("--like", type=str, default="", help="a genotype's file or a run's folder, for `random`")
    parser.add_argument("--max-steps", type=int, help="the same as --train.max_steps; says what the whole would take")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, config = parse(build, argv)
    require_model(options.model, random=True)
    from compactnas import pipeline

    data = open_data(config, options.recipe)
    folder = Path(options.output)
    pipeline.train_stage(
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
