"""Read JPEG and PNG files of one size as 8-bit RGB."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.data.checks import require_patch
from compactnas.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png"}
# Modes that convert to 8-bit RGB without loss; 16-bit and float pixels would be clipped.
MODES = {"RGB", "RGBA", "P", "L"}


class Pictures:
    """Reader of JPEG and PNG patches; implements `folder.Reader`."""

    bands = ("R", "G", "B")
    dtype = np.dtype(np.uint8)
    notes = ()

    def __init__(self, first: Path) -> None:
        with _opened(first) as image:
            if image.width != image.height:
                raise UserError(f"{first}: is {image.width} x {image.height} pixels; patches must be square")
            require_patch(image.width, len(self.bands), str(first))
            self.pixels = image.width

    def read(self, file: Path) -> NDArray[np.uint8]:
        """Read the pixels of a file, (band, row, column)."""
        with _opened(file) as image:
            # The size is compared before anything is decoded, so a huge image costs nothing.
            if image.size != (self.pixels, self.pixels):
                side = self.pixels
                raise UserError(f"{file}: is {image.width} x {image.height} pixels, the first image {side} x {side}")
            if image.mode not in MODES:
                raise UserError(f"{file}: pixels of mode {image.mode} are not 8-bit colour; convert it to RGB")
            try:
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
            except (OSError, SyntaxError, ValueError, MemoryError, struct.error) as error:
                raise UserError(f"{file}: is damaged or cut short ({error}); replace or remove it") from error

    def footprints(self, files: list[Path]) -> None:
        """Return None: these files have no coordinates."""


def _opened(file: Path) -> Image.Image:
    """Open an image and read its header, without decoding pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file, formats=("JPEG", "PNG"))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f"{file}: is too large for a patch; cut it into patches of one size") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(f"{file}: cannot be read as a JPEG or PNG image; replace or remove it") from error
