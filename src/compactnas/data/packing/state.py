"""Progress of a preparation, on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from compactnas.data.normalization import Moments
from compactnas.data.packing.encoding import Encoding


@dataclass(frozen=True)
class State:
    """Progress of a preparation.

    Attributes:
        fingerprint: Fingerprint of the source and of the options.
        encoding: Encoding of the pixels.
        rows: Number of finished patches.
        checksum: Checksum of the pixel file up to that row; resuming relies on it alone.
        error: Largest rounding error so far.
        moments: Moments of the patches so far.
    """

    fingerprint: str
    encoding: Encoding
    rows: int
    checksum: str
    error: float
    moments: Moments

    @classmethod
    def load(cls, file: Path) -> State | None:
        """Load the state of an interrupted preparation; None if there is no readable one."""
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            encoding, moments = Encoding(**raw.pop("encoding")), Moments(**raw.pop("moments"))
            return cls(encoding=encoding, moments=moments, **raw)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
