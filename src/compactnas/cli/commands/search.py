"""`compactnas search`: search for a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.options import Recipe
    from compactnas.cli.parser import Parser


def build(recipe: Recipe = "paper") -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_RUN, COMMON_SEARCH, add_run_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "search",
        "--data.path PATH -o DIR [--recipe NAME] [--max-macs N] [--resume] [options]",
        "Search on the two halves of the training part (paper, Algorithm 1) and write genotype.json to the run folder.",
        aliases={"--max-steps": ("--search.max_steps",)},
        common=(*COMMON_RUN, *COMMON_SEARCH),
        required=("--data.path", "--output"),
    )
    add_run_options(parser, recipe)
    parser.add_argument(
        "--max-steps", type=int, help="Stop after this number of steps and estimate the time of the whole search."
    )
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.forecast import announce
    from compactnas.cli.options import listener, open_data, parse
    from compactnas.cli.without_effect import note_of_run, require_search_options
    from compactnas.distributed.launch import is_rank_zero

    options, config = parse(build, argv)
    require_search_options(options, config)
    from compactnas.pipeline.running import search_stage

    data = open_data(config, options.recipe)
    note_of_run(options, config, data.parts, ("search",))
    announce(options, config, data, retrain=False)
    folder = Path(options.output)
    genotype = search_stage(config, folder, resume=options.resume, listener=listener(options, config), data=data)
    if not is_rank_zero(config.machine):
        return 0
    if options.json:
        print(genotype.to_json(), end="")
    else:
        widths = f", widths {'-'.join(map(str, genotype.widths))}" if genotype.widths else ""
        print(f"found: {folder / 'genotype.json'}, depths {'-'.join(map(str, genotype.depths))}{widths}")
        print(f"next: compactnas train --model {folder} ..., or `compactnas run` for all stages in one folder")
    return 0


COMMAND = Command(
    group="Search and train",
    summary="search for a network",
    examples=(
        "compactnas search --data.path so2sat -o run",
        "compactnas search --data.path so2sat -o small --max-macs 10M",
        "compactnas search --data.path so2sat -o darts --search.strategy darts --search.no-search-depth",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
