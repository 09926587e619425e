"""Predict the logits of each window computed alone from shared features: a linear map, learnt on some windows.

If a window is computed alone, every layer pads it with zeros; in a strip, it is surrounded by its neighbours. So the
shared features differ from the window's own features near its border. This changes the logits of similar windows in
much the same way: ridge regression learns what must be added to the logits that the network's last layer gives for the
shared features, from a sample of the scene's windows that are computed both ways. It needs no labels.

If the result is uncertain, the window is computed alone. A window is uncertain if the margin between its two highest
probabilities is small. The threshold is chosen on windows of the sample that the regression was not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

FOLDS = 12
RIDGES = (1e-3, 1e-2, 1e-1)
"""Ridge penalties to try, per window, for features with unit standard deviation."""
LEAST_DEVIATION = 1e-6

Features = Float[Tensor, "windows features"]
Logits = Float[Tensor, "windows classes"]


@dataclass(frozen=True)
class Ridge:
    """A linear map that standardises its features."""

    mean: Float[Tensor, " features"]
    deviation: Float[Tensor, " features"]
    weights: Float[Tensor, "features classes"]
    bias: Float[Tensor, " classes"]

    @classmethod
    def fit(cls, features: Features, logits: Logits, ridge: float) -> Ridge:
        """Fit least squares with a ridge penalty, in double precision; the result is in single precision."""
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
    """Predict the logits of windows from shared features, and mark uncertain windows.

    Attributes:
        ridge: Linear map from features to what is added to the logits of the network's last layer.
        least_margin: Smallest margin between the two highest probabilities; below it, a window is uncertain.
        agreement: Share of the sample's windows that get the class of the exact mode if uncertain windows are computed
            alone; measured on windows that were left out of the fit.
        alone: Share of the sample's windows that are uncertain.
    """

    ridge: Ridge
    least_margin: float
    agreement: float
    alone: float

    def __call__(
        self, features: Float[Tensor, "*windows features"], own: Float[Tensor, "*windows classes"]
    ) -> tuple[Float[Tensor, "*windows classes"], Bool[Tensor, "*windows"]]:
        """Class probabilities, and which windows are uncertain.

        Args:
            features: Shared features of the windows.
            own: Logits of the network's last layer for these features.
        """
        probabilities = (own + self.ridge(features)).softmax(dim=-1)
        return probabilities, _margins(probabilities) < self.least_margin

    @property
    def figures(self) -> dict[str, float]:
        """Share of windows computed alone and expected agreement, both measured on the sample."""
        return {"judged_alone": self.alone, "agreement": self.agreement}

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values, without loss."""
        ridge = {field.name: getattr(self.ridge, field.name).tolist() for field in fields(Ridge)}
        return {"ridge": ridge, "least_margin": self.least_margin, **self.figures}

    @classmethod
    def from_json(cls, raw: Any) -> BoundaryCorrection:
        """Restore a correction from the values of `to_json`.

        Raises:
            ValueError: The values are not a correction.
        """
        try:
            parts = [torch.tensor(raw["ridge"][field.name], dtype=torch.float32) for field in fields(Ridge)]
            figures = [float(raw[name]) for name in ("least_margin", "agreement", "judged_alone")]
            mean, deviation, weights, bias = (tuple(part.shape) for part in parts)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"is not a correction of the dense mode ({error})") from None
        if len(weights) != 2 or not weights == mean + bias == deviation + bias:
            raise ValueError("is not a correction of the dense mode (the shapes of its parts do not match)")
        return cls(Ridge(*parts), *figures)


def learn(
    features: Features, logits: Logits, own: Logits, groups: Int64[Tensor, " windows"], agreement: float
) -> BoundaryCorrection:
    """Learn a correction from windows that were computed both ways.

    Args:
        features: Features of the strip at each window.
        logits: Logits of each window computed alone, up to a constant for each window.
        own: Logits of the network's last layer for the features of the strip.
        groups: Number of each window's neighbourhood; cross-validation leaves out whole neighbourhoods.
        agreement: Share of windows that should get the same class as if they were computed alone.
    """
    missing = logits - own
    missing = missing - missing.mean(dim=-1, keepdim=True)
    sample = Sample(features, missing, own, groups)
    found = [(_tried(sample, ridge, agreement), ridge) for ridge in RIDGES]
    (alone, margin, reached), ridge = min(found)
    return BoundaryCorrection(Ridge.fit(features, missing, ridge), margin, reached, alone)


class Sample(NamedTuple):
    """Windows that were computed both ways.

    Attributes:
        features: Shared features.
        missing: What must be added to `own`.
        own: Logits of the network's last layer for the shared features.
        groups: Number of each window's neighbourhood.
    """

    features: Features
    missing: Logits
    own: Logits
    groups: Int64[Tensor, " windows"]


def _tried(sample: Sample, ridge: float, agreement: float) -> tuple[float, float, float]:
    """Share of windows that must be computed alone, the margin below which they are, and the agreement reached."""
    features, missing, own, groups = sample
    said = own.clone()
    for fold in range(FOLDS):
        left_out = groups % FOLDS == fold
        said[left_out] += Ridge.fit(features[~left_out], missing[~left_out], ridge)(features[left_out])
    wanted = (own + missing).argmax(dim=-1)
    margins, order = _margins(said.softmax(dim=-1)).sort()
    differs = (said.argmax(dim=-1) != wanted)[order].long()
    left = differs.sum() - differs.cumsum(0)  # differences that remain if all windows up to this one are computed alone
    left = torch.cat([differs.sum()[None], left])
    chance = left.sqrt()  # standard deviation of the number in a sample of this size
    alone = int((left + chance > (1 - agreement) * len(differs)).sum())
    margin = 0.0 if alone == 0 else float(margins[alone]) if alone < len(margins) else 2.0
    return alone / len(margins), margin, 1 - float(left[alone]) / len(margins)


def _margins(probabilities: Float[Tensor, "*windows classes"]) -> Float[Tensor, "*windows"]:
    first, second = probabilities.topk(2, dim=-1).values.unbind(dim=-1)
    return first - second
