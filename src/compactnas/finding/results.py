"""What each stage of a find was worth, from its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from compactnas.evaluation.evaluation import Evaluation
from compactnas.finding.finals import averaged_share, ranked_finalists
from compactnas.finding.plan import Plan
from compactnas.finding.pool import RANDOM
from compactnas.finding.rungs import rights_of, scores_of
from compactnas.finding.worth import Difference, Rights, accuracy, difference
from compactnas.io.jsonl import Row
from compactnas.selection.agreement import LEAST, RankAgreement, kendall_tau
from compactnas.selection.candidates import Candidate


@dataclass(frozen=True)
class Found:
    """Result of a find.

    Attributes:
        plan: Numbers of the work.
        candidates: All candidates.
        entrants: Candidates of the first rung, with the reason of each.
        scores: Score of each candidate in the ranking by the supernets; empty without searches.
        rows: Rows of all rungs.
        ensemble: Counts of the ensemble of the finalists on the held-out groups.
        evaluation: Accuracy of the winner on the test part.
    """

    plan: Plan
    candidates: Sequence[Candidate]
    entrants: dict[int, str]
    scores: Sequence[float]
    rows: Sequence[Row]
    ensemble: Rights
    evaluation: Evaluation

    @property
    def winner(self) -> int:
        """Number of the winner."""
        return ranked_finalists(self.rows)[0]

    def rights(self, rung: int, numbers: Sequence[int], key: str = "groups") -> list[Rights]:
        """Counts of candidates on the held-out groups of a rung."""
        return [rights_of(self.rows, rung, number, key) for number in numbers]

    def entered(self, *reasons: str) -> list[int]:
        """Entrants of the first rung for these reasons."""
        return [number for number, reason in self.entrants.items() if reason in reasons]

    def worth(self) -> dict[str, Difference | None]:
        """Compare each stage with what chance gives, on held-out groups; None for what was not compared.

        - `searches`: networks at the end of the searches against the controls, after the first rung.
        - `ranking`: networks that the supernets ranked first against the controls, after the first rung.
        - `halving`: the winner against the control that stayed, after the last rung. The winner was chosen by the same
          figures, so this is too high by chance.
        - `averaging`: averaged weights against the last ones, over all networks of the last rung.
        - `ensemble`: the ensemble of the finalists against the winner, after the last rung.
        """
        last, controls = len(self.plan.rungs) - 1, self.entered("control")
        finalists = ranked_finalists(self.rows)

        def against(numbers: Sequence[int]) -> Difference | None:
            return difference(self.rights(0, numbers), self.rights(0, controls)) if numbers and controls else None

        winner = self.rights(last, [self.winner])
        averaged = all("last_weights" in row for row in self.rows if row["rung"] == last)
        return {
            "searches": against(self.entered("end")),
            "ranking": against(self.entered("ranked")),
            "halving": difference(winner, self.rights(last, controls[:1])) if self.winner != controls[0] else None,
            "averaging": _paired(self, last, finalists) if averaged else None,
            "ensemble": difference([self.ensemble], winner) if len(finalists) > 1 else None,
        }

    def searched_against_random(self) -> tuple[float, int, int] | None:
        """Chance that a searched candidate is ranked above a random one by the supernets, with the number of both."""
        random = np.array([s for s, one in zip(self.scores, self.candidates, strict=False) if one.origin == RANDOM])
        searched = np.array([s for s, one in zip(self.scores, self.candidates, strict=False) if one.origin != RANDOM])
        if not len(random) or not len(searched):
            return None
        above = (searched[:, None] > random[None]).mean() + 0.5 * (searched[:, None] == random[None]).mean()
        return float(above), len(searched), len(random)

    def agreements(self) -> dict[str, RankAgreement]:
        """Agreement of each ranking with the next one, over the candidates that both have."""
        tables = [scores_of(self.rows, rung) for rung in range(len(self.plan.rungs))]
        found = {}
        if self.scores:
            first = tables[0]
            found["ranking and rung 1"] = kendall_tau([self.scores[n] for n in first], list(first.values()))
        for rung, (before, after) in enumerate(pairwise(tables), 1):
            if len(after) < LEAST:
                continue
            found[f"rung {rung} and rung {rung + 1}"] = kendall_tau([before[n] for n in after], list(after.values()))
        return found

    def to_json(self) -> dict[str, Any]:
        """Result as JSON values, without any times."""
        last = len(self.plan.rungs) - 1
        above = self.searched_against_random()
        places = {
            f"rung {rung + 1}": [
                {"candidate": number, "origin": self.candidates[number].origin, "entered": self.entrants[number]}
                | {"accuracy": round(score, 6)}
                for number, score in sorted(scores_of(self.rows, rung).items(), key=lambda item: (-item[1], item[0]))
            ]
            for rung in range(last + 1)
        }
        return {
            "winner": self.winner,
            "origin": self.candidates[self.winner].origin,
            "held_out_accuracy": round(accuracy(self.rights(last, [self.winner])[0]), 6),
            "averaged_share": averaged_share(self.rows, self.winner),
            "worth": {name: value and value.to_json() for name, value in self.worth().items()},
            "searched_above_random": above and {"share": round(above[0], 4), "searched": above[1], "random": above[2]},
            "agreements": {name: value.to_json() for name, value in self.agreements().items()},
            "rungs": places,
        }


def _paired(found: Found, last: int, finalists: Sequence[int]) -> Difference:
    """Averaged against last weights: the same networks on both sides, so only groups are drawn again."""
    sums = [_sum(found.rights(last, finalists, key)) for key in ("groups", "last_weights")]
    return difference(sums[:1], sums[1:])


def _sum(rights: Sequence[Rights]) -> Rights:
    return {name: (sum(one[name][0] for one in rights), sum(one[name][1] for one in rights)) for name in rights[0]}
