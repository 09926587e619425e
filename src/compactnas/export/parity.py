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
"""Largest difference of a probability that a float32 file may show: rounding in another order."""

BATCH = 256

Answers = Float32[np.ndarray, "patches classes"]
Ask = Callable[[np.ndarray], np.ndarray]
"""Class probabilities of raw patches."""


@dataclass(frozen=True)
class FileAgreement:
    """One file's answers beside the network's.

    Attributes:
        largest_difference: Largest difference of a probability.
        mean_difference: Mean difference of a probability.
        same_class: share of the patches with the same most probable class.
        oa: overall accuracy of the file's answers; None where there are no labels.
    """

    largest_difference: float
    mean_difference: float
    same_class: float
    oa: float | None

    @classmethod
    def of(cls, found: Answers, expected: Answers, labels: Int64[np.ndarray, " patches"] | None) -> FileAgreement:
        """Compare answers of the same patches."""
        apart, chosen = np.abs(found - expected), found.argmax(1)
        return cls(
            largest_difference=float(apart.max()),
            mean_difference=float(apart.mean()),
            same_class=float((chosen == expected.argmax(1)).mean()),
            oa=None if labels is None else float((chosen == labels).mean()),
        )


@dataclass(frozen=True)
class Rows:
    """Patches that something was measured on.

    Attributes:
        part: Part of the data; `made` if random patches were used.
        n: how many.
    """

    part: str
    n: int


@dataclass(frozen=True)
class Quantisation:
    """How the 8-bit file was made.

    Attributes:
        method: that was kept.
        calibrated_on: patches that the ranges of activations were measured on.
        chosen_on: patches that the method was chosen on: that with the smallest mean difference.
        tried: method -> its agreement there.
    """

    method: str
    calibrated_on: Rows
    chosen_on: Rows
    tried: dict[str, FileAgreement]


@dataclass(frozen=True)
class Parity:
    """Measurements made while a network was exported.

    Attributes:
        data: name of the data.
        rows: patches of the comparison.
        oa: overall accuracy of the network itself there; None where there are no labels.
        files: name -> agreement.
        int8: how the 8-bit file was made, None without an 8-bit file.
    """

    data: str
    rows: Rows
    oa: float | None
    files: dict[str, FileAgreement] = field(default_factory=dict)
    int8: Quantisation | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self) | {"limit": LIMIT}


def answers(asked: Mapping[str, Ask], source: Source, rows: Indices, done: Callable[[int], None]) -> dict[str, Answers]:
    """Class probabilities of these rows from each of several files, each patch read once.

    Args:
        asked: name -> who is asked.
        source: where the patches are.
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

    Errors:
        UserError: A file gives other probabilities than the network.
    """
    for name, agreement in files.items():
        limit = tolerances[name]
        if limit is not None and not agreement.largest_difference <= limit:  # NaN fails too
            raise UserError(
                f"{name}: its probabilities differ from the network's by up to {agreement.largest_difference:.2g} "
                f"(at most {limit:g} is rounding); nothing was exported, so check the run with `compactnas evaluate`"
            )
