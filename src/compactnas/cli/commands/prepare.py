"""`compactnas prepare`: stream a set of patches into a packed set, from which batches are read at once."""

from __future__ import annotations

from pathlib import Path

from compactnas.cli.options import Parser, add_source_options
from compactnas.config import DataConfig, PixelDtype
from compactnas.errors import UserError


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "prepare",
        "SOURCE DEST [options]",
        "Stream a So2Sat file or folder, an .npz file or a folder of images into one memory-mapped set. "
        "An interrupted call goes on when it is given again.",
    )
    parser.add_argument("source", type=str, help="what to read")
    parser.add_argument("destination", type=str, help="folder to make")
    parser.add_argument("--dtype", type=PixelDtype, default="auto", help="of the stored pixels")
    add_source_options(parser)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
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
