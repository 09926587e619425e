"""`compactnas report`: write one HTML page that shows runs side by side."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "report",
        "RUN [RUN ...] [--output FILE.html] [--title TEXT]",
        "Write one HTML page of results, search curves, found cells and confusion matrices; it needs no network.",
    )
    parser.add_argument("runs", type=str, nargs="+", help="folders of runs")
    parser.add_argument("-o", "--output", type=str, default="report.html", help="the page")
    parser.add_argument("--title", type=str, default="", help="of the page")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    from compactnas.reporting import write_report

    print(f"report: {write_report([Path(run) for run in options.runs], Path(options.output), options.title)}")
    return 0
