"""Show right and wrong patches of each class as small pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from compactnas.evaluation.examples import EACH, SIDE_PX, STRETCH, Example, Examples, fingerprint
from compactnas.reporting.run.colours import class_colours
from compactnas.reporting.run.reading import RunFolder

MOST_BYTES = 1_000_000
"""Most bytes of the pictures of a page. If there are more, each class gets fewer patches."""


@dataclass(frozen=True)
class Thumb:
    """A patch: its picture as a data URI, the text below, and a description."""

    source: str
    caption: str
    about: str


@dataclass(frozen=True)
class PatchRow:
    """A class with some right and some wrong patches; its colour is "#RRGGBB", or empty."""

    name: str
    colour: str
    right: tuple[Thumb, ...]
    wrong: tuple[Thumb, ...]


@dataclass(frozen=True)
class Patches:
    """Patches of a run by class, and what they are; without patches, why there are none."""

    rows: tuple[PatchRow, ...]
    words: str


def patches_of(run: RunFolder, pages: int) -> Patches:
    """Read the patches that `evaluate` kept.

    Args:
        run: Run.
        pages: Number of runs on the page, which share its size.

    Raises:
        UserError: The file of the patches is damaged.
    """
    e = run.evaluation
    if e is None or not e.n:
        return Patches((), "")
    found = Examples.read(run.path)
    again = f"`compactnas evaluate {run.path.resolve().name}` keeps some if it can read the data."
    if found is None:
        return Patches((), f"There are no pictures of patches in the folder of the run. {again}")
    if found.evaluation != fingerprint(e.part, e.confusion):
        return Patches((), f"The kept pictures of patches belong to another evaluation. {again}")
    known = [one for one in found.patches if max(one.true, one.predicted) < len(e.classes) and one.true >= 0]
    each = next((n for n in range(EACH, 0, -1) if _size(known, n) <= MOST_BYTES / pages), 0)
    if not each:
        return Patches((), f"Pictures of patches are left out, because the page has {pages} runs. Report fewer.")
    colours = class_colours(e.classes)
    rows = []
    for number, name in enumerate(e.classes):
        here = [one for one in known if one.true == number]
        right, wrong = ([one for one in here if (one.predicted == number) is hit][:each] for hit in (True, False))
        if here:
            thumbs = (tuple(_thumb(one, e.classes) for one in group) for group in (right, wrong))
            rows.append(PatchRow(name, colours[number], *thumbs))
    words = (
        f"Up to {each} right patches of each class, drawn at random, and its {each} wrong ones with the highest "
        f"confidence. Colours: {found.bands}; each band is stretched from percentile {STRETCH[0]} (black) to "
        f"{STRETCH[1]} of all kept patches. Patches of more than {SIDE_PX} pixels are averaged to at most {SIDE_PX}."
    )
    return Patches(tuple(rows), words)


def _size(patches: Sequence[Example], each: int) -> int:
    """Count the bytes of the pictures if each class has at most so many right and wrong patches."""
    counts: dict[tuple[int, bool], int] = {}
    total = 0
    for one in patches:
        key = (one.true, one.true == one.predicted)
        counts[key] = counts.get(key, 0) + 1
        total += len(one.png) * 4 // 3 if counts[key] <= each else 0
    return total


def _thumb(one: Example, classes: Sequence[str]) -> Thumb:
    sure = f"{100 * min(max(one.confidence, 0.0), 1.0):.0f} %"
    true, predicted = classes[one.true], classes[one.predicted]
    right = one.true == one.predicted
    about = f"row {one.row}: {true}" + ("" if right else f", taken for {predicted}") + f", confidence {sure}"
    source = f"data:image/png;base64,{b64encode(one.png).decode()}"
    return Thumb(source, sure if right else f"{predicted}, {sure}", about)
