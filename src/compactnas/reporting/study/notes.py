"""Write the caveats that a reader must know before relying on the figures of a study."""

from __future__ import annotations

from compactnas.reporting.study.seeds import least_p
from compactnas.reporting.study.view import JobView, StudyView


def notes_of(view: StudyView) -> tuple[str, ...]:
    """Collect the notes: missing jobs, splits that may measure memorised places, and warnings about the data."""
    return (*_missing(view), *_places(view), *view.warnings)


def _missing(view: StudyView) -> list[str]:
    """Write a note on the missing jobs of an unfinished study."""
    missing = view.missing
    if not missing:
        return []
    done = len(view.jobs) - len(missing)
    return [
        f"Not finished: {done} of {len(view.jobs)} jobs are done. Missing: {_some(missing)}. The figures show the "
        "finished jobs."
    ]


def _some(jobs: list[JobView]) -> str:
    """List the first jobs by name, and the number of others."""
    shown = [job.name for job in jobs[:6]]
    more = len(jobs) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _places(view: StudyView) -> list[str]:
    """Write notes on random splits, whose test patches overlap or adjoin training patches."""
    by_place = {place: [s.name for s in view.splits if s.place == place] for place in ("apart", "mixed", "unknown")}
    apart, mixed, unknown = by_place["apart"], by_place["mixed"], by_place["unknown"]
    notes = []
    if mixed and not apart:
        other = f" ({_and(unknown)} may be one, but the study does not state it)" if unknown else ""
        notes.append(
            f"There is no split by place besides {_and(mixed)}{other}. The test patches come from the same places as "
            "the training patches, so accuracy may include memorised places. Add a split by place (`d1`, `group`, "
            "`fold` or `block`) before you draw conclusions."
        )
    elif mixed:
        notes.append(
            f"{_and(mixed)}: the test patches come from the same places as the training patches, so accuracy may "
            f"include memorised places. Compare it with {_and(apart)}."
        )
    if unknown and not (mixed and not apart):
        notes.append(
            f"{_and(unknown)}: the parts come from the data or from a file. It is unknown whether the test patches lie "
            "in other places than the training patches."
        )
    return notes


def note_of_pairs(counts: set[int]) -> str:
    """State the smallest p that is possible for each number of pairs in `counts`."""
    sentences = []
    for n in sorted(counts):
        p, pairs = least_p(n), "1 pair" if n == 1 else f"{n} pairs"
        if p > 0.05:
            sentences.append(f"With n = {n} nothing can be significant at 5 %: the smallest p of {pairs} is {p:g}.")
        else:
            sentences.append(f"With n = {n} the smallest p is {p:.2g}.")
    return " ".join(sentences)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
