"""Groups of the windows of scenes: cities, or the polygons or areas of one city."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compactnas.data.formats._scene_labels import WindowLabels
from compactnas.data.source import Groups, Indices
from compactnas.scenes.kinds import stem_of


def groups_of(files: Sequence[Path], found: Sequence[WindowLabels], scene: Indices) -> Groups | None:
    """Name the group of each window, so that no polygon or area has windows in two groups.

    Scenes with a polygon of one label file in common are dates of the same place. The groups of one place are its
    polygons, over all dates; the groups of several places are the places, named after their first scenes.

    Args:
        files: Scenes.
        found: Labelled windows of each scene.
        scene: Number of the scene of each window, (windows,).

    Returns:
        The groups, (windows,), or None for a single scene whose labels have neither polygons nor areas.
    """
    place = list(range(len(files)))  # lowest number of a scene of the same place
    first: dict[tuple[Path, str], int] = {}
    for number, windows in enumerate(found):
        for name in dict.fromkeys(windows.groups):
            other = place[first.setdefault((windows.file, name), number)]
            low, high = sorted((place[number], other))
            place = [low if at == high else at for at in place]
    if len({place[number] for number in np.unique(scene).tolist()}) == 1:
        every = [name for windows in found for name in windows.groups]
        if len(files) == 1 or len(every) == len(scene):
            return np.array(every) if every else None
    return np.array([stem_of(files[at]) for at in place])[scene]
