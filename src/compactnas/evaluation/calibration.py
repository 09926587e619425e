"""Calibration: how often predictions of a given confidence are right, and the temperature that corrects it.

Only NumPy and SciPy are imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

BINS = 15
"""Number of bins of confidence, as in Guo et al. 2017."""
DIGITS = 6
"""Decimals in files: the last digits of a confidence depend on the batches."""
COOLEST, HOTTEST = 0.05, 20.0
"""Limits of a fitted temperature. The best one of a network that is always right is 0."""


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy by bin of confidence. The bins have equal widths and cover 0 to 1.

    The confidence of a prediction is the probability of the predicted class.

    Attributes:
        patches: Number of patches in each bin.
        confidence: Mean confidence in each bin; 0 if it is empty.
        accuracy: Share of right predictions in each bin; 0 if it is empty.
    """

    patches: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @classmethod
    def of(
        cls, confidence: Float[np.ndarray, " patches"], right: Bool[np.ndarray, " patches"], bins: int = BINS
    ) -> Reliability:
        """Sort predictions into bins. A confidence on the edge of two bins counts in the lower one."""
        at = np.clip(np.ceil(confidence.astype(np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
        patches = np.bincount(at, minlength=bins)
        filled = np.maximum(patches, 1)
        mean = np.bincount(at, weights=confidence.astype(np.float64), minlength=bins) / filled
        share = np.bincount(at, weights=right.astype(np.float64), minlength=bins) / filled
        return cls(tuple(patches.tolist()), tuple(mean.tolist()), tuple(share.tolist()))

    @property
    def ece(self) -> float:
        """Expected calibration error: mean difference of confidence and accuracy, weighted by patches.

        Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
        """
        gaps = np.abs(np.subtract(self.confidence, self.accuracy))
        return float(np.dot(self.patches, gaps) / max(sum(self.patches), 1))

    @property
    def mean_confidence(self) -> float:
        """Mean confidence of all predictions."""
        return float(np.dot(self.patches, self.confidence) / max(sum(self.patches), 1))

    def to_json(self) -> dict[str, Any]:
        """Reliability as JSON values."""
        return {
            "ece": round(self.ece, DIGITS),
            "patches": list(self.patches),
            "confidence": [round(value, DIGITS) for value in self.confidence],
            "accuracy": [round(value, DIGITS) for value in self.accuracy],
        }

    @classmethod
    def from_json(cls, raw: Any) -> Reliability:
        """Check a reliability from JSON values.

        Raises:
            KeyError, TypeError, ValueError: The values are no reliability.
        """
        found = cls(
            tuple(map(int, raw["patches"])), tuple(map(float, raw["confidence"])), tuple(map(float, raw["accuracy"]))
        )
        if not len(found.patches) == len(found.confidence) == len(found.accuracy) or min(found.patches, default=0) < 0:
            raise ValueError("the bins of its reliability do not fit each other")
        if not all(0 <= share <= 1 for share in (*found.confidence, *found.accuracy)):
            raise ValueError("a share of its reliability is not between 0 and 1")
        return found


def negative_log_likelihood(
    logits: Float[np.ndarray, "patches classes"], labels: Int[np.ndarray, " patches"], temperature: float = 1.0
) -> float:
    """Mean negative log-likelihood of the true classes, with the logits divided by a temperature."""
    from scipy.special import log_softmax

    scores: NDArray[np.float64] = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Float[np.ndarray, "patches classes"], labels: Int[np.ndarray, " patches"]) -> float:
    """Find the temperature with the smallest negative log-likelihood (temperature scaling, Guo et al. 2017).

    The likelihood is convex in 1 / temperature, so there is one minimum. Rounded to six digits.

    Args:
        logits: Logits of a part on which the network was not trained.
        labels: True classes.
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda inverse: negative_log_likelihood(logits, labels, 1 / inverse),
        bounds=(1 / HOTTEST, 1 / COOLEST),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(f"{1 / found.x:.6g}")


def reliability_of_logits(
    logits: Float[np.ndarray, "patches classes"], labels: Int[np.ndarray, " patches"]
) -> Reliability:
    """Sort the most probable classes of logits into bins of confidence."""
    from scipy.special import softmax

    shares: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1)
    return Reliability.of(shares.max(axis=1), shares.argmax(axis=1) == labels)
