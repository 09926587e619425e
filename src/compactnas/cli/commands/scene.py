"""`compactnas scene`: make a scene of a place and a season from a catalogue of satellite images."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.catalogues.config import SceneConfig
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser

    parser = Parser(
        "scene",
        "PLACE --dates FIRST/LAST -o FILE.tif [options]",
        "Make a cloud-free scene of a place and a season from a catalogue (STAC API): the median of the clear pixels, "
        "as a cloud-optimised GeoTIFF in UTM that `map` and `prepare` read. PLACE is a bounding box "
        "LEFT,BOTTOM,RIGHT,TOP in degrees, a file of polygons, or a WRF domain (geo_em.*.nc). To continue after an "
        "interruption, give the same command again.",
        common=(
            *("--output", "--dates", "--catalogue", "--collection", "--bands", "--max-cloud", "--max-dates"),
            *("--pixel-m", "--composite", "--threads", "--json"),
        ),
        required=("--output", "--dates"),
        writes_file=True,
    )
    parser.add_argument("place", type=str, help="Bounding box, file of polygons, or WRF domain.")
    parser.add_argument(
        "-o", "--output", type=str, default="", help="GeoTIFF of the scene; its items are in NAME.json."
    )
    parser.add_argument("--threads", type=int, default=4, help="Number of files to read at the same time.")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_class_arguments(SceneConfig, None)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.catalogues.config import SceneConfig
    from compactnas.catalogues.place import area_of, is_box

    parser = build()
    # A box of the western hemisphere starts with a minus sign; after a space it is not taken for an option.
    words = [f" {word}" if word.startswith("-") and is_box(word) else word for word in parser.words(argv)]
    options = parser.parsed(words)
    if not options.output:
        raise UserError("no file for the scene; name one with --output")
    if not 1 <= options.threads <= 64:
        raise UserError(f"--threads: {options.threads} is not between 1 and 64")
    config = SceneConfig(**{name: options[name] for name in signature(SceneConfig).parameters})
    area, out = area_of(options.place), Path(options.output)
    from compactnas.catalogues.making import make_scene
    from compactnas.reporting.progress import Counter, RichListener

    with Counter("layers") as counter:
        about = make_scene(area, config, out, counter.at, RichListener().warn, options.threads)
    if options.json:
        import json

        print(json.dumps(about))
        return 0
    width, height = about["size"]
    print(
        f"scene: {out}, {len(about['bands'])} bands of {width} x {height} pixels ({about['crs']}), {config.composite} "
        f"of {len(about['items'])} items on {len(about['days'])} days; items: {out.with_suffix('.json')}"
    )
    return 0


COMMAND = Command(
    group="Get data ready",
    summary="make a scene of a place and a season from a catalogue",
    examples=(
        "compactnas scene 13.2,52.4,13.6,52.6 --dates 2024-05-01/2024-09-30 -o berlin.tif",
        "compactnas scene city.kml --dates 2024-06/2024-08 --catalogue planetary-computer -o city.tif",
        "compactnas scene geo_em.d04.nc --dates 2024 --max-cloud 30 -o domain.tif",
    ),
    build=build,
    run=main,
    after_stop="give the same command again to continue",
)
