"""`compactnas report`: write one HTML page that shows runs side by side, and their figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import shown

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser

    parser = Parser(
        "report",
        "RUN [RUN ...] [-o FILE.html] [--figures DIR] [--title TEXT]",
        "Write an HTML page with the results, cells, patches, calibration and search curves of runs. It works offline. "
        "With --figures, also write each figure as SVG and PDF for papers.",
        writes_file=True,
    )
    parser.add_argument("runs", type=str, nargs="+", help="Folders of runs, or folders that hold runs.")
    parser.add_argument("-o", "--output", type=str, default="report.html", help="HTML file.")
    parser.add_argument("--figures", type=str, default="", help="Folder for the figures as SVG and PDF.")
    parser.add_argument("--title", type=str, default="", help="Title of the page.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.reporting.run.page import write_report

    folders = [Path(run) for run in options.runs]
    print(f"report: {write_report(folders, Path(options.output), options.title)}")
    if options.figures:
        from compactnas.reporting.run.figure_files import write_figures

        names = write_figures(folders, Path(options.figures))
        print(shown(f"figures: {len(names)} as SVG and PDF in {options.figures}: {', '.join(names)}"))
    return 0


COMMAND = Command(
    group="Look at results",
    summary="write an HTML page that compares runs",
    examples=(
        "compactnas report run",
        "compactnas report run0 run1 -o compare.html --title 'Berlin, ten bands'",
        "compactnas report run --figures figures",
    ),
    build=build,
    run=main,
)
