"""`compactnas average`: average the weights of several trainings of one network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser

    parser = Parser(
        "average",
        "RUN RUN [RUN ...] -o DIR",
        "Average the weights of several trainings of one network that started from the same weights "
        "(`--train.start-from`). With a validation part, a training joins only if the average is not less accurate "
        "with it.",
        required=("--output",),
    )
    parser.add_argument("run", type=str, nargs="+", help="Folders of trainings of one network.")
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the averaged network.")
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.errors import UserError

    parser = build()
    options = parser.parsed(parser.words(argv))
    if not options.output:
        raise UserError("no folder for the result; name one with --output")
    from compactnas.reporting.progress import RichListener
    from compactnas.training.averaging import average_runs

    folder = Path(options.output)
    rows = average_runs([Path(run) for run in options.run], folder, RichListener())
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        oa = "" if row["validation_oa"] is None else f", validation OA {100 * row['validation_oa']:.2f} %"
        print(f"{row['run']}: {'averaged' if row['averaged'] else 'left out'}{oa}")
    print(f"average: {folder}; next: compactnas evaluate {folder}")
    return 0


COMMAND = Command(
    group="Search and train",
    summary="average the weights of several trainings of one network",
    examples=(
        "compactnas average run1 run2 -o averaged",
        "compactnas average run1 run2 run3 -o averaged",
        "compactnas average run1 run2 run3 -o averaged --json",
    ),
    build=build,
    run=main,
)
