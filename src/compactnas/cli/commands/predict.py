"""`compactnas predict`: write the classes of patches to a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser

Part = Literal["train", "validation", "test", "all"]


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_DATA, add_data_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "predict",
        "RUN -o FILE.csv [--part PART] [--data.path PATH] [options]",
        "Write a CSV file with the class and probability of each patch: row, key, class (counted from 0, as the data "
        "does), name, probability.",
        common=(*COMMON_DATA, "--output", "--part"),
        required=("--output",),
        writes_file=True,
    )
    add_data_options(parser)
    parser.add_argument("-o", "--output", type=str, default="", help="CSV file of the predictions.")
    parser.add_argument("--part", type=Part, default="all", help="Part of the data.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import parse_with_run

    options, data = parse_with_run(build, argv)
    if not options.output:
        raise UserError("no file for the predictions; name one with --output")
    from compactnas.pipeline.evaluating import predict
    from compactnas.runs.folder import read_config

    folder, output = Path(options.run), Path(options.output)
    config = data or read_config(folder).data
    rows = predict(folder, config, output, part="" if options.part == "all" else options.part)
    print(f"{output}: {rows} patches")
    return 0


COMMAND = Command(
    group="Use a network",
    summary="write the classes of patches to a CSV file",
    examples=(
        "compactnas predict run -o classes.csv",
        "compactnas predict run -o test.csv --part test",
        "compactnas predict run -o new.csv --data.path new_patches.npz",
    ),
    build=build,
    run=main,
)
