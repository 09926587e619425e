"""`compactnas search`: search for a network."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser, Recipe, add_run_options, listener, open_data, parse
from compactnas.distributed.launch import is_rank_zero


def build(recipe: Recipe) -> Parser:
    """The command's options."""
    parser = Parser(
        "search",
        "--data.path PATH --output DIR [--recipe NAME] [--max-steps N] [--resume] [options]",
        "Search on the halves of the training part (paper, Algorithm 1); writes genotype.json into the run's folder.",
        aliases={"--max-steps": ("--search.max_steps",)},
    )
    add_run_options(parser, recipe)
    parser.add_argument("--max-steps", type=int, help="the same as --search.max_steps; says what the whole would take")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, config = parse(build, argv)
    from compactnas import pipeline

    data = open_data(config, options.recipe)
    folder = Path(options.output)
    genotype = pipeline.search_stage(
        config, folder, resume=options.resume, listener=listener(options, config), data=data
    )
    if not is_rank_zero(config.machine):
        return 0
    if options.json:
        print(genotype.to_json(), end="")
    else:
        widths = f", widths {'-'.join(map(str, genotype.widths))}" if genotype.widths else ""
        print(f"found: {folder / 'genotype.json'}, depths {'-'.join(map(str, genotype.depths))}{widths}")
        print(f"next: compactnas train --model {folder} ..., or `compactnas run` for all stages in one folder")
    return 0
