"""The Pareto front of cost and accuracy, and the accuracies that a network of a front may have. No torch."""

from __future__ import annotations

from collections.abc import Sequence

ACCURACIES = {
    "test_oa": "retrained, test part",
    "validation_oa": "retrained, validation part",
    "supernet_oa": "with the supernet's weights, held-out patches",
}
"""Accuracy of a row of `pareto/front.json` -> what it is."""


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the indices of the points (cost, accuracy) on the Pareto front, by rising cost.

    A point is on the front if no other one is at least as good in both values and better in one.
    """

    def beaten(cost: float, accuracy: float) -> bool:
        return any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points)

    front = [index for index, point in enumerate(points) if not beaten(*point)]
    return sorted(front, key=lambda index: (points[index], index))


def decides(names: Sequence[str]) -> str:
    """Name the accuracy that decides the front: that on the validation part if there is one, else the supernet's.

    Args:
        names: Names of the values of a row.
    """
    return "validation_oa" if "validation_oa" in names else "supernet_oa"
