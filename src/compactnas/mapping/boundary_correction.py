"""Map shared features to the logits of each window computed alone: a linear map, learnt on some windows.

Run alone, a window is surrounded by zeros in every layer; in a strip, by its neighbours. So the shared features differ
from the window's own near its frame. What that does to the logits is much the same for like windows: ridge regression
learns it from a sample of the scene's own windows, which are judged both ways. No label is needed.

Where the answer stays in doubt, the window is better run alone. The doubt is the distance of the two highest
probabilities; how much of it is too much is found on windows of the sample that the regression did not see.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

FOLDS = 12
RIDGES = (1e-3, 1e-2, 1e-1)
"""Strengths that are tried, for features of unit deviation, a window."""
LEAST_DEVIATION = 1e-6

Features = Float[Tensor, "windows features"]
Logits = Float[Tensor, "windows classes"]


@dataclass(frozen=True)
class Ridge:
    """A linear map with its own standardisation of the features."""

    mean: Float[Tensor, " features"]
    deviation: Float[Tensor, " features"]
    weights: Float[Tensor, "features classes"]
    bias: Float[Tensor, " classes"]

    @classmethod
    def fit(cls, features: Features, logits: Logits, ridge: float) -> Ridge:
        """Least squares with a penalty; computed in double precision, kept in single."""
        x, y = features.double(), logits.double()
        mean, deviation, bias = x.mean(0), x.std(0).clamp(min=LEAST_DEVIATION), y.mean(0)
        x = (x - mean) / deviation
        penalty = ridge * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
        weights = torch.linalg.solve(x.T @ x + penalty, x.T @ (y - bias))
        return cls(mean.float(), deviation.float(), weights.float(), bias.float())

    def __call__(self, features: Float[Tensor, "*windows features"]) -> Float[Tensor, "*windows classes"]:
        return (features - self.mean) / self.deviation @ self.weights + self.bias


@dataclass(frozen=True)
class BoundaryCorrection:
    """Predicted logits of the windows, and where they are in doubt.

    Attributes:
        ridge: features to logits.
        least_margin: windows whose two highest probabilities are closer are in doubt.
        agreement: share of the sample's windows that get the same class, those in doubt being run alone; measured on
            windows that were not learnt from.
        alone: share of the sample's windows that are in doubt.
    """

    ridge: Ridge
    least_margin: float
    agreement: float
    alone: float

    def __call__(
        self, features: Float[Tensor, "*windows features"]
    ) -> tuple[Float[Tensor, "*windows classes"], Bool[Tensor, "*windows"]]:
        """Class probabilities, and whether they are in doubt."""
        probabilities = self.ridge(features).softmax(dim=-1)
        return probabilities, _margins(probabilities) < self.least_margin

    @property
    def figures(self) -> dict[str, float]:
        """Expected agreement, measured on the sample."""
        return {"judged_alone": self.alone, "agreement": self.agreement}

    def to_json(self) -> dict[str, Any]:
        """Everything, exactly, as plain values."""
        ridge = {field.name: getattr(self.ridge, field.name).tolist() for field in fields(Ridge)}
        return {"ridge": ridge, "least_margin": self.least_margin, **self.figures}

    @classmethod
    def from_json(cls, raw: Any) -> BoundaryCorrection:
        """The same from `to_json`.

        Errors:
            ValueError: it is no such thing.
        """
        try:
            parts = [torch.tensor(raw["ridge"][field.name], dtype=torch.float32) for field in fields(Ridge)]
            figures = [float(raw[name]) for name in ("least_margin", "agreement", "judged_alone")]
            mean, deviation, weights, bias = (tuple(part.shape) for part in parts)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not what the dense mode learnt ({error})") from None
        if len(weights) != 2 or not weights == mean + bias == deviation + bias:
            raise ValueError("not what the dense mode learnt (its parts do not go together)")
        return cls(Ridge(*parts), *figures)


def learn(
    features: Features, logits: Logits, groups: Int64[Tensor, " windows"], agreement: float
) -> BoundaryCorrection:
    """Learn from windows that were judged both ways.

    Args:
        features: Features of the strip at each window.
        logits: Logits of each window computed alone.
        groups: number of each window's neighbourhood; those of one are left out together.
        agreement: share of windows that should get the class that they get alone.
    """
    found = [(_tried(features, logits, groups, ridge, agreement), ridge) for ridge in RIDGES]
    (alone, margin, reached), ridge = min(found)
    return BoundaryCorrection(Ridge.fit(features, logits, ridge), margin, reached, alone)


def _tried(
    features: Features, logits: Logits, groups: Int64[Tensor, " windows"], ridge: float, agreement: float
) -> tuple[float, float, float]:
    """Share of windows that must be run alone, the margin below which they lie, and the agreement that is reached."""
    said = torch.empty_like(logits)
    for fold in range(FOLDS):
        left_out = groups % FOLDS == fold
        said[left_out] = Ridge.fit(features[~left_out], logits[~left_out], ridge)(features[left_out])
    margins, order = _margins(said.softmax(dim=-1)).sort()
    differs = (said.argmax(dim=-1) != logits.argmax(dim=-1))[order].long()
    left = differs.sum() - differs.cumsum(0)  # that stay if all up to this one are run alone
    left = torch.cat([differs.sum()[None], left])
    alone = int((left > (1 - agreement) * len(differs)).sum())
    margin = 0.0 if alone == 0 else float(margins[alone]) if alone < len(margins) else 2.0
    return alone / len(margins), margin, 1 - float(left[alone]) / len(margins)


def _margins(probabilities: Float[Tensor, "*windows classes"]) -> Float[Tensor, "*windows"]:
    first, second = probabilities.topk(2, dim=-1).values.unbind(dim=-1)
    return first - second
