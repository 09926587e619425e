"""Scenes that cannot be mapped: one line that says what to do, and nothing left behind."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.map_files import (
    BANDS,
    FakeEngine,
    job,
    numbers,
    write_model,
    write_product,
    write_raster,
    write_scene,
)

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.mapping import grid
from compactnas.mapping.config import MapConfig, Outputs
from compactnas.mapping.job import FORMAT, digest
from compactnas.mapping.mapping import PART, make_map
from compactnas.version import __version__

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
PIXELS = numbers(40, 44)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "run")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.mapping.executor.open_engine", lambda *_: FakeEngine())


def missing_band(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS[1:], BANDS[1:])]


def band_twice(where: Path) -> list[Any]:
    names = ["B3", *(name.replace("B0", "B") for name in BANDS)]
    return [write_scene(where / "s.tif", PIXELS[[0, *range(10)]], names)]


def unknown_order(where: Path) -> list[Any]:
    return [write_raster(where / "s.tif", PIXELS)]


def counted_bands(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS, [f"Band {number}" for number in range(1, 11)])]


def too_few_names(where: Path) -> list[Any]:
    return [write_raster(where / "s.tif", PIXELS), "--bands", "B02,B03"]


def degrees(where: Path) -> list[Any]:
    place = rasterio.Affine(0.0001, 0, 13.4, 0, -0.0001, 52.5)
    return [write_scene(where / "s.tif", PIXELS, crs="EPSG:4326", transform=place)]


def web_mercator(where: Path) -> list[Any]:
    place = rasterio.Affine(10, 0, 1_491_681, 0, -10, 6_891_042)
    return [write_scene(where / "s.tif", PIXELS, crs="EPSG:3857", transform=place)]


def no_crs(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS, crs=None)]


def feet(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS, crs="EPSG:2263")]


def pixels_of_20_m(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS, pixel_m=20.0)]


def turned(where: Path) -> list[Any]:
    place = rasterio.Affine(10, 0, 384_040, 0, 10, 5_820_320)
    return [write_scene(where / "s.tif", PIXELS, transform=place)]


def all_no_data(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", np.full_like(PIXELS, 7), nodata=7)]


def all_masked(where: Path) -> list[Any]:
    mask = write_raster(where / "m.tif", np.ones((1, 40, 44), np.uint8))
    return [write_scene(where / "s.tif", PIXELS), "--mask", mask]


def truncated(where: Path) -> list[Any]:
    file = write_scene(where / "s.tif", PIXELS)
    file.write_bytes(file.read_bytes()[:-20_000])
    return [file]


def no_tiff(where: Path) -> list[Any]:
    (where / "s.tif").write_bytes(b"II*\0 and nothing of the kind")
    return [where / "s.tif"]


def one_pixel(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS[:, :1, :1])]


def other_grid(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS), write_scene(where / "t.tif", PIXELS[:, 1:])]


def half_a_pixel_off(where: Path) -> list[Any]:
    place = rasterio.Affine(10, 0, 384_045, 0, -10, 5_820_320)
    return [write_scene(where / "s.tif", PIXELS), write_scene(where / "t.tif", PIXELS, transform=place)]


def mask_on_another_grid(where: Path) -> list[Any]:
    mask = write_raster(where / "m.tif", np.zeros((1, 39, 44), np.uint8))
    return [write_scene(where / "s.tif", PIXELS), "--mask", mask]


def one_mask_for_two(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS), write_scene(where / "t.tif", PIXELS), "--mask", "m.tif"]


def numbers_as_floats(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS.astype(np.float32))]


def offset_twice(where: Path) -> list[Any]:
    return [write_scene(where / "s.tif", PIXELS, scale=1e-4, offset=-0.1), "--offset", "-1000"]


def empty_folder(where: Path) -> list[Any]:
    (where / "s").mkdir()
    return [where / "s"]


def product_without_a_band(where: Path) -> list[Any]:
    product = write_product(where / "x.SAFE", PIXELS, offset=0)
    next(product.rglob("*_B11.tif")).unlink()
    return [product]


def two_products(where: Path) -> list[Any]:
    for name in ("a.SAFE", "b.SAFE"):
        write_product(where / "both" / name, PIXELS, offset=0)
    return [where / "both"]


def band_twice_in_a_folder(where: Path) -> list[Any]:
    product = write_product(where / "x.SAFE", PIXELS, offset=None)
    write_raster(product / "other_B04.tif", PIXELS[:1])
    return [product]


def band_on_another_grid(where: Path) -> list[Any]:
    product = write_product(where / "x.SAFE", PIXELS, offset=0)
    write_raster(next(product.rglob("*_B8A.tif")), PIXELS[:1, :30])
    return [product]


def metadata_without_scale(where: Path) -> list[Any]:
    product = write_product(where / "x.SAFE", PIXELS, offset=0)
    (product / "MTD_MSIL1C.xml").write_text("<a/>")
    return [product]


def text_as_jp2(where: Path) -> list[Any]:
    product = write_product(where / "x.SAFE", PIXELS, offset=0)
    next(product.rglob("*_B02.tif")).rename(product / "T33UUU_B02.jp2")
    return [product]


def absent(where: Path) -> list[Any]:
    return [where / "s.tif"]


def a_picture(where: Path) -> list[Any]:
    (where / "s.png").write_bytes(b"\x89PNG")
    return [where / "s.png"]


BROKEN = (
    (missing_band, "has no band B02; it has B03, B04"),
    (band_twice, "has band B03 more than once"),
    (unknown_order, "says nothing of the order of its 10 bands; name them with --bands (as in --bands B02,B03,"),
    (counted_bands, "has no band B02; it has Band 1"),
    (too_few_names, "--bands: names 2 bands, and"),
    (degrees, "is in degrees; warp it to UTM first (rio warp --dst-crs EPSG:32633 --res 10)"),
    (web_mercator, "Web Mercator"),
    (no_crs, "has no coordinate system"),
    (feet, "is not in metres"),
    (
        pixels_of_20_m,
        "has pixels of 20 x 20 m, and the network takes 10 m; resample it first (rio warp --res 10), or say with "
        "--pixel-m what the network was trained on",
    ),
    (turned, "is rotated"),
    (all_no_data, "all is no data, or under clouds or the mask"),
    (all_masked, "all is no data, or under clouds or the mask"),
    (truncated, "s.tif: cannot be read as a GeoTIFF"),
    (no_tiff, "s.tif: cannot be read as a GeoTIFF"),
    (one_pixel, "the scene is 1 x 1 pixels, and a window takes 32 x 32"),
    (other_grid, "t.tif: lies on another grid than"),
    (half_a_pixel_off, "t.tif: lies on another grid than"),
    (mask_on_another_grid, "m.tif: the mask lies on another grid than the scene"),
    (one_mask_for_two, "--mask: 1 masks for 2 scenes"),
    (numbers_as_floats, "digital numbers, not reflectance; divide by 10000 to mix with So2Sat; give --scale 0.0001"),
    (offset_twice, "declares an offset of its own (-0.1); leave --offset out"),
    (empty_folder, "has no file of band B02 (found no file of a band)"),
    (product_without_a_band, "has no file of band B11"),
    (two_products, "holds two products"),
    (band_twice_in_a_folder, "has two files of B04"),
    (band_on_another_grid, "lies on another grid than the scene"),
    (metadata_without_scale, "names no QUANTIFICATION_VALUE"),
    (text_as_jp2, "cannot be read as a JPEG 2000 file"),
    (absent, "there is no such file or folder"),
    (a_picture, "is no scene"),
)


@pytest.mark.parametrize(("broken", "said"), BROKEN, ids=[broken.__name__ for broken, _ in BROKEN])
def test_a_broken_scene_is_one_line(
    broken: Any, said: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(word) for word in broken(tmp_path)]
    scenes = [word for word in words if "--" not in word][: len(words) - 2 * sum("--" in word for word in words)]
    capsys.readouterr()
    assert main(["map", str(model), *scenes, "--output", str(tmp_path / "map"), *words[len(scenes) :]]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1 and said in errors[0], errors
    assert not (tmp_path / "map").exists()


MISTAKES = (
    ("--min-valid 0", "--min-valid: 0 is not above 0"),
    ("--stride-px 33", "--stride-px: 33 is not between 1 and the window's side, 32"),
    ("--scale 0", "--scale: 0 is not above 0"),
    ("--cloud-classes clouds", "--cloud-classes: 'clouds' is no list of numbers"),
    ("--name a/b", "--name: 'a/b'"),
    ("--threads -1", "--threads: -1 is negative"),
    ("--edges cut", "--edges: use one of 'mirror', 'leave'; found cut"),
)


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_a_mistaken_option_is_one_line(
    words: str, said: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "s.tif", PIXELS)
    assert main(["map", str(model), str(scene), "--output", str(tmp_path / "map"), *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "map").exists()


def test_an_entity_of_the_metadata_is_not_followed(model: Path, tmp_path: Path) -> None:
    """Numbers in comments, or behind entities, are none; the file is never given to an XML parser."""
    product = write_product(tmp_path / "x.SAFE", PIXELS, offset=-1000)
    text = (product / "MTD_MSIL1C.xml").read_text()
    bomb = (
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><!-- <QUANTIFICATION_VALUE>1</QUANTIFICATION_VALUE> -->'
    )
    (product / "MTD_MSIL1C.xml").write_text(text.replace("<QUANT", f"{bomb}&b;<QUANT"))
    about = make_map(job(model, product), tmp_path / "map", Outputs(), lambda *_: None, lambda _: None)
    assert about["cells"]["without_class"] == 0


def test_what_was_begun_is_not_mixed_with_another_map(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "BLOCK_ROWS", 1)
    scene = write_scene(tmp_path / "s.tif", PIXELS)

    def stop_at_the_second(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_map(job(model, scene), tmp_path / "map", Outputs(), stop_at_the_second, lambda _: None)
    assert len(list((tmp_path / "map" / PART).glob("block_*"))) == 2
    other = write_model(tmp_path / "other", BANDS)
    (other / "model.json").write_text((other / "model.json").read_text() + "\n")
    changed = write_scene(tmp_path / "t.tif", PIXELS + 1)
    for what, differs in (
        (job(other, scene), "model"),
        (job(model, changed), "scene"),
        (job(model, scene, config=MapConfig(min_valid=0.5)), "options"),
    ):
        with pytest.raises(UserError, match=f"holds part of a map of another {differs}; "):
            make_map(what, tmp_path / "map", Outputs(), lambda *_: None, lambda _: None)
    block = tmp_path / "map" / PART / "block_000001.u16"
    block.write_bytes(block.read_bytes()[:-1])  # half a block is none
    begun: list[int] = []
    make_map(job(model, scene), tmp_path / "map", Outputs(), lambda done, _: begun.append(done), lambda _: None)
    assert begun == [5, 10, 15, 20]
    assert not (tmp_path / "map" / PART).exists()


def test_a_map_begun_in_the_dense_mode_of_an_older_version_is_not_resumed(model: Path, tmp_path: Path) -> None:
    what, part = job(model, write_scene(tmp_path / "s.tif", PIXELS)), tmp_path / "map" / PART
    how = {"format": FORMAT, "version": __version__, "engine": what.engine, "reading": asdict(what.readings[0])}
    older = what.fingerprints() | {"options": digest(how | {"mode": "dense"} | asdict(what.config))}
    part.mkdir(parents=True)
    (part / "about.json").write_text(json.dumps({"fingerprint": digest(older), "of": older}))
    for name in (".lock", "likeness.json", "block_000000.u16"):
        (part / name).write_bytes(b"{}")
    with pytest.raises(UserError, match="holds part of a map of another options; "):
        make_map(what, tmp_path / "map", Outputs(), lambda *_: None, lambda _: None)
    assert (part / "likeness.json").exists() and not (tmp_path / "map" / "map.json").exists()
