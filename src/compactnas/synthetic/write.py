"""Write a synthetic world: HDF5 files in So2Sat's layout with city and geo columns, and GeoTIFF scenes."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.io.appearing import appearing
from compactnas.scenes.files import require_rasterio
from compactnas.synthetic.geotiff import write_scene
from compactnas.synthetic.hdf5 import Hdf5Writer
from compactnas.synthetic.materials import BANDS
from compactnas.synthetic.patches import Patches, Side, cut_patches
from compactnas.synthetic.plan import CLASSES, PATCH_PX, SMALLEST_PX
from compactnas.synthetic.scene import CityScene, make_city

Progress = Callable[[str, int, int], None]
_SIDES: dict[str, Side] = {"training": "all", "validation": "west", "testing": "east"}


def write_world(
    path: str | Path,
    *,
    cities: int = 9,
    test_cities: int = 3,
    patches: int = 3000,
    scene_px: int = 320,
    seed: int = 0,
    scenes: bool = False,
    dtype: Literal["float32", "float64"] = "float32",
    progress: Progress | None = None,
) -> None:
    """Make cities, and write their patches in the layout of So2Sat: training, validation, testing.

    Training patches come from `cities` cities. Each of `test_cities` other cities gives its west half to
    validation and its east half to testing, with as many patches from a half as from a training city.
    Every part has all 17 classes. The same arguments give the same bytes.

    Args:
        path: Folder to write; it must not exist or must be empty.
        cities: Number of cities of the training part.
        test_cities: Number of cities of the validation and test parts.
        patches: Number of patches of the training part.
        scene_px: Side of the scene of a city, in pixels of 10 m.
        seed: Random seed of the world; city k is `make_city(city_seed(seed, k), scene_px)`.
        scenes: Also write each city as GeoTIFF, `scenes/NAME.tif` and `scenes/NAME_lcz.tif`.
        dtype: Data type of the patches; float64 is So2Sat's own and takes twice the space.
        progress: Callback with the name of the finished city, the number of finished cities, and the number of all.

    Raises:
        UserError: The numbers do not fit together, the folder is in use, the disk is full, or rasterio
            is missing for `scenes`.
    """
    path = Path(path)
    _check(cities, test_cities, patches, scene_px, seed)
    if scenes:
        require_rasterio("scenes")
    sizes = {part: _shares(total, number) for part, total, number in _parts(cities, test_cities, patches)}
    with appearing(path, empty=True) as folder, _full_disk(path), ExitStack() as stack:
        _require_room(path.parent, sum(map(sum, sizes.values())), np.dtype(dtype).itemsize)
        files = {
            part: stack.enter_context(closing(_Part(folder, part, sum(counts), dtype)))
            for part, counts in sizes.items()
        }
        names = []
        for index in range(cities + test_cities):
            scene = make_city(city_seed(seed, index), scene_px)
            names.append(scene.name)
            for part in ("training",) if index < cities else ("validation", "testing"):
                count = sizes[part][index if part == "training" else index - cities]
                rng = np.random.default_rng((seed, index, len(part)))
                files[part].add(scene, cut_patches(scene, count, _SIDES[part], rng))
            if scenes:
                write_scene(scene, folder / "scenes")
            if progress is not None:
                progress(scene.name, index + 1, cities + test_cities)
        for file in files.values():
            file.finish()
        _write_description(folder, seed, scene_px, names[:cities], names[cities:], sizes)


def _write_description(
    folder: Path, seed: int, scene_px: int, training: list[str], testing: list[str], sizes: dict[str, list[int]]
) -> None:
    """Write `world.json`, the description of the world."""
    about = {
        "made": "by compactnas, a procedural world: no real place",
        "seed": seed,
        "scene_px": scene_px,
        "training_cities": training,
        "validation_and_testing_cities": testing,
        "patches": {part: sum(counts) for part, counts in sizes.items()},
        "bands": BANDS,
    }
    (folder / "world.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def city_seed(seed: int, index: int) -> int:
    """Seed of the world's `index`-th city; worlds of neighbouring seeds share none."""
    return seed * 1000 + index


def _parts(cities: int, test_cities: int, patches: int) -> tuple[tuple[str, int, int], ...]:
    half = test_cities * (patches // cities)
    return ("training", patches, cities), ("validation", half, test_cities), ("testing", half, test_cities)


def _shares(total: int, number: int) -> list[int]:
    return [total // number + (index < total % number) for index in range(number)]


def _check(cities: int, test_cities: int, patches: int, scene_px: int, seed: int) -> None:
    for name, value, least in (("cities", cities, 1), ("test_cities", test_cities, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"{name}: {value} is less than {least}")
    if cities + test_cities > 1000:
        raise UserError(f"cities, test_cities: {cities + test_cities} cities; a world holds at most 1000")
    if patches < CLASSES * cities:
        raise UserError(f"patches: {patches} is too few; {cities} cities with 17 classes each need {CLASSES * cities}")
    if scene_px < SMALLEST_PX:
        raise UserError(
            f"scene_px: {scene_px} is too small for 17 classes in each half of a city; give at least {SMALLEST_PX}"
        )


@contextmanager
def _full_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{path}: the disk is full; free some room or choose another place") from error
        raise


def _require_room(folder: Path, patches: int, item_bytes: int) -> None:
    needed = patches * (PATCH_PX * PATCH_PX * len(BANDS) * item_bytes + 300)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: the world needs {needed / 1e6:.0f} MB, but the disk has {free / 1e6:.0f} MB free; "
            "free some room or choose another place"
        )


class _Part:
    """`PART.h5` and `PART_geo.h5`, filled city by city."""

    def __init__(self, folder: Path, name: str, patches: int, dtype: str) -> None:
        self._writers = Hdf5Writer(folder / f"{name}.h5"), Hdf5Writer(folder / f"{name}_geo.h5")
        pixels, geo = (writer.file for writer in self._writers)
        self._columns: dict[str, h5py.Dataset] = {
            "sen2": pixels.create_dataset("sen2", (patches, PATCH_PX, PATCH_PX, len(BANDS)), dtype),
            "label": pixels.create_dataset("label", (patches, CLASSES), "float64"),
            "epsg": geo.create_dataset("epsg", (patches, 1), "int32"),
            "tfw": geo.create_dataset("tfw", (patches, 6), "float64"),
            "city": geo.create_dataset("city", (patches, 1), "S32"),
        }
        self._filled = 0

    def add(self, scene: CityScene, patches: Patches) -> None:
        rows = slice(self._filled, self._filled + len(patches.classes))
        values: dict[str, NDArray[np.generic]] = {
            "sen2": patches.pixels,
            "label": np.eye(CLASSES)[patches.classes],
            "epsg": np.full((len(patches.classes), 1), scene.epsg, np.int32),
            "tfw": patches.tfw,
            "city": np.full((len(patches.classes), 1), scene.name.encode(), "S32"),
        }
        for key, value in values.items():
            self._columns[key][rows] = value
        self._filled = rows.stop
        self._check()

    def finish(self) -> None:
        """Close the files of a whole part.

        Raises:
            OSError: They could not be written.
        """
        assert self._filled == len(self._columns["label"])
        self.close()
        self._check()

    def close(self) -> None:
        """Close the files, also after an error."""
        for writer in self._writers:
            writer.close()

    def _check(self) -> None:
        for writer in self._writers:
            writer.check()
