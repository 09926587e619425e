"""`compactnas inspect`: describe a set of patches."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import shown

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.data.inspection import Look

MOST_SHOWN = 60
"""Largest number of classes or groups to print; `--json` has all."""


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON, PATCHES, add_source_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "inspect",
        "PATH [--mosaic FILE.png] [--json] [options]",
        "Describe a set of patches: number of patches by class and group, statistics of the bands, warnings about "
        "unusual values, and a mosaic.",
    )
    parser.add_argument("path", type=str, help=PATCHES)
    parser.add_argument("--mosaic", type=str, default="", help="Write an image with a row of patches for each class.")
    parser.add_argument("--json", action="store_true", help=JSON)
    add_source_options(parser)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.config import DataConfig

    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.data import open_streamed
    from compactnas.data.formats import FORMATS, format_of
    from compactnas.data.inspection import look, mosaic
    from compactnas.io.atomic import write_bytes

    config = DataConfig(path=options.path, **options.data.as_dict())
    source = open_streamed(config)
    verify = FORMATS[format_of(config)].verify
    verified = verify(config) if verify else ""
    seen = look(source)
    if options.mosaic:
        buffer = BytesIO()
        mosaic(source).save(buffer, "PNG")
        write_bytes(Path(options.mosaic), buffer.getvalue())
    if options.json:
        print(json.dumps(seen.to_json(), indent=2))
        return 0
    _show(seen)
    if verified:
        print(verified)
    if options.mosaic:
        print(f"mosaic: {options.mosaic}")
    return 0


def _show(seen: Look) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, facts = Console(), seen.facts
    side = facts.patch_px
    console.print(
        Text(f"{shown(facts.name)}: {len(facts.labels)} patches of {len(facts.bands)} x {side} x {side}, {seen.dtype}")
    )
    table = Table("band", *("mean", "std", "min", "max"), title=f"bands, over {seen.sampled} patches")
    for band, values in seen.bands.items():
        table.add_row(Text(shown(band)), *(f"{values[key]:.4g}" for key in ("mean", "std", "min", "max")))
    console.print(table)
    for title, counts in (("class", seen.classes), ("group", seen.groups), ("part", seen.parts)):
        if counts:
            groups = seen.class_groups if title == "class" else {}
            table = Table(title, "patches", *(["groups"] if groups else []))
            for name, count in list(counts.items())[:MOST_SHOWN]:
                table.add_row(Text(shown(name)), str(count), *([str(groups[name])] if groups else []))
            if len(counts) > MOST_SHOWN:
                table.add_row(f"and {len(counts) - MOST_SHOWN} more", str(sum(list(counts.values())[MOST_SHOWN:])))
            console.print(table)
    for warning in seen.warnings:
        console.print(Text(f"warning: {shown(warning)}", style="yellow"))


COMMAND = Command(
    group="Get data ready",
    summary="describe a set of patches",
    examples=(
        "compactnas inspect training.h5",
        "compactnas inspect patches.npz --mosaic mosaic.png",
        "compactnas inspect images --data.downsample 2 --json",
    ),
    build=build,
    run=main,
)
