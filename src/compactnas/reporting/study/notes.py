"""Caveats that a reader must know before relying on the figures of a study."""

from __future__ import annotations

from compactnas.reporting.study.seeds import least_p
from compactnas.reporting.study.view import JobView, StudyView


def notes_of(view: StudyView) -> tuple[str, ...]:
    """Warnings: what is missing, splits that measure remembering, what the data's reader said."""
    return (*_missing(view), *_places(view), *view.warnings)


def _missing(view: StudyView) -> list[str]:
    """That the study is not finished, and what is to come."""
    missing = view.missing
    if not missing:
        return []
    done = len(view.jobs) - len(missing)
    return [
        f"Not finished: {done} of {len(view.jobs)} jobs are done; to come: {_some(missing)}. Figures are of what is."
    ]


def _some(jobs: list[JobView]) -> str:
    """The first jobs by name, and how many more."""
    shown = [job.name for job in jobs[:6]]
    more = len(jobs) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _places(view: StudyView) -> list[str]:
    """A random split never stands without a geographic one: its patches overlap or lie side by side."""
    by_place = {place: [s.name for s in view.splits if s.place == place] for place in ("apart", "mixed", "unknown")}
    apart, mixed, unknown = by_place["apart"], by_place["mixed"], by_place["unknown"]
    notes = []
    if mixed and not apart:
        other = f" ({_and(unknown)} may be one; nothing here says so)" if unknown else ""
        notes.append(
            f"No split by place stands beside {_and(mixed)}{other}: test patches of the same places as the training "
            "patches measure remembering as well as recognising. Add a split by place (`d1`, `group`, `fold` or "
            "`block`) before anything is concluded."
        )
    elif mixed:
        notes.append(
            f"{_and(mixed)}: the test patches lie in the same places as the training patches, so the figures hold "
            f"remembering as well as recognising. Read them beside {_and(apart)}."
        )
    if unknown and not (mixed and not apart):
        notes.append(
            f"{_and(unknown)} {'is' if len(unknown) == 1 else 'are'} cut by the data's own parts or by a file: nothing "
            "here says whether the test patches lie in other places than the training patches."
        )
    return notes


def note_of_pairs(counts: set[int]) -> str:
    """Describe the smallest p that so few pairs allow; `counts` are the numbers of pairs that occur."""
    sentences = []
    for n in sorted(counts):
        p, pairs = least_p(n), "1 pair" if n == 1 else f"{n} pairs"
        if p > 0.05:
            sentences.append(f"With n = {n} nothing can be significant at 5 %: {pairs} can have no p below {p:g}.")
        else:
            sentences.append(f"With n = {n} the smallest p is {p:.2g}.")
    return " ".join(sentences)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
