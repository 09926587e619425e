"""`compactnas prepare`: convert patches to a packed set, from which batches are read fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import PATCHES, add_source_options
    from compactnas.cli.parser import Parser
    from compactnas.config import PixelDtype

    parser = Parser(
        "prepare",
        "SOURCE DESTINATION [--dtype DTYPE] [options]",
        "Convert patches to a packed set: memory-mapped files from which batches are read fast. To continue after an "
        "interruption, give the same command again.",
    )
    parser.add_argument("source", type=str, help=PATCHES)
    parser.add_argument("destination", type=str, help="Folder of the packed set.")
    parser.add_argument("--dtype", type=PixelDtype, default="auto", help="Data type of the stored pixels.")
    add_source_options(parser)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.config import DataConfig

    parser = build()
    options = parser.parsed(parser.words(argv))
    if not options.destination:
        raise UserError("no folder for the packed set; name one after the source")
    from compactnas.data.packing.pack import prepare
    from compactnas.reporting.progress import Counter

    config = DataConfig(path=options.source, **options.data.as_dict())
    with Counter("patches") as counter:
        folder = prepare(config, Path(options.destination), options.dtype, counter.at)
    from compactnas.io.atomic import read_json

    about = read_json(folder / "manifest.json", "make it again")
    side = about["patch_px"]
    print(
        f"packed: {folder}, {about['patches']} patches of {len(about['bands'])} x {side} x {side}, {about['dtype']}, "
        f"largest rounding error {about['largest_rounding_error']:.1e}"
    )
    return 0


COMMAND = Command(
    group="Get data ready",
    summary="convert patches to a packed set that is read fast",
    examples=(
        "compactnas prepare so2sat packed",
        "compactnas prepare so2sat packed --dtype uint16 --data.sensor both",
        "compactnas prepare images packed --data.downsample 2",
    ),
    build=build,
    run=main,
    after_stop="give the same command again to continue",
)
