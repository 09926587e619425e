"""Folders with a file for each band: what they are, and the names of their bands, from file names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.bands import PRESETS, sentinel_name
from compactnas.scenes.finding import find_product
from compactnas.scenes.kinds import is_scene_folder, scenes_in, stem_of

READING = Reading()
LANDSAT = "LC09_L2SP_193023_20230601_20230607_02_T1"
OLDER = "LT05_L2SP_193023_19900601_20200607_02_T1"
TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
COMMON = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")
SEVEN = tuple(f"SR_B{number}" for number in range(1, 8))

FOLDERS = {
    "Copernicus": ([f"T33UUU_20230601T101601_{name}_10m.jp2" for name in TEN], TEN),
    "Copernicus, plain names": ([f"{name}.tif" for name in TEN], TEN),
    "old names of bands": ([f"B{number}.TIF" for number in (2, 3, 4)], TEN[:3]),
    "Earth Search": ([f"{name}.tif" for name in (*COMMON, "aot", "visual", "wvp", "scl")], TEN),
    "Earth Search, long names": ([f"S2B_33UUU_20230601_0_L2A_{name}.tif" for name in COMMON], TEN),
    "Landsat": ([f"{LANDSAT}_{name}.TIF" for name in (*SEVEN, "QA_PIXEL", "ST_B10", "SR_QA_AEROSOL")], SEVEN),
    "Landsat, common names": ([f"{LANDSAT}_{name}.TIF" for name in ("blue", "red", "nir08")], (*SEVEN[1:4:2], "SR_B5")),
    "Landsat 5": ([f"{OLDER}_SR_B{number}.TIF" for number in (1, 2, 3, 4, 5, 7)], SEVEN[1:]),
    "Landsat, names of bands alone": ([f"{name}.tif" for name in SEVEN], SEVEN),
    "HLS of Sentinel-2": ([f"HLS.S30.T33UUU.2023152T101601.v2.0.{name}.tif" for name in (*TEN, "Fmask")], TEN),
    "HLS of Landsat": (
        [f"HLS.L30.T33UUU.2023152T101601.v2.0.B0{number}.tif" for number in (1, 2, 3, 4, 5, 6, 7, 9)],
        SEVEN,
    ),
}


def touched(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("kind", FOLDERS)
def test_bands_are_recognised_by_file_names(kind: str, tmp_path: Path) -> None:
    names, bands = FOLDERS[kind]
    folder = touched(tmp_path / "scene", names)
    assert is_scene_folder(folder)
    assert find_product(folder, READING).bands == bands


def test_numbers_of_products_are_scaled_as_their_makers_say(tmp_path: Path) -> None:
    landsat = find_product(touched(tmp_path / "a", FOLDERS["Landsat"][0]), READING)
    assert (landsat.scale, landsat.offset, landsat.fill, landsat.mask) == (2.75e-5, -0.2, 0, "QA_PIXEL")
    assert landsat.bits == 2**0 + 2**1 + 2**2 + 2**3 + 2**4 + 2**5 and not landsat.notes
    hls = find_product(touched(tmp_path / "b", FOLDERS["HLS of Sentinel-2"][0]), READING)
    assert (hls.scale, hls.offset, hls.fill, hls.mask) == (1e-4, 0, -9999, "Fmask")
    assert hls.bits == 2**1 + 2**2 + 2**3 + 2**4
    older = find_product(touched(tmp_path / "c", FOLDERS["Landsat 5"][0]), READING)
    assert "bands of LT05 are named as those of Landsat 8" in older.notes[0]
    plain = find_product(touched(tmp_path / "d", ["B02.tif", "B03.tif"]), Reading(caller="data"))
    assert "give data.offset -1000" in plain.notes[0]


WRONG = {
    "two scenes": ([f"{LANDSAT}_SR_B2.TIF", f"{OLDER}_SR_B2.TIF"], f"holds two scenes \\({LANDSAT}, {OLDER}\\)"),
    "Level 1": ([f"{LANDSAT.replace('L2SP', 'L1TP')}_B2.TIF"], "without surface reflectance; download Level 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_folder_that_cannot_be_used_is_one_line(name: str, tmp_path: Path) -> None:
    names, said = WRONG[name]
    with pytest.raises(UserError, match=said):
        find_product(touched(tmp_path / "scene", names), READING)


def test_the_scenes_of_a_folder_are_listed_without_labels(tmp_path: Path) -> None:
    touched(tmp_path, ["A.TIF", "A_lcz.tif", "b.tiff", "c.vrt", "d.nc", "b.geojson", "notes.txt"])
    touched(tmp_path / "e.SAFE", [])
    touched(tmp_path / "f", ["B02.tif", "B03.tif"])
    touched(tmp_path / "forest", ["1.tif", "2.tif"])
    found = scenes_in(tmp_path)
    assert [path.name for path in found] == ["A.TIF", "b.tiff", "c.vrt", "d.nc", "e.SAFE", "f"]
    assert [stem_of(path) for path in found] == ["A", "b", "c", "d", "e", "f"]
    assert not is_scene_folder(tmp_path)
    labelled = touched(tmp_path / "g", ["oslo_red.tif", "oslo_red.geojson", "rome_blue.tif", "rome_blue_lcz.tif"])
    assert not is_scene_folder(labelled) and len(scenes_in(labelled)) == 2


def test_presets_name_each_band_once() -> None:
    for name, bands in PRESETS.items():
        assert len(set(bands)) == len(bands)
        assert name == "eurosat" or name.endswith(f"-{len(bands)}")
    assert PRESETS["s2-10"] == TEN


def test_bands_of_landsat_are_none_of_sentinel() -> None:
    assert [sentinel_name(name) for name in ("SR_B5", "B5", "nir08", "LC08_B5")] == ["SR_B5", "B05", "B8A", "LC08_B5"]
