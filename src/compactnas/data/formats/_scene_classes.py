"""Classes of the windows of several scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compactnas.data.formats._scene_labels import WindowLabels
from compactnas.lcz import NAMES


def classes_of(found: Sequence[WindowLabels]) -> tuple[tuple[str, ...], NDArray[np.int64], bool]:
    """Join the classes of scenes.

    Returns:
        The 17 Local Climate Zones if all labels are zones, otherwise the sorted names of the classes; the class of each
        window, over all scenes; and whether the classes are Local Climate Zones.
    """
    if all(windows.names == NAMES for windows in found):
        return NAMES, np.concatenate([windows.classes for windows in found]), True
    used = {windows.names[label] for windows in found for label in np.unique(windows.classes).tolist()}
    names = tuple(sorted(used.union(*(windows.names for windows in found if windows.names != NAMES))))
    places = [np.array([names.index(name) if name in names else 0 for name in windows.names]) for windows in found]
    return names, np.concatenate([at[windows.classes] for at, windows in zip(places, found, strict=True)]), False
