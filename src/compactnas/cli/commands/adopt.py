"""`compactnas adopt`: make a network of other software usable for maps, teaching and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compactnas.cli.command import Command
from compactnas.errors import UserError, shown

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.adopted.adopting import Description
    from compactnas.cli.parser import Parser

Layout = Literal["auto", "nchw", "nhwc"]
Outputs = Literal["auto", "logits", "probabilities"]


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser

    parser = Parser(
        "adopt",
        "FILE.onnx -o DIR --bands A,B,... --classes lcz|A,B,...|FILE --scale X [options]",
        "Make a folder of an ONNX network that other software has trained, with a copy of the file and what it does "
        "not say. `map`, `evaluate`, `predict` and `--train.teachers` take the folder like a run. The network gets "
        "value / scale - offset, minus mean, divided by std.",
        required=("--output", "--bands", "--classes", "--scale"),
    )
    add = parser.add_argument
    add("file", type=str, help="ONNX file.")
    add("-o", "--output", type=str, default="", help="Folder of the adopted network.")
    add("--bands", type=str, default="", help="Names of the bands in the order of the network's input, B02,B03,...")
    add("--classes", type=str, default="", help="Classes in the order of the outputs: lcz, names, or a file of names.")
    add("--scale", type=float | None, default=None, help="Factor from the numbers that the network was trained on to "
        "reflectance: 1 for reflectance, 0.0001 for reflectance x 10000.")  # fmt: skip
    add("--offset", type=float, default=0.0, help="Offset that is added to these numbers before scaling, as for `map`.")
    add("--mean", type=tuple[float, ...], default=(), help="Mean of each band that is subtracted from these numbers.")
    add("--std", type=tuple[float, ...], default=(), help="Standard deviation of each band that then divides them.")
    add("--normalise", type=str, default="", metavar="FILE", help="JSON file with mean and std, in place of both.")
    add("--layout", type=Layout, default="auto", help="Axes of the input: nchw has bands second, nhwc last.")
    add("--output-name", type=str, default="", help="Name of the output with the classes, if several fit.")
    add("--outputs", type=Outputs, default="auto", help="Kind of the outputs; a softmax is added to logits.")
    add("--pixel-m", type=float | None, default=None, help="Side of a pixel of its training data in metres.")
    add("--patch-px", type=int, default=0, help="Side of a patch in pixels, if the file takes any size.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    if not options.output:
        raise UserError("no folder for the network; name one with --output")
    described = describe(options)
    from compactnas.adopted.adopting import adopt

    for note in adopt(Path(options.file), Path(options.output), described):
        print(shown(note))
    print(f"adopted: {options.output}; next: compactnas map {options.output} scene.tif -o map")
    return 0


def describe(options: Namespace) -> Description:
    """Build the description of the network from the options."""
    from compactnas.adopted.adopting import Description
    from compactnas.adopted.describing import bands_of, classes_of, normalisation_of
    from compactnas.config.reading import Reading

    Reading(scale=options.scale, offset=options.offset, pixel_m=options.pixel_m)  # checks the numbers
    if options.patch_px < 0:
        raise UserError(f"--patch-px: {options.patch_px} is negative; give the side of a patch in pixels")
    bands = bands_of(options.bands)
    classes, lcz = classes_of(options.classes)
    if options.scale is None:
        raise UserError(
            "--scale: is needed; give 1 for a network trained on reflectance from 0 to 1, and 0.0001 for one trained "
            "on reflectance x 10000"
        )
    mean, std = normalisation_of(options.normalise, options.mean, options.std, bands)
    return Description(
        bands=bands,
        classes=classes,
        lcz=lcz,
        scale=options.scale,
        offset=options.offset,
        mean=mean,
        std=std,
        layout=options.layout,
        output=options.output_name,
        outputs=options.outputs,
        pixel_m=options.pixel_m,
        patch_px=options.patch_px,
    )


COMMAND = Command(
    group="Use a network",
    summary="use a network of other software (ONNX)",
    examples=(
        "compactnas adopt model.onnx -o theirs --bands B02,B03,B04,B08 --classes lcz --scale 0.0001",
        "compactnas adopt model.onnx -o theirs --bands B04,B03,B02 --classes names.txt --scale 1 --layout nhwc",
        "compactnas adopt model.onnx -o theirs --bands B02,B03 --classes sea,land --scale 1 --mean 0.1,0.2 --std 1,1",
    ),
    build=build,
    run=main,
)
