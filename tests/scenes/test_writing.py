"""No failed write of a GeoTIFF is silent, although GDAL may not tell it."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from compactnas.io.forgiving_file import ForgivingFile
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


def write(kind: str, file: Path) -> None:
    with writing.geotiff(file, PROFILE) if kind == "plain" else writing.cloud_optimised(file, PROFILE, {}) as raster:
        fill(raster)


def test_a_whole_file_is_as_it_was_written(tmp_path: Path) -> None:
    write("cloud_optimised", tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read(), NUMBERS) and raster.descriptions == ("one", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


class Failing(ForgivingFile):
    """File of which one write fails; `left` counts down to it."""

    left: ClassVar[int] = 0

    def write(self, content: Any) -> int:
        Failing.left -= 1
        if Failing.left == 0:
            self.error = OSError(errno.EIO, "Input/output error", str(self.name))
        return super().write(content)


@pytest.mark.parametrize(("kind", "least"), [("plain", 5), ("cloud_optimised", 21)])
def test_each_failed_write_is_told(kind: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ForgivingFile", Failing)
    monkeypatch.setattr(Failing, "left", 0)
    file = tmp_path / "a.tif"
    write(kind, file)
    wanted, writes = file.read_bytes(), -Failing.left
    assert writes >= least
    for number in range(1, writes + 1):
        Failing.left = number
        with pytest.raises(OSError, match=rf"Input/output error: '{tmp_path}/(plain_)?a\.tif"):
            write(kind, file)
    Failing.left = 0
    write(kind, file)
    assert file.read_bytes() == wanted


class FailingReads(FileIO):
    """File of which one read fails, below a `ForgivingFile`; `left` counts down to it."""

    left: ClassVar[int] = 0

    def read(self, size: int | None = -1) -> bytes:
        FailingReads.left -= 1
        if FailingReads.left == 0:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(-1 if size is None else size) or b""


class Unreadable(ForgivingFile, FailingReads):
    """`ForgivingFile` whose system fails to read."""


def test_a_failed_read_of_a_half_written_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ForgivingFile", Unreadable)
    file = tmp_path / "a.tif"
    monkeypatch.setattr(FailingReads, "left", 0)
    write("plain", file)
    reads = -FailingReads.left
    FailingReads.left = reads // 3  # GDAL goes on after this one, and loses what it held
    with pytest.raises(OSError, match=rf"Input/output error: '{file}'"):
        write("plain", file)


def test_files_are_those_that_gdal_writes_itself(tmp_path: Path) -> None:
    from rasterio.shutil import copy

    write("cloud_optimised", tmp_path / "a.tif")
    tiled = {"tiled": True, "blockxsize": writing.TILE, "blockysize": writing.TILE}
    with rasterio.open(tmp_path / "plain.tif", "w", driver="GTiff", **tiled, **PROFILE) as raster:
        fill(raster)
    copy(tmp_path / "plain.tif", tmp_path / "b.tif", driver="COG", compress="deflate", predictor="yes", blocksize=256)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is part of Linux")
def test_a_forgiving_file_keeps_the_first_error() -> None:
    with ForgivingFile("/dev/full", "w") as file:
        assert file.write(b"abc") == 3 and file.write(b"d") == 1
    assert isinstance(file.error, OSError) and file.error.errno == errno.ENOSPC and file.error.filename == "/dev/full"


def test_a_forgiving_file_keeps_an_error_of_reading_and_of_moving() -> None:
    reading, writing_end = os.pipe()
    with ForgivingFile(reading, "r") as file:
        os.close(writing_end)
        assert file.seek(3) == 0 and file.tell() == 0 and file.read(1) == b""
    assert isinstance(file.error, OSError) and file.error.errno == errno.ESPIPE
