"""`compactnas synth`: make a world of Local Climate Zones."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser
from compactnas.errors import UserError


def build() -> Parser:
    """The command's options: those of `compactnas.synthetic.write_world`."""
    from compactnas.synthetic import write_world

    parser = Parser(
        "synth",
        "--output DIR [options]",
        "Draw cities as Sentinel-2 would see them, and write their patches in So2Sat's own layout.",
    )
    parser.add_argument("-o", "--output", type=str, default="", help="folder to make")
    parser.add_function_arguments(write_world, None, skip={"path", "progress"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv)).as_dict()
    out = options.pop("out")
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
    print(f"made: {out}, {cities} cities; next: compactnas run --data.path {out} --recipe quick --output RUN")
    return 0
