"""`compactnas run`: search, retrain and evaluate in one folder."""

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
        "run",
        "--data.path PATH -o DIR [--recipe NAME] [--resume] [options]",
        "Search for a network, retrain it on the whole training part, measure it on the test part and write a report.",
        aliases={"--max-steps": ("--search.max_steps", "--train.max_steps")},
        common=(*COMMON_RUN, *COMMON_SEARCH, "--train.epochs"),
        required=("--data.path", "--output"),
    )
    add_run_options(parser, recipe)
    parser.add_argument("--max-steps", type=int, help="Stop each stage after this number of steps, to try a setting.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.forecast import announce
    from compactnas.cli.options import listener, open_data, parse
    from compactnas.cli.without_effect import note_of_run, require_search_options
    from compactnas.distributed.launch import is_rank_zero

    options, config = parse(build, argv)
    require_search_options(options, config)
    from compactnas.cli.tables import print_evaluation
    from compactnas.pipeline.running import run
    from compactnas.reporting.run.page import write_report

    data = open_data(config, options.recipe)
    note_of_run(options, config, data.parts, ("search", "train"))
    announce(options, config, data, retrain=True)
    folder = Path(options.output)
    evaluation = run(config, folder, resume=options.resume, listener=listener(options, config), data=data)
    if not is_rank_zero(config.machine):
        return 0
    report = write_report([folder], folder / "report.html")
    print_evaluation(evaluation, as_json=options.json)
    if not options.json:
        print(f"report: {report}")
    return 0


COMMAND = Command(
    group="Search and train",
    summary="search, retrain and evaluate in one folder",
    examples=(
        "compactnas run --data.path so2sat -o run",
        "compactnas run --data.path patches.npz -o run --recipe quick --data.split random",
        "compactnas run -o run --resume",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
