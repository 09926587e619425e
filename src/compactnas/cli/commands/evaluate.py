"""`compactnas evaluate`: measure a trained network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


Part = Literal["train", "validation", "test"]


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_DATA, JSON, add_data_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "evaluate",
        "RUN [--part PART] [--tta] [--temperature] [--data.path PATH] [options]",
        "Measure the network of a run on a part of its own data, or on other data.",
        common=(*COMMON_DATA, "--part", "--tta", "--temperature", "--json"),
    )
    add_data_options(parser)
    parser.add_argument("--part", type=Part, default="test", help="Part of the data.")
    parser.add_argument(
        "--tta", action="store_true", help="Average over the 8 symmetries of the square, at eight times the cost."
    )
    parser.add_argument(
        "--temperature",
        action="store_true",
        help="First fit a temperature on the validation part, which evaluations, predictions, exports and maps of the "
        "run then use: the classes stay, and the confidence fits the accuracy.",
    )
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import parse_with_run

    options, data = parse_with_run(build, argv)
    from compactnas.cli.tables import print_evaluation
    from compactnas.pipeline.evaluating import evaluate_stage
    from compactnas.training.calibrating import calibrate_stage

    if options.temperature:
        print(calibrate_stage(Path(options.run), config=data).words(), file=sys.stderr)
    evaluation = evaluate_stage(Path(options.run), part=options.part, config=data, tta=options.tta)
    print_evaluation(evaluation, as_json=options.json)
    return 0


COMMAND = Command(
    group="Measure and compare",
    summary="measure a trained network",
    examples=(
        "compactnas evaluate run",
        "compactnas evaluate run --part validation --tta --temperature",
        "compactnas evaluate run --data.path elsewhere/so2sat --json",
    ),
    build=build,
    run=main,
)
