"""Accuracy measures, computed from a confusion matrix (rows true, columns predicted).

All of them follow from the confusion matrix. It sums over batches and devices without rounding, and is kept in the
run folder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compactnas import lcz as facts
from compactnas.errors import UserError
from compactnas.registry import DRAWINGS


@dataclass(frozen=True)
class Measures:
    """Accuracy on one part. All measures are fractions; kappa may be negative.

    Attributes:
        oa: Overall accuracy (OA).
        aa: Average accuracy (AA): mean recall of the classes present.
        kappa: Cohen's kappa: accuracy above that expected by chance from the same marginals. 1 if there is
            a single class in truth and prediction (0/0).
        macro_f1: Mean F1 score of the classes present.
        classes_present: Number of classes with at least one true patch, over which `aa` and `macro_f1` average.
        classes: Number of classes of the model.
        oa_weighted: Weighted accuracy (OAw): errors weighted by the similarity of the two LCZ (WUDAPT).
        oa_urban: Accuracy (OAu) among the patches that are built in truth and in prediction.
        oa_built_natural: Accuracy of built against natural (OAbu), without LCZ E in truth or prediction.
        accuracy_on_built: Accuracy of the patches that are built in truth. Deep-learning papers call this "OAbu".

    The last four are None if the classes are not LCZ, or if there is no patch to count.
    """

    oa: float
    aa: float
    kappa: float
    macro_f1: float
    classes_present: int
    classes: int
    oa_weighted: float | None = None
    oa_urban: float | None = None
    oa_built_natural: float | None = None
    accuracy_on_built: float | None = None

    def _repr_html_(self) -> str:
        """Show the measures as a table in a notebook."""
        return DRAWINGS["measures"](self)


@dataclass(frozen=True)
class ClassMeasures:
    """Accuracy of each class, as arrays of shape (class,).

    Attributes:
        support: Number of true patches.
        predicted: Number of predicted patches.
        recall: Share of the true patches that are predicted right; NaN for a class without true patches.
        precision: Share of the predicted patches that are right; NaN for a class that is never predicted.
        f1: Harmonic mean of recall and precision; 0 if one of them is NaN, NaN if both are.
    """

    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    f1: NDArray[np.float64]


def class_measures(confusion: NDArray[np.int64]) -> ClassMeasures:
    """Compute recall, precision and F1 of each class from a confusion matrix (true, predicted)."""
    hits, support, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassMeasures(
        support=support,
        predicted=predicted,
        recall=_share(hits, support),
        precision=_share(hits, predicted),
        f1=_share(2 * hits, support + predicted),
    )


def confusion_measures(confusion: NDArray[np.int64], lcz: bool) -> Measures:
    """Compute all measures from a confusion matrix.

    Args:
        confusion: Number of patches, (true, predicted).
        lcz: Whether the classes are the 17 Local Climate Zones in their order. Adds OAw, OAu, OAbu
            and the accuracy on built classes (Bechtel et al. 2017, doi:10.3390/urbansci1020015).

    Raises:
        UserError: The matrix is empty.
    """
    assert confusion.ndim == 2 and confusion.shape[0] == confusion.shape[1], confusion.shape
    assert confusion.min(initial=0) >= 0, "a count is negative"
    assert not lcz or len(confusion) == len(facts.CLASSES), confusion.shape
    total = int(confusion.sum())
    if total == 0:
        raise UserError("evaluate: no patch was evaluated; choose a part that has patches")
    each = class_measures(confusion)
    present = each.support > 0
    oa = float(np.trace(confusion) / total)
    chance = float(each.support.astype(np.float64) @ each.predicted / total**2)
    return Measures(
        oa=oa,
        aa=float(each.recall[present].mean()),
        kappa=1.0 if chance == 1 else (oa - chance) / (1 - chance),
        macro_f1=float(each.f1[present].mean()),
        classes_present=int(present.sum()),
        classes=len(confusion),
        oa_weighted=_ratio((np.array(facts.SIMILARITY) * confusion).sum(), 12 * total) if lcz else None,
        oa_urban=_urban(confusion) if lcz else None,
        oa_built_natural=_built_natural(confusion) if lcz else None,
        accuracy_on_built=_on_built(confusion) if lcz else None,
    )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _ratio(part: np.int64, whole: int | np.int64) -> float | None:
    return float(part / whole) if whole else None


def _urban(confusion: NDArray[np.int64]) -> float | None:
    block = confusion[: facts.BUILT, : facts.BUILT]
    return _ratio(np.trace(block), block.sum())


def _built_natural(confusion: NDArray[np.int64]) -> float | None:
    rest = np.delete(np.delete(confusion, facts.BARE_ROCK, axis=0), facts.BARE_ROCK, axis=1)
    built, natural = rest[: facts.BUILT, : facts.BUILT], rest[facts.BUILT :, facts.BUILT :]
    return _ratio(built.sum() + natural.sum(), rest.sum())


def _on_built(confusion: NDArray[np.int64]) -> float | None:
    rows = confusion[: facts.BUILT]
    return _ratio(np.trace(rows), rows.sum())
