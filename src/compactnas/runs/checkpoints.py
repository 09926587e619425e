"""Checkpoints of a stage: keep the last few, and load the newest readable one.

Checkpoints hold only tensors and plain values, and loading one executes no code.
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
    """Interval between checkpoints within an epoch, and the number to keep. Each epoch also ends with a checkpoint.

    Attributes:
        every_s: Seconds between checkpoints within an epoch; 0 writes them only at the end of each epoch.
        last: Number of checkpoints to keep.
    """

    every_s: float = 600.0
    last: int = 2


EACH_EPOCH = CheckpointPolicy(every_s=0.0)


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoints in a folder, named after the number of finished epochs and steps.

    Attributes:
        folder: Folder of the checkpoints.
        last: Number of checkpoints to keep.
    """

    folder: Path
    last: int

    def files(self) -> list[Path]:
        """List the files, newest first. They are sorted by name, so a clock that is set back does no harm."""
        return sorted(self.folder.glob(PATTERN), reverse=True)

    def save(self, epochs: int, steps: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint and delete the oldest ones beyond `last`."""
        buffer = BytesIO()
        torch.save(dict(state), buffer)
        write_bytes(self.folder / f"checkpoint-{epochs:06d}-{steps:09d}.pt", buffer.getvalue())
        for old in self.files()[self.last :]:
            old.unlink(missing_ok=True)

    def newest(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Load the newest readable state (None if there is no checkpoint), and list a warning for each unreadable one.

        Raises:
            UserError: There are checkpoints, but none is readable.
        """
        warnings: list[str] = []
        for file in self.files():
            try:
                return load_checkpoint(file), warnings
            except UserError as error:
                warnings.append(str(error))
        if warnings:
            raise UserError(f"{warnings[0]}; no other checkpoint is readable: delete all to start this stage again")
        return None, []


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training or search that will not go on.

    Args:
        folder: Folder of the checkpoints; it may be missing.
    """
    for file in folder.glob(PATTERN):
        file.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load the state of a stage. Nothing in the file is executed.

    Raises:
        UserError: The file is not a checkpoint of compactnas.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about the pickle protocol of a damaged file
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not {"rows", "step", "state"} <= state.keys():
            raise ValueError("the keys of a stage are missing")
    except LOAD_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a checkpoint of compactnas ({reason})") from None
    return state


LOAD_ERRORS = (
    *(OSError, RuntimeError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(MemoryError, OverflowError, pickle.UnpicklingError, struct.error),
)
"""Errors that torch raises on damaged files."""
