"""The report of a find in words."""

from __future__ import annotations

from compactnas.finding.results import Found
from compactnas.finding.rungs import scores_of
from compactnas.finding.worth import Difference

QUESTIONS = {
    "searches": "ends of the searches, against chance",
    "ranking": "first by the supernets, against chance",
    "halving": "winner of the last rung, against a network by chance (it was chosen by this figure: too high)",
    "averaging": "averaged weights, against the last ones (the start was chosen by these groups: slightly too high)",
    "ensemble": "ensemble of the finalists, against the winner (what a teacher knows more)",
}
"""Stage -> what its worth compares."""


def report(found: Found) -> list[str]:
    """Write what each stage was worth, one line each. All accuracies but the last line are of held-out groups."""
    lines = ["What each stage was worth, on groups that were held out (95 % over groups and networks):"]
    for name, value in found.worth().items():
        lines.append(f"  {QUESTIONS[name]}: {_shown(value)}")
    above = found.searched_against_random()
    if above:
        lines.append(
            f"  the supernets rank a searched network above a random one in {above[0]:.0%} of pairs ({above[1]} and "
            f"{above[2]} networks; 50 % is chance)"
        )
    lines += [f"  {name} agree: {value}" for name, value in found.agreements().items()]
    lines.append("Places (best first; r random, s from a search, ! chosen by chance):")
    for rung, epochs in enumerate(found.plan.rungs):
        scores = scores_of(found.rows, rung)
        order = sorted(scores, key=lambda number: (-scores[number], number))
        marks = " ".join(_mark(found, number) for number in order)
        best, worst = 100 * max(scores.values()), 100 * min(scores.values())
        lines.append(f"  after epoch {epochs}: {marks} ({best:.2f} to {worst:.2f} %)")
    winner = found.candidates[found.winner]
    came = f"{winner.origin}, {winner.search}" if winner.search else winner.origin
    evaluation, interval = found.evaluation, found.evaluation.interval("oa")
    ends = f" ({100 * interval[0]:.2f} to {100 * interval[1]:.2f} over groups)" if interval else ""
    lines.append(
        f"Winner: candidate {found.winner} ({came}), {evaluation.macs / 1e6:.2f} M MACs, "
        f"{evaluation.parameters:,} parameters"
    )
    lines.append(f"Test part, read once: OA {100 * evaluation.measures.oa:.2f} %{ends}, {evaluation.n:,} patches")
    return lines


def _shown(value: Difference | None) -> str:
    return "not compared" if value is None else str(value)


def _mark(found: Found, number: int) -> str:
    mark = "r" if found.candidates[number].origin == "random" else "s"
    return f"{mark}{number}" + "!" * (found.entrants[number] == "control")
