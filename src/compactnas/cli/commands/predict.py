"""`compactnas predict`: write the classes of patches to a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from compactnas.cli.options import Parser, add_data_options, parse_with_run
from compactnas.errors import UserError

Part = Literal["train", "validation", "test", "all"]


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "predict",
        "RUN --output FILE.csv [--part PART] [--data.path PATH ...]",
        "Write class and probability of each patch: row, key, class, name, probability.",
    )
    add_data_options(parser)
    parser.add_argument("-o", "--output", type=str, default="", help="the CSV file")
    parser.add_argument("--part", type=Part, default="all", help="which part")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, data = parse_with_run(build, argv)
    if not options.output:
        raise UserError("no file for the predictions; name one with --output")
    from compactnas import pipeline
    from compactnas.runs.folder import read_config

    folder, output = Path(options.run), Path(options.output)
    config = data or read_config(folder).data
    rows = pipeline.predict(folder, config, output, part="" if options.part == "all" else options.part)
    print(f"{output}: {rows} patches")
    return 0
