"""Rasters of labels as people have them: the LCZ of each pixel, what was assumed, and one line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.map_files import write_raster

from compactnas.errors import UserError
from compactnas.labels import rasters
from compactnas.labels.rasters import opened_labels

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
WANTED = np.array([[0, 1, 10], [11, 17, 0]], np.uint8)


def read(file: Path, band: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """LCZ numbers of a whole raster, and notes."""
    with opened_labels(file, band) as labels:
        strips = [strip for _, strip in labels.strips()]
        return np.concatenate(strips), labels.notes


def written(folder: Path, values: object, dtype: str, **changes: object) -> Path:
    return write_raster(folder / "l.tif", np.array(values, dtype)[None], 100.0, **changes)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("codes", [False, True], ids=["1 to 17", "101 to 107"])
def test_every_type_and_both_numberings_are_read(tmp_path: Path, dtype: str, codes: bool) -> None:
    values = np.where(codes & (WANTED > 10), WANTED.astype(int) + 90, WANTED)
    found, notes = read(written(tmp_path, values, dtype))
    np.testing.assert_array_equal(found, WANTED)
    assert len(notes) == codes and all("codes 101 to 107 are read as LCZ A to G" in note for note in notes)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("uint8", 255),
        ("int8", -1),
        ("int16", -999),
        ("int16", -32768),
        ("int32", -9999),
        ("uint16", 65535),
        ("float32", -999),
        ("float32", -3.4028234663852886e38),
        ("float64", np.inf),
    ],
)
def test_usual_no_data_is_no_label_declared_or_not(tmp_path: Path, dtype: str, value: float) -> None:
    values = np.where(WANTED == 0, value, WANTED.astype(float))
    found, notes = read(written(tmp_path, values, dtype))
    np.testing.assert_array_equal(found, WANTED)
    assert len(notes) == 1 and f"2 pixels hold {value:g}, which the file does not declare" in notes[0]
    if np.isfinite(value):
        found, notes = read(written(tmp_path, values, dtype, nodata=value))
        np.testing.assert_array_equal(found, WANTED)
        assert notes == ()


def test_nan_is_no_label_and_needs_no_note(tmp_path: Path) -> None:
    found, notes = read(written(tmp_path, np.where(WANTED == 0, np.nan, WANTED), "float32"))
    np.testing.assert_array_equal(found, WANTED)
    assert notes == ()


@pytest.mark.parametrize("value", [18, 100, 108, -2, 14.5, 254], ids=str)
def test_any_other_number_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    values = np.ones((5, 4))
    values[2, 1], values[3, 3] = 255, value
    file = written(tmp_path, values, "float32")
    for pixels in (rasters.STRIP_PIXELS, 1):
        monkeypatch.setattr(rasters, "STRIP_PIXELS", pixels)
        with pytest.raises(UserError, match=rf"l\.tif: holds {value:g}; labels are LCZ numbers .*row 3, column 3, or"):
            read(file)


def test_a_declared_no_data_may_be_a_class(tmp_path: Path) -> None:
    found, _ = read(written(tmp_path, WANTED, "uint8", nodata=17))
    np.testing.assert_array_equal(found, np.where(WANTED == 17, 0, WANTED))


def three(folder: Path, *names: str | None, dtype: str = "float32") -> Path:
    bands = np.stack([WANTED * 0 + 80, np.full_like(WANTED, 3), WANTED]).astype(dtype)
    return write_raster(folder / "l.tif", bands, 100.0, descriptions=names, photometric="minisblack")


def test_the_band_of_classes_is_found_or_named(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(three(tmp_path, "classProbability", "lczFilter", "lcz"))[0], WANTED)
    file = three(tmp_path, "classProbability", "lczFilter", "LCZ")
    np.testing.assert_array_equal(read(file)[0], WANTED)
    for band in ("lczFilter", "LCZFILTER", "2"):
        assert (read(file, band)[0] == 3).all()
    file = three(tmp_path, "classProbability", "lczFilter", None)
    assert (read(file)[0] == 3).all() and read(file)[1] == ()
    with pytest.raises(UserError, match=r"^data.label_band lcz: .*l\.tif has 1 classProbability, 2 lczFilter, 3$"):
        read(file, "lcz")
    file = three(tmp_path, None, None, None)
    np.testing.assert_array_equal(read(file, "3")[0], WANTED)
    with pytest.raises(UserError, match="holds 80"):
        read(file)


def test_a_guessed_band_is_said(tmp_path: Path) -> None:
    file = write_raster(tmp_path / "l.tif", np.stack([WANTED] * 2).astype("int16"), 100.0)
    (note,) = read(file)[1]
    assert "none of its 2 bands is described as lcz; band 1 is read (data.label_band)" in note


def test_a_picture_is_named_as_one(tmp_path: Path) -> None:
    colours = np.array([[[140, 255]], [[0, 153]], [[0, 85]]], np.uint8)
    file = write_raster(tmp_path / "l.tif", colours, 100.0, photometric="rgb")
    with pytest.raises(UserError, match=r"is a picture in red, green and blue .*give the raster of classes"):
        read(file)


def test_a_palette_file_holds_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, WANTED, "uint8")
    with rasterio.open(file, "r+") as raster:
        raster.write_colormap(1, {number: (number, 0, 0, 255) for number in range(18)})
    np.testing.assert_array_equal(read(file)[0], WANTED)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crs": None}, "has no coordinate system; set the one"),
        ({"dtype": "complex64"}, "holds numbers of type complex64"),
    ],
    ids=["no system", "complex"],
)
def test_what_is_no_raster_of_labels_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    dtype = str(changes.pop("dtype", "uint8"))
    with pytest.raises(UserError, match=message):
        read(written(tmp_path, WANTED, dtype, **changes))
