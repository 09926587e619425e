"""No failed write of a GeoTIFF is silent, although GDAL may not tell it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from compactnas.io import forgiving_file
from compactnas.io.forgiving_file import ForgivingFile
from compactnas.scenes import writing

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

PROFILE: dict[str, Any] = {
    "dtype": "uint8",
    "count": 1,
    "height": 520,
    "width": 530,
    "crs": "EPSG:32633",
    "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
    "nodata": 0,
}
NUMBERS = np.random.default_rng(0).integers(1, 255, (1, 520, 530)).astype(np.uint8)


def fill(raster: Any) -> None:
    for row in (0, 260):
        raster.write(NUMBERS[:, row : row + 260], window=rasterio.windows.Window(0, row, 530, 260))
    raster.descriptions = ("one",)
    raster.scales = (0.0001,)


def write(kind: str, file: Path) -> None:
    with writing.geotiff(file, PROFILE) if kind == "plain" else writing.cloud_optimised(file, PROFILE, {}) as raster:
        fill(raster)


def test_a_whole_file_is_as_it_was_written(tmp_path: Path) -> None:
    write("cloud_optimised", tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read(), NUMBERS) and raster.descriptions == ("one",)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


class Faulty(FileIO):
    """File of which operations of one kind fail: one of them, or all from one on; `left` counts down to it."""

    kind: ClassVar[str] = ""
    left: ClassVar[int] = 0
    lasting: ClassVar[bool] = False

    def __init__(self, path: Any, mode: str) -> None:
        if "w" in mode or Path(path).exists():  # GDAL looks for many files that are not there
            self.tried("open", path)
        super().__init__(path, mode)

    def write(self, content: Any) -> int:
        self.tried("write", self.name)
        return super().write(content)

    def readinto(self, buffer: Any) -> int:
        self.tried("read", self.name)
        return super().readinto(buffer)

    @classmethod
    def tried(cls, kind: str, name: Any) -> None:
        cls.left -= kind == cls.kind
        if kind == cls.kind and (cls.left == 0 or (cls.lasting and cls.left < 0)):
            raise OSError(errno.EIO, "Input/output error", str(name))


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Path], int]:
    """Function that writes a file and counts operations of a kind, which can fail afterwards."""
    monkeypatch.setattr(forgiving_file, "FileIO", Faulty)

    def count(kind: str, how: str, file: Path) -> int:
        Faulty.kind, Faulty.left, Faulty.lasting = kind, 0, False
        write(how, file)
        return -Faulty.left

    return count


@pytest.mark.parametrize("how", ["plain", "cloud_optimised"])
@pytest.mark.parametrize(
    ("kind", "least", "every"),
    [("write", 5, 3), ("write from then on", 5, 2), ("read", 5, 20), ("read from then on", 5, 20), ("open", 1, 1)],
)
def test_each_failed_operation_is_told_and_the_process_survives(
    how: str, kind: str, least: int, every: int, tmp_path: Path, operations: Callable[[str, str, Path], int]
) -> None:
    file, first = tmp_path / "a.tif", kind.split()[0]
    count = operations(first, how, file)
    wanted = file.read_bytes()
    assert count >= least
    for number in range(1, count + 1, every):
        Faulty.left, Faulty.lasting = number, "from" in kind
        with pytest.raises(OSError, match=rf"Input/output error: '{tmp_path}/(plain_)?a\.tif(\.ovr\.tmp)?'"):
            write(how, file)
    Faulty.kind = ""
    write(how, file)
    assert file.read_bytes() == wanted


def test_a_failed_write_of_a_large_file_needs_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operations: Callable[[str, str, Path], int]
) -> None:
    monkeypatch.setattr(forgiving_file, "RECENT_BYTES", 100_000)  # the file has 300,000
    file = tmp_path / "a.tif"
    for number in range(1, operations("write", "cloud_optimised", file) + 1, 5):
        Faulty.left, Faulty.lasting = number, True
        with pytest.raises(OSError, match="Input/output error"):
            write("cloud_optimised", file)


def test_files_of_others_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("test")  # rasterio tries this name; reading would wait for ever
    write("cloud_optimised", tmp_path / "a.tif")


def test_files_are_those_that_gdal_writes_itself(tmp_path: Path) -> None:
    from rasterio.shutil import copy

    write("cloud_optimised", tmp_path / "a.tif")
    tiled = {"tiled": True, "blockxsize": writing.TILE, "blockysize": writing.TILE}
    with rasterio.open(tmp_path / "plain.tif", "w", driver="GTiff", **tiled, **PROFILE) as raster:
        fill(raster)
    copy(tmp_path / "plain.tif", tmp_path / "b.tif", driver="COG", compress="deflate", predictor="yes", blocksize=256)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is part of Linux")
def test_a_forgiving_file_keeps_the_first_error_and_what_was_written() -> None:
    with ForgivingFile("/dev/full", "w+") as file:
        assert file.write(b"abc") == 3 and file.write(b"d") == 1
        file.seek(1)
        assert file.read(9) == b"bcd" and file.tell() == 4 and file.seek(0, os.SEEK_END) == 4
        file.truncate(2)
        assert file.seek(0) == 0 and file.read() == b"ab"
    (error,) = file.errors
    assert error.errno == errno.ENOSPC and error.filename == "/dev/full"


def test_recent_content_is_limited() -> None:
    recent = forgiving_file.Recent()
    for number in range(20):
        recent.add(number * 2**20, bytes([number]) * 2**20)
    recent.add(19 * 2**20 + 1, b"!!")
    buffer = bytearray(4)
    assert recent.lay_over(0, memoryview(buffer), 2) == 2 and buffer == bytes(4)  # the oldest are forgotten
    assert recent.lay_over(19 * 2**20, memoryview(buffer), 0) == 4 and buffer == b"\x13!!\x13"
    assert recent.size == 20 * 2**20 and recent._held <= forgiving_file.RECENT_BYTES
