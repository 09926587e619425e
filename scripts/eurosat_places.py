"""Cut EuroSAT RGB into five folds from west to east, as far as the archive knows where its patches lie.

The archive knows three bands of longitude: the parts of `split_spatial`, which are the western 16,200 patches, the next
5,400 and the eastern 5,400. Inside a band it knows no place. Folds 4 and 5 are the second and the third band. The
first band is cut into folds 1 to 3 by what the patches show: patches stay together if one goes on where the other ends,
or if they are of one class and their colours are alike, as those of one scene often are.

If the archive also holds `lonlat` (degrees, one row for each patch), the folds are five bands of longitude.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDS = 5
WESTERN = 3
"""Number of folds that the western band is cut into."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
NEIGHBOURS = 5
SHARE = 6
"""A group of patches that stay together holds at most this part of its class in a fold."""
CLEARLY = 0.75
"""Two edges fit if the next best edge fits worse by this factor, in both directions."""
AT_ONCE = 1000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Images = NDArray[np.uint8]


class Places(NamedTuple):
    """Where the patches of an archive lie, as far as it is known.

    Attributes:
        folds: Fold of each patch, 1 in the west to 5 in the east.
        groups: Group of each patch: the patches that are probably of one place, or its fold.
        said: How the folds were found.
    """

    folds: Ints
    groups: NDArray[np.str_]
    said: str


def places_of(data: Any) -> Places:
    """Find where the patches lie.

    Args:
        data: Arrays of the archive, by name.
    """
    labels, split = data["labels"].astype(np.int64), data["split_spatial"]
    if "lonlat" in data:
        found = by_longitude(data["lonlat"][:, 0])
        return Places(found, _named("fold", found), "five bands of longitude")
    found = np.array((0, WESTERN + 1, WESTERN + 2))[split]
    western = np.flatnonzero(split == 0)
    images = images_of(data["jpeg_bytes"], data["offsets"], western)
    pairs = fitting_edges(images)
    gathering = gathered(labels[western], colours_of(images), pairs)
    found[western] = cut(labels[western], gathering)
    groups = _named("fold", found).astype("<U20")
    groups[western] = _named("place", western[gathering])
    held = int((found[western][pairs[:, 0]] == found[western][pairs[:, 1]]).sum())
    return Places(
        found,
        groups,
        "folds 4 and 5 are bands of longitude; folds 1 to 3 are the western band, cut by what the patches show, since "
        f"the archive has no coordinates: {held} of {len(pairs)} pairs of adjoining patches are in one fold",
    )


def _named(word: str, numbers: Ints) -> NDArray[np.str_]:
    return np.char.add(f"{word} ", numbers.astype(np.str_))


def by_longitude(longitude: Floats) -> Ints:
    """Cut patches into bands of equal counts; patches at one longitude stay together as far as the counts allow."""
    found = np.zeros(len(longitude), np.int64)
    for number, rows in enumerate(np.array_split(np.argsort(longitude, kind="stable"), FOLDS), 1):
        found[rows] = number
    return found


def images_of(jpegs: NDArray[np.uint8], offsets: Ints, rows: Ints) -> Images:
    """Read patches, (patch, row, column, band)."""
    found = []
    for row in rows.tolist():
        with Image.open(io.BytesIO(jpegs[offsets[row] : offsets[row + 1]].tobytes())) as image:
            found.append(np.asarray(image.convert("RGB")))
    return np.stack(found)


def colours_of(images: Images) -> Floats:
    """Take percentiles of each band, (patch, feature)."""
    pixels = np.sort(images.reshape(len(images), -1, 3), axis=1)
    places = [round(p / 100 * (pixels.shape[1] - 1)) for p in PERCENTILES]
    return pixels[:, places].reshape(len(images), -1).astype(np.float64)


def fitting_edges(images: Images) -> Ints:
    """Find pairs of patches of which one goes on where the other ends, to the right or below, (pairs, 2)."""
    found = []
    for turned in (images, images.transpose(0, 2, 1, 3)):
        pixels = turned[:, :, [0, 1, -2, -1]].astype(np.float32)
        begins = (1.5 * pixels[:, :, 0] - 0.5 * pixels[:, :, 1]).reshape(len(images), -1)  # half a pixel outside
        ends = (1.5 * pixels[:, :, 3] - 0.5 * pixels[:, :, 2]).reshape(len(images), -1)
        after, clear_after = _best_fit(ends, begins)
        before, clear_before = _best_fit(begins, ends)
        rows = np.arange(len(images))
        good = (before[after] == rows) & clear_after & clear_before[after]
        found.append(np.column_stack((rows[good], after[good])))
    return np.concatenate(found)


def _best_fit(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[Ints, NDArray[np.bool_]]:
    """Find the edge of another patch that fits each edge best, and whether it clearly does."""
    best, clear = np.zeros(len(ours), np.int64), np.zeros(len(ours), bool)
    squared = (theirs**2).sum(1)
    for start in range(0, len(ours), AT_ONCE):
        own = ours[start : start + AT_ONCE]
        distance = np.maximum((own**2).sum(1)[:, None] + squared - 2 * own @ theirs.T, 0)
        rows = np.arange(len(own))
        distance[rows, start + rows] = np.inf
        nearest = np.argmin(distance, axis=1)
        first = distance[rows, nearest]
        distance[rows, nearest] = np.inf
        best[start : start + AT_ONCE] = nearest
        clear[start : start + AT_ONCE] = first < CLEARLY**2 * distance.min(1)
    return best, clear


def gathered(labels: Ints, features: Floats, pairs: Ints) -> Ints:
    """Gather patches that are probably of one place; give the group of each patch, the number of one of its patches.

    In each class, adjoining patches are joined first and then those whose features are nearest, to groups of at most a
    part of the class (`SHARE`).
    """
    found = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        own = pairs[(labels[pairs] == label).all(1)]
        joined = np.concatenate((np.searchsorted(rows, own), _nearest(features[rows])))
        found[rows] = rows[_joined(joined, len(rows), max(1, len(rows) // (WESTERN * SHARE)))]
    return found


def cut(labels: Ints, groups: Ints) -> Ints:
    """Cut patches into folds 1 to 3 with equal counts of each class.

    In each class, the largest group goes first, to the fold with the most room; a group that does not fit is cut.
    """
    found, first = np.zeros(len(labels), np.int64), 0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        left = len(rows) % WESTERN  # these go to the folds whose turn it is, so that the folds stay equal
        room = np.full(WESTERN, len(rows) // WESTERN)
        room[(first + np.arange(left)) % WESTERN] += 1
        first = (first + left) % WESTERN
        found[rows] = _filled(groups[rows], room) + 1
    return found


def _nearest(features: Floats) -> Ints:
    """List each row with its nearest ones, the nearest pairs first, (pairs, 2)."""
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    squared = (scaled**2).sum(1)
    distance = squared[:, None] + squared - 2 * scaled @ scaled.T
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(features) - 1)]
    order = np.argsort(np.take_along_axis(distance, near, 1), axis=None, kind="stable")
    return np.column_stack((order // max(1, near.shape[1]), near.ravel()[order]))


def _joined(pairs: Ints, rows: int, most: int) -> Ints:
    """Join pairs in their order to groups of at most `most` rows; give the group of each row."""
    group, size = np.arange(rows), np.ones(rows, np.int64)
    for one, other in pairs.tolist():
        here, there = group[one], group[other]
        if here != there and size[here] + size[there] <= most:
            group[group == there] = here
            size[here] += size[there]
    return group


def _filled(group: Ints, room: Ints) -> Ints:
    """Give each group to the fold with the most room, the largest group first."""
    fold, left = np.zeros(len(group), np.int64), room.copy()
    names, size = np.unique(group, return_counts=True)
    for name in names[np.argsort(-size, kind="stable")].tolist():
        rows = np.flatnonzero(group == name)
        while len(rows):
            most = int(left.argmax())
            fold[rows[: left[most]]] = most
            rows, left[most] = rows[left[most] :], max(0, left[most] - len(rows))
    return fold
