"""A stage's whole state on disk: the last few, each whole, of which the newest that can be read is taken.

Checkpoints hold tensors and plain values only and are read as such.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes

PATTERN = "checkpoint-*.pt"


@dataclass(frozen=True)
class CheckpointPolicy:
    """When checkpoints are written, besides the end of each epoch, and how many are kept.

    Attributes:
        every_s: Seconds between checkpoints within an epoch; 0 writes them at the ends of epochs only.
        last: Number of checkpoints to keep.
    """

    every_s: float = 600.0
    last: int = 2


EACH_EPOCH = CheckpointPolicy(every_s=0.0)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints in a folder, named by the epochs and steps that are done.

    Attributes:
        folder: where they are.
        last: how many are kept.
    """

    folder: Path
    last: int

    def files(self) -> list[Path]:
        """The newest first, by their names: a clock that is set back changes nothing."""
        return sorted(self.folder.glob(PATTERN), reverse=True)

    def save(self, epochs: int, steps: int, state: Mapping[str, Any]) -> None:
        """Store a state, then let go of those that are too many."""
        buffer = BytesIO()
        torch.save(dict(state), buffer)
        write_bytes(self.folder / f"checkpoint-{epochs:06d}-{steps:09d}.pt", buffer.getvalue())
        for old in self.files()[self.last :]:
            old.unlink(missing_ok=True)

    def newest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest state that can be read, None if there is no file; and a warning for each that cannot.

        Errors:
            UserError: there are files, and none can be read.
        """
        warnings: list[str] = []
        for file in self.files():
            try:
                return load_checkpoint(file), warnings
            except UserError as error:
                warnings.append(str(error))
        if warnings:
            raise UserError(f"{warnings[0]}; no other one can be read: remove them to start this stage again")
        return None, []


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A stage's whole state. Nothing in it is executed.

    Errors:
        UserError: the file is not a checkpoint of ours.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged file's odd protocol
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not {"rows", "step", "state"} <= state.keys():
            raise ValueError("holds no state of a stage")
    except LOAD_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a checkpoint of ours ({reason})") from None
    return state


LOAD_ERRORS = (
    *(OSError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(MemoryError, OverflowError, pickle.UnpicklingError, struct.error),
)
"""What torch raises on a damaged file, depending on where the damage is."""
