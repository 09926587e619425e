"""A GeoTIFF is compared with what was written: GDAL may not tell that a write failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactnas.errors import UserError
from compactnas.scenes import writing

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

PROFILE: dict[str, Any] = {
    "dtype": "uint16",
    "count": 2,
    "height": 70,
    "width": 90,
    "crs": "EPSG:32633",
    "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
    "nodata": 0,
}
NUMBERS = np.random.default_rng(0).integers(1, 9999, (2, 70, 90)).astype(np.uint16)


def fill(raster: Any) -> None:
    for row in (0, 35):
        raster.write(NUMBERS[:, row : row + 35], window=rasterio.windows.Window(0, row, 90, 35))
    raster.descriptions = ("one", "two")
    raster.scales = (0.0001, 0.0001)


def test_a_whole_file_is_as_it_was_written(tmp_path: Path) -> None:
    with writing.cloud_optimised(tmp_path / "a.tif", PROFILE, {}) as raster:
        fill(raster)
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read(), NUMBERS) and raster.descriptions == ("one", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def lose(file: Path) -> None:
    """Lose a tile, as a failed write does."""
    with rasterio.open(file, "r+") as raster:
        raster.write(np.zeros((2, 10, 10), np.uint16), window=rasterio.windows.Window(40, 20, 10, 10))


def rename(file: Path) -> None:
    """Lose the name of a band."""
    with rasterio.open(file, "r+") as raster:
        raster.set_band_description(2, "other")


@pytest.mark.parametrize("harm", [lose, rename])
def test_a_copy_that_is_not_as_it_was_written_is_refused(
    harm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rasterio import shutil

    def copy(source: Path, target: Path, **options: Any) -> None:
        harm(source_copy(source))
        original(source_copy(source), target, **options)

    def source_copy(source: Path) -> Path:
        other = tmp_path / "other.tif"
        if not other.exists():
            other.write_bytes(source.read_bytes())
        return other

    original = shutil.copy
    monkeypatch.setattr(shutil, "copy", copy)
    with (
        pytest.raises(UserError, match="what was read again is not what was written"),
        writing.cloud_optimised(tmp_path / "a.tif", PROFILE, {}) as raster,
    ):
        fill(raster)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("level", [None, 0])
def test_lost_bytes_between_tiles_are_refused(
    place: str, level: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rasterio import shutil

    original = shutil.copy

    def copy(source: Path, target: Path, **options: Any) -> None:
        original(source, target, **options)
        with rasterio.open(target) as raster:
            assert raster.overviews(1) == [2, 4]
            offset, size = (
                int(raster.get_tag_item(f"BLOCK_{what}_0_0", "TIFF", bidx=1, ovr=level)) for what in ("OFFSET", "SIZE")
            )
        with target.open("r+b") as file:
            file.seek(offset - 4 if place == "before" else offset + size)
            file.write(bytes(4))

    monkeypatch.setattr(shutil, "copy", copy)
    profile = PROFILE | {"height": 600, "width": 600}
    with (
        pytest.raises(UserError, match="what was read again is not what was written"),
        writing.cloud_optimised(tmp_path / "a.tif", profile, {}) as raster,
    ):
        raster.write(np.arange(2 * 600 * 600, dtype=np.uint16).reshape(2, 600, 600))


def test_a_plain_file_that_lost_a_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = rasterio.open

    def open_again(file: Any, *how: Any, **options: Any) -> Any:
        if not how and not options:
            with original(file, "r+") as raster:
                raster.write(NUMBERS[:, :1, :1] + 1, window=rasterio.windows.Window(3, 3, 1, 1))
        return original(file, *how, **options)

    monkeypatch.setattr(rasterio, "open", open_again)
    with (
        pytest.raises(UserError, match="what was read again is not what was written"),
        writing.geotiff(tmp_path / "a.tif", PROFILE) as raster,
    ):
        fill(raster)
