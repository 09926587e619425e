"""Open each scene of a data set, and find its labelled windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compactnas.config.reading import Reading
from compactnas.data.checks import require_patch
from compactnas.data.footprints import Footprints
from compactnas.data.formats._scene_labels import WindowLabels, WindowOptions, labelled_windows
from compactnas.data.source import Indices
from compactnas.errors import UserError
from compactnas.labels.finding import labels_beside
from compactnas.scenes.bands import sentinel_name
from compactnas.scenes.coordinates import place_of
from compactnas.scenes.kinds import stem_of
from compactnas.scenes.numbers import ASSUMED
from compactnas.scenes.reading import open_scene, with_gaps
from compactnas.scenes.scene import Place


@dataclass(frozen=True)
class LabelledScene:
    """A scene and its labelled windows.

    Attributes:
        path: Path of the scene.
        bands: Names of the bands to read, in the order of the patches.
        reading: Options for reading it, with the fills that it does not declare.
        windows: Labelled windows.
        footprints: Footprints of the windows; None if the coordinate system has no code.
        gaps: Name of pixels that are left out, for messages.
        notes: Assumptions and omissions, one line each.
    """

    path: Path
    bands: tuple[str, ...]
    reading: Reading
    windows: WindowLabels
    footprints: Footprints | None
    gaps: str
    notes: tuple[str, ...]


def read_scenes(
    files: tuple[Path, ...], bands: tuple[str, ...], options: WindowOptions, reading: Reading
) -> tuple[LabelledScene, ...]:
    """Find the labelled windows of each scene; all scenes give the same bands, in the order of the first.

    Raises:
        UserError: A scene lacks a band or has other pixels than the first, or a scene or its labels cannot be used.
    """
    if len(set(bands)) < len(bands):
        raise UserError(f"data.bands: a band is named twice in {', '.join(bands)}; name each once")
    found: list[LabelledScene] = []
    names, side = bands, 0.0
    for file, own in zip(files, reading.for_scenes(len(files)), strict=True):
        with open_scene(file, bands, own) as scene:
            if not bands:
                _require_same(scene.bands, names, file, files[0])
            names = names or scene.bands
            side = side or float(scene.place.transform.a)
            _require_pixels(scene.place, side, file, files[0])
        require_patch(options.window_px, len(names), str(file))
        beside = [Path(options.labels)] if options.labels else labels_beside(file.with_name(f"{stem_of(file)}.tif"))
        found.append(_labelled(file, names, own, beside, options))
    return tuple(found)


def _labelled(
    file: Path, bands: tuple[str, ...], reading: Reading, labels: list[Path], options: WindowOptions
) -> LabelledScene:
    """Find the windows of a scene at the first of these label files."""
    own, gaps_found = with_gaps(file, bands, reading)
    with open_scene(file, bands, own) as scene:
        windows = labelled_windows(scene, labels[0], options)
        places = _places(scene.place, windows.corners, options.window_px)
        gaps = "no-data pixels or clouds" if scene.masks else "no-data pixels"
        notes = [f"{file}: {ASSUMED}"] if scene.assumed else []
        notes += [*scene.notes, *gaps_found]
    if labels[1:]:
        others = ", ".join(other.name for other in labels[1:])
        notes.append(f"{labels[0]}: read as the labels, not {others} beside it")
    notes += [*windows.notes, *_left_out(file, windows, options.window_px, gaps)]
    return LabelledScene(file, bands, own, windows, places, gaps, tuple(notes))


def _left_out(file: Path, windows: WindowLabels, window_px: int, gaps: str) -> list[str]:
    """List the labels without a window, one line for each reason."""
    found = [windows.elsewhere] if windows.elsewhere else []
    if windows.beyond and not windows.elsewhere:
        found.append(f"{file}: {windows.beyond} of {windows.labels} labels do not lie on the scene")
    if windows.outside:
        found.append(f"{file}: {windows.outside} labels left out: their window of {window_px} px crosses the edge")
    if windows.holes:
        found.append(f"{file}: {windows.holes} labels left out: their window of {window_px} px has {gaps}")
    return found


def _require_same(own: tuple[str, ...], names: tuple[str, ...], file: Path, first: Path) -> None:
    """Check that a scene has the bands of the first one, in any order and spelling."""
    if names and {sentinel_name(name) for name in own} != {sentinel_name(name) for name in names}:
        raise UserError(
            f"{file}: has bands {', '.join(own)}, but {first.name} has {', '.join(names)}; name those that all have "
            "with data.bands"
        )


def _require_pixels(place: Place, side: float, file: Path, first: Path) -> None:
    """Check that a scene has the pixel size of the first one."""
    if abs(place.transform.a - side) > 1e-4 * side:
        raise UserError(
            f"{file}: has pixels of {place.transform.a:g} m, but {first.name} has {side:g} m; resample it "
            f"(rio warp --res {side:g})"
        )


def _places(place: Place, corners: Indices, window_px: int) -> Footprints | None:
    found = place_of(place)
    if found is None:
        return None
    transform = place.transform
    left, top = transform.c + corners[:, 1] * transform.a, transform.f + corners[:, 0] * transform.e
    bounds = np.column_stack((left, top + window_px * transform.e, left + window_px * transform.a, top))
    return Footprints(np.full(len(corners), found[0]), bounds)
