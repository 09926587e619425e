"""`compactnas run`: search, retrain and evaluate in one folder."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser, Recipe, add_run_options, listener, open_data, parse
from compactnas.distributed.launch import is_rank_zero


def build(recipe: Recipe) -> Parser:
    """The command's options."""
    parser = Parser(
        "run",
        "--data.path PATH --output DIR [--recipe NAME] [--resume] [options]",
        "Search for a network, retrain it on the whole training part, measure it on the test part, write a report.",
        aliases={"--max-steps": ("--search.max_steps", "--train.max_steps")},
    )
    add_run_options(parser, recipe)
    parser.add_argument("--max-steps", type=int, help="stop each stage after so many steps, to try a setting")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, config = parse(build, argv)
    from compactnas import pipeline
    from compactnas.cli.commands.show import print_evaluation
    from compactnas.reporting import write_report

    data = open_data(config, options.recipe)
    folder = Path(options.output)
    evaluation = pipeline.run(config, folder, resume=options.resume, listener=listener(options, config), data=data)
    if not is_rank_zero(config.machine):
        return 0
    report = write_report([folder], folder / "report.html")
    print_evaluation(evaluation, as_json=options.json)
    if not options.json:
        print(f"report: {report}")
    return 0
