"""Say how far the figures of an evaluation can be relied on: the largest class, and intervals from whole groups."""

from __future__ import annotations

from compactnas.evaluation.evaluation import Evaluation
from compactnas.reporting.run.data import class_name

SHOWN = (("OA", "oa", 100.0, 1, " %"), ("kappa", "kappa", 1.0, 3, ""), ("macro-F1", "macro_f1", 100.0, 1, " %"))
"""Measures whose intervals are shown: name, measure, scale, decimals and unit."""


def majority_words(evaluation: Evaluation) -> str:
    """Say what a network would reach that always answers the most frequent class."""
    name, share = evaluation.majority
    answer = class_name(name, evaluation.classes)
    return f"always answering {answer} would give an OA of {100 * share:.1f} %"


def interval_words(evaluation: Evaluation) -> str:
    """List the 95 % intervals, and the groups that they come from; empty if there are none."""
    groups = evaluation.groups
    if groups is None or not groups.intervals:
        return ""
    shown = [
        f"{name} {interval_text(evaluation, measure)}" for name, measure, *_ in SHOWN if measure in groups.intervals
    ]
    samples = f"{groups.draws} bootstrap samples of the {groups.label} of the {evaluation.part} part"
    return f"95 % intervals: {', '.join(shown)}, from {samples}"


def calibration_words(evaluation: Evaluation) -> str:
    """Say how far confidence and accuracy lie apart; empty if it was not measured."""
    found = evaluation.reliability
    if found is None:
        return ""
    return (
        f"mean confidence {100 * found.mean_confidence:.1f} %, OA {100 * evaluation.measures.oa:.1f} %, "
        f"expected calibration error {100 * found.ece:.2f} %"
    )


def interval_text(evaluation: Evaluation, measure: str) -> str:
    """Format the interval of a measure with its unit, such as "77.2-91.1 %"; empty if there is none."""
    found = evaluation.interval(measure)
    _, _, scale, digits, unit = next(shown for shown in SHOWN if shown[1] == measure)
    return "" if found is None else "-".join(f"{scale * end:.{digits}f}" for end in found) + unit


def doubts(evaluation: Evaluation) -> list[str]:
    """Note it if the accuracy may be no better than always answering the most frequent class."""
    name, share = evaluation.majority
    answer = f"always answering {class_name(name, evaluation.classes)} ({100 * share:.1f} %)"
    interval = evaluation.interval("oa")
    if evaluation.measures.oa <= share:
        return [f"The network is not better than {answer}."]
    if interval is not None and interval[0] <= share:
        return [f"The 95 % interval of OA, {interval_text(evaluation, 'oa')}, does not exclude {answer}."]
    return []
