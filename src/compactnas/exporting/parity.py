"""Parity: compare the predictions of an export's files with those of the network, on real patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from compactnas.data import Indices, Source
from compactnas.errors import UserError

LIMIT = 1e-4
"""Largest allowed difference of a probability in a float32 file, from rounding in another order."""

BATCH = 256

Answers = Float32[np.ndarray, "patches classes"]
Ask = Callable[[np.ndarray], np.ndarray]
"""Function from raw patches to class probabilities."""


@dataclass(frozen=True)
class FileAgreement:
    """Agreement of one file's probabilities with the network's.

    Attributes:
        largest_difference: Largest difference of a probability.
        mean_difference: Mean difference of a probability.
        same_class: Share of the patches with the same most probable class.
        oa: Overall accuracy of the file; None without labels.
    """

    largest_difference: float
    mean_difference: float
    same_class: float
    oa: float | None

    @classmethod
    def of(cls, found: Answers, expected: Answers, labels: Int64[np.ndarray, " patches"] | None) -> FileAgreement:
        """Compare probabilities of the same patches."""
        apart, chosen = np.abs(found - expected), found.argmax(1)
        return cls(
            largest_difference=float(apart.max()),
            mean_difference=float(apart.mean()),
            same_class=float((chosen == expected.argmax(1)).mean()),
            oa=None if labels is None else float((chosen == labels).mean()),
        )


@dataclass(frozen=True)
class Rows:
    """Patches of a measurement.

    Attributes:
        part: Part of the data; `made` if random patches were used.
        n: Number of patches.
    """

    part: str
    n: int


@dataclass(frozen=True)
class Quantisation:
    """How the 8-bit file was made.

    Attributes:
        method: Chosen calibration method.
        calibrated_on: Patches for the ranges of activations.
        chosen_on: Patches for the choice of the method, the one with the smallest mean difference on them.
        tried: Each method -> its agreement on these patches.
    """

    method: str
    calibrated_on: Rows
    chosen_on: Rows
    tried: dict[str, FileAgreement]


@dataclass(frozen=True)
class Parity:
    """Measurements made while a network was exported.

    Attributes:
        data: Name of the data; empty without data.
        rows: Patches of the comparison.
        oa: Overall accuracy of the network on them; None without labels.
        files: Name of each file -> its agreement.
        int8: How the 8-bit file was made; None without one.
    """

    data: str
    rows: Rows
    oa: float | None
    files: dict[str, FileAgreement] = field(default_factory=dict)
    int8: Quantisation | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all measurements as JSON values."""
        return asdict(self) | {"limit": LIMIT}


def answers(asked: Mapping[str, Ask], source: Source, rows: Indices, done: Callable[[int], None]) -> dict[str, Answers]:
    """Compute the class probabilities of these rows with several files, reading each patch once.

    Args:
        asked: Name of each file -> function that computes its probabilities.
        source: Source of the patches.
        rows: Rows of the patches.
        done: Function that receives the number of finished patches.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in asked}
    for start in range(0, len(rows), BATCH):
        patches = np.asarray(source.batch(rows[start : start + BATCH])[0], np.float32)
        for name, ask in asked.items():
            found[name].append(ask(patches))
        done(len(patches))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def require_parity(files: Mapping[str, FileAgreement], tolerances: Mapping[str, float | None]) -> None:
    """Check that the probabilities of each file are those of the network, within the tolerance of its format.

    Args:
        files: Agreement of each file.
        tolerances: Largest allowed difference by file; None for a file that is not checked.

    Raises:
        UserError: The probabilities of a file differ too much from the network's.
    """
    for name, agreement in files.items():
        limit = tolerances[name]
        if limit is not None and not agreement.largest_difference <= limit:  # NaN fails too
            raise UserError(
                f"{name}: its probabilities differ from the network's by up to {agreement.largest_difference:.2g} "
                f"(at most {limit:g} is rounding); nothing was exported; check the run with `compactnas evaluate`"
            )
