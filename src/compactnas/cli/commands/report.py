"""`compactnas report`: write one HTML page that shows runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser

    parser = Parser(
        "report",
        "RUN [RUN ...] [-o FILE.html] [--title TEXT]",
        "Write an HTML page with the results, search curves, cells and confusion matrices of runs. It works offline.",
        writes_file=True,
    )
    parser.add_argument("runs", type=str, nargs="+", help="Folders of runs.")
    parser.add_argument("-o", "--output", type=str, default="report.html", help="HTML file.")
    parser.add_argument("--title", type=str, default="", help="Title of the page.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.reporting.run.page import write_report

    print(f"report: {write_report([Path(run) for run in options.runs], Path(options.output), options.title)}")
    return 0


COMMAND = Command(
    group="Look at results",
    summary="write an HTML page that compares runs",
    examples=(
        "compactnas report run",
        "compactnas report run0 run1 -o compare.html",
        "compactnas report run --title 'Berlin, ten bands'",
    ),
    build=build,
    run=main,
)
