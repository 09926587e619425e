"""`compactnas synth`: make a synthetic world of Local Climate Zones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser, with the options of `compactnas.synthetic.write_world`."""
    from compactnas.cli.parser import Parser
    from compactnas.synthetic import write_world

    parser = Parser(
        "synth",
        "-o DIR [options]",
        "Draw synthetic cities as Sentinel-2 would see them, and write their patches in the layout of So2Sat.",
        required=("--output",),
    )
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the world.")
    parser.add_function_arguments(write_world, None, skip={"path", "progress"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv)).as_dict()
    out = options.pop("output")
    if not out:
        raise UserError("no folder for the world; name one with --output")
    from compactnas.reporting.progress import RichListener
    from compactnas.synthetic import write_world

    listener = RichListener()
    cities = options["cities"] + options["test_cities"]
    listener.start("cities", 1, cities)
    try:
        write_world(Path(out), **options, progress=lambda name, done, total: listener.step({}))
    finally:
        listener.end()
    print(f"made: {out}, {cities} cities; next: compactnas run --data.path {out} --recipe quick -o RUN")
    return 0


COMMAND = Command(
    group="Try it",
    summary="make a synthetic world of Local Climate Zones",
    examples=(
        "compactnas synth -o world",
        "compactnas synth -o world --cities 12 --test-cities 9 --patches 4000",
        "compactnas synth -o world --scenes --seed 3",
    ),
    build=build,
    run=main,
)
