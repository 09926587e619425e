"""Find the image input and the class output of an ONNX network, and how the input is laid out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from compactnas.adopted.sizes import MOST_VALUES, Sizes, sizes_of
from compactnas.errors import UserError

Layout = Literal["nchw", "nhwc"]
MOST_PX = 1024
"""Largest side of a patch in pixels."""
MOST_WINDOWS = 256
"""Largest number of windows in a batch."""
FLOATS = {1: "float32", 10: "float16", 11: "float64"}
"""Number of an element type in ONNX -> its name in numpy."""


@dataclass(frozen=True)
class ImageInput:
    """Input of a network.

    Attributes:
        name: Name in the file.
        layout: Order of the axes: `nchw` has the bands second, `nhwc` last.
        bands: Number of bands.
        patch_px: Side of a patch in pixels.
        batch: Number of windows that the file asks for; 0 for any number.
        dtype: Type of its numbers, as numpy names it.
    """

    name: str
    layout: Layout
    bands: int
    patch_px: int
    batch: int
    dtype: str

    def shape(self, windows: int) -> tuple[int, ...]:
        """Shape of a batch with this number of windows."""
        px = self.patch_px
        return (windows, self.bands, px, px) if self.layout == "nchw" else (windows, px, px, self.bands)


def find_input(model: Any, file: Path, *, bands: int, layout: Layout | None, patch_px: int) -> ImageInput:
    """Find the input of a network for images.

    Args:
        model: Parsed ONNX file.
        file: Name of the file, for messages.
        bands: Number of bands.
        layout: Order of the axes; None finds it.
        patch_px: Side of a patch; 0 takes it from the file.

    Raises:
        UserError: The network takes something else, or the file does not say enough.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name[:40] for value in inputs[:5]) or "none"
        raise UserError(f"{file}: takes {len(inputs)} inputs ({names}); export a network that takes one, the images")
    kind, name = inputs[0].type.tensor_type, inputs[0].name
    if kind.elem_type not in FLOATS:
        raise UserError(f"{file}: its input {name[:40]!r} does not take floating-point numbers; export it in float32")
    sides = [max(0, side.dim_value) for side in kind.shape.dim]
    if len(sides) != 4:
        raise UserError(
            f"{file}: its input {name[:40]!r} has {len(sides)} axes; export a network that takes images with 4 axes: "
            "batch, bands, height and width (or bands last)"
        )
    chosen = _layout(sides, file, bands, layout)
    rows, columns = sides[2:] if chosen == "nchw" else sides[1:3]
    known = {side for side in (rows, columns) if side}
    if len(known) > 1:
        raise UserError(f"{file}: takes windows of {columns} x {rows} px; only square ones can be mapped")
    if not known and not patch_px:
        raise UserError(f"{file}: takes windows of any size; give --patch-px, the side of its training patches")
    if known and patch_px not in (0, *known):
        raise UserError(f"--patch-px: {patch_px} is not the {max(known)} px that {file} takes; leave it out")
    px = max(known, default=patch_px)
    if not 1 <= px <= MOST_PX or sides[0] > MOST_WINDOWS:
        raise UserError(
            f"{file}: takes {sides[0] or 'any number of'} windows of {px} px; at most {MOST_WINDOWS} of {MOST_PX} px "
            "are possible"
        )
    return ImageInput(name, chosen, bands, px, sides[0], FLOATS[kind.elem_type])


def _layout(sides: list[int], file: Path, bands: int, asked: Layout | None) -> Layout:
    """Find the order of the axes for this number of bands; 0 stands for a side that can be anything."""
    channels: dict[Layout, int] = {"nchw": sides[1], "nhwc": sides[3]}
    across: dict[Layout, set[int]] = {"nchw": {*sides[2:]} - {0}, "nhwc": {*sides[1:3]} - {0}}
    fits: list[Layout] = [name for name in channels if channels[name] in (0, bands) and len(across[name]) <= 1]
    exact = [name for name in fits if channels[name] == bands]
    shape = " x ".join(str(side or "any") for side in sides)
    square = fits or [name for name in channels if channels[name] == bands]
    if asked is not None:
        if channels[asked] not in (0, bands):
            raise UserError(
                f"--bands: names {bands} bands, but {file} takes {channels[asked]} (its input is {shape}, read as "
                f"{asked}); name those"
            )
        return asked
    if len(exact or square) == 1:
        return (exact or square)[0]
    if fits:
        raise UserError(
            f"{file}: its input is {shape}, so either axis can be that of the bands; give --layout nchw (bands second) "
            "or --layout nhwc (bands last)"
        )
    likely = min(channels.values())
    raise UserError(
        f"--bands: names {bands} bands, but {file} takes {likely} (its input is {shape}); name those in its order"
    )


def find_output(model: Any, sizes: Sizes, file: Path, *, windows: int, classes: int, name: str) -> str:
    """Find the output with a number for each class.

    Args:
        model: Parsed ONNX file.
        sizes: Shapes of its tensors.
        file: Name of the file, for messages.
        windows: Number of windows of these shapes.
        classes: Number of classes.
        name: Name of the output; empty finds it.

    Raises:
        UserError: No output fits, or several do.
    """
    counts = {value.name: math.prod(sizes.shapes.get(value.name, (0,))) / windows for value in model.graph.output}
    said = ", ".join(f"{key[:40]} with {count:g}" for key, count in list(counts.items())[:5])
    if name and name not in counts:
        raise UserError(f"--output-name: {file} has no {name!r}; it has {said}")
    fitting = [key for key, count in counts.items() if count == classes and key in (name or key, name)]
    if len(fitting) > 1:
        raise UserError(f"{file}: has several outputs of {classes} numbers ({said}); name one with --output-name")
    if not fitting:
        given = f"{name} with {counts[name]:g}" if name else said or "none"
        raise UserError(f"--classes: names {classes} classes, but the outputs of {file} are {given}; name all in order")
    found: str = fitting[0]
    return found


def batch_of(model: Any, taken: ImageInput, output: str, classes: int, file: Path) -> int:
    """Number of windows to run at a time, so that all tensors together stay within `sizes.MOST_VALUES` values.

    It is 1 if the network takes one window only, although its input is declared for any number, or if windows of one
    batch would share the ranges of their 8-bit numbers.
    """
    if taken.batch:
        return taken.batch
    if any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.node):
        return 1
    one = sizes_of(model, taken.name, taken.shape(1), file).values
    windows = int(min(MOST_WINDOWS, MOST_VALUES // max(1, one)))
    try:
        many = sizes_of(model, taken.name, taken.shape(windows), file)
    except UserError:
        return 1
    return windows if math.prod(many.shapes.get(output, ())) == windows * classes else 1
