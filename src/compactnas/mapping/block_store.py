"""Store the finished blocks of a map, one file per block; a missing file is a block to compute."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.io.sole_writer import remove_workplace
from compactnas.mapping.blocks import Accepted
from compactnas.mapping.classify import BlockProbabilities

STEPS = 10_000
"""Number of steps of a stored probability, a 16-bit integer; finer than the precision of a network."""
NO_CELL = 65_535
"""Stored value for a cell without probabilities."""

NUMBER = np.dtype("<u2")
"""Number format of a block's file, which holds only the probabilities of each cell, row by row."""

ABOUT = "about.json"

Numbers = UInt16[np.ndarray, "rows columns classes"]


def in_steps(probabilities: BlockProbabilities, accepted: Accepted) -> Numbers:
    """Convert probabilities to whole numbers of steps (`STEPS`); cells that are not accepted get `NO_CELL`."""
    numbers: Numbers = np.rint(probabilities * STEPS).astype(np.uint16)
    numbers[~accepted] = NO_CELL
    return numbers


class BlockStore:
    """The finished blocks of one map, in their own folder.

    Args:
        folder: Folder of the blocks.
        shapes: Rows and columns of each block.
        classes: Number of classes of the network.
    """

    def __init__(self, folder: Path, shapes: list[tuple[int, int]], classes: int) -> None:
        self._folder, self._shapes, self._classes = folder, shapes, classes

    def claim(self, fingerprint: str, about: dict[str, str]) -> None:
        """Reserve the folder for one map, or check that it belongs to this map.

        Args:
            fingerprint: Hash of model, scenes and options together.
            about: Hash of each of them by name, for the error message.

        Raises:
            UserError: The folder holds blocks of another map.
        """
        file = self._folder / ABOUT
        if not file.exists():
            write_json(file, {"fingerprint": fingerprint, "of": about})
            return
        before = read_json(file, f"remove {self._folder} to start again")
        if isinstance(before, dict) and before.get("fingerprint") == fingerprint:
            return
        of = before.get("of") if isinstance(before, dict) else None
        differs = [name for name, value in about.items() if not isinstance(of, dict) or of.get(name) != value]
        raise UserError(
            f"{self._folder}: holds part of a map of another {' and '.join(differs) or 'version'}; use the same again, "
            "remove the folder, or name another with --output"
        )

    def missing(self) -> list[int]:
        """Numbers of the blocks that are not finished."""
        return [number for number in range(len(self._shapes)) if self._read(number) is None]

    def any(self) -> bool:
        """Check whether a block is finished."""
        return any(self._file(number).exists() for number in range(len(self._shapes)))

    def put(self, number: int, probabilities: Numbers) -> None:
        """Store the probabilities of a block, as converted by `in_steps`."""
        write_bytes(self._file(number), probabilities.astype(NUMBER, copy=False).tobytes())

    def get(self, number: int) -> Numbers:
        """Load the probabilities of a finished block, in steps (`STEPS`); `NO_CELL` for a cell without any."""
        found = self._read(number)
        assert found is not None, "blocks are loaded after all of them are finished"
        return found

    def remove(self) -> None:
        """Remove the folder and its contents."""
        remove_workplace(self._folder)

    def _file(self, number: int) -> Path:
        return self._folder / f"block_{number:06d}.u16"

    def _read(self, number: int) -> NDArray[np.uint16] | None:
        shape, file = (*self._shapes[number], self._classes), self._file(number)
        if not file.is_file() or file.stat().st_size != NUMBER.itemsize * math.prod(shape):
            return None
        return np.fromfile(file, NUMBER).astype(np.uint16, copy=False).reshape(shape)
