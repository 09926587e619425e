"""`compactnas evaluate`: measure a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from compactnas.cli.options import Parser, add_data_options, parse_with_run

Part = Literal["train", "validation", "test"]


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "evaluate",
        "RUN [--part PART] [--tta] [--data.path PATH ...] [--json]",
        "Measure the network of a run's folder on a part of its own data, or of other data.",
    )
    add_data_options(parser)
    parser.add_argument("--part", type=Part, default="test", help="which part")
    parser.add_argument(
        "--tta", action="store_true", help="the mean over the 8 symmetries of the square, at eight times the cost"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, data = parse_with_run(build, argv)
    from compactnas import pipeline
    from compactnas.cli.commands.show import print_evaluation

    evaluation = pipeline.evaluate_stage(Path(options.run), part=options.part, config=data, tta=options.tta)
    print_evaluation(evaluation, as_json=options.json)
    return 0
