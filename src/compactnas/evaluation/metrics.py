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
    """Compute recall, precision and F1 of each class from a confusion matrix (true, predicted), or from many."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
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
    assert confusion.ndim == 2, confusion.shape
    found = {name: float(values[0]) for name, values in measure_many(confusion[None], lcz).items()}
    zones = {name: None if np.isnan(found.get(name, np.nan)) else found[name] for name in ZONES}
    return Measures(
        oa=found["oa"],
        aa=found["aa"],
        kappa=found["kappa"],
        macro_f1=found["macro_f1"],
        classes_present=int(found["classes_present"]),
        classes=len(confusion),
        **zones,
    )


def measure_many(confusions: NDArray[np.int64], lcz: bool) -> dict[str, NDArray[np.float64]]:
    """Compute all measures of many confusion matrices at once, with the same numbers as one by one.

    Args:
        confusions: Number of patches, (matrix, true, predicted).
        lcz: Whether the classes are the 17 Local Climate Zones in their order.

    Returns:
        Name of each measure of `Measures` but `classes` -> its values, (matrix,); NaN where there is no patch to count.

    Raises:
        UserError: A matrix is empty.
    """
    assert confusions.ndim == 3 and confusions.shape[1] == confusions.shape[2], confusions.shape
    assert confusions.min(initial=0) >= 0, "a count is negative"
    assert not lcz or confusions.shape[1] == len(facts.CLASSES), confusions.shape
    total = confusions.sum(axis=(1, 2))
    if not total.all():
        raise UserError("evaluate: no patch was evaluated; choose a part that has patches")
    each = class_measures(confusions)
    present = each.support > 0
    oa = _hits(confusions) / total
    chance = (each.support.astype(np.float64) * each.predicted).sum(axis=1) / total.astype(np.float64) ** 2
    certain = chance == 1
    found = {
        "oa": oa,
        "aa": _mean_of_present(each.recall, present),
        "kappa": np.where(certain, 1.0, (oa - chance) / np.where(certain, 1.0, 1 - chance)),
        "macro_f1": _mean_of_present(each.f1, present),
        "classes_present": present.sum(axis=1).astype(np.float64),
    }
    return found | (_zone_measures(confusions, total) if lcz else {})


ZONES = ("oa_weighted", "oa_urban", "oa_built_natural", "accuracy_on_built")
"""Measures of Local Climate Zones alone."""
SIMILARITY = np.array(facts.SIMILARITY)


def _zone_measures(confusions: NDArray[np.int64], total: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    built = facts.BUILT
    rest = np.delete(np.delete(confusions, facts.BARE_ROCK, axis=1), facts.BARE_ROCK, axis=2)
    block, rows = confusions[:, :built, :built], confusions[:, :built]
    same = rest[:, :built, :built].sum(axis=(1, 2)) + rest[:, built:, built:].sum(axis=(1, 2))
    return {
        "oa_weighted": _share((SIMILARITY * confusions).sum(axis=(1, 2)), 12 * total),
        "oa_urban": _share(_hits(block), block.sum(axis=(1, 2))),
        "oa_built_natural": _share(same, rest.sum(axis=(1, 2))),
        "accuracy_on_built": _share(_hits(rows), rows.sum(axis=(1, 2))),
    }


def _hits(confusions: NDArray[np.int64]) -> NDArray[np.int64]:
    hits: NDArray[np.int64] = np.diagonal(confusions, axis1=1, axis2=2).sum(axis=1)
    return hits


def _mean_of_present(values: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average each row over the classes present; rows with the same classes together, so that sums round alike."""
    means = np.full(len(values), np.nan)
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = which.reshape(-1) == number
        means[rows] = np.ascontiguousarray(values[rows][:, pattern]).mean(axis=1)
    return means


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
