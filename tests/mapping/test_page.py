"""The page of a map: it holds the map's own values, loads nothing, escapes every text, and stays below 10 MB."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.map_files import BANDS, EPSG, LEFT, TOP, job, numbers, write_model, write_raster, write_scene
from support.pages import HOSTILE, Page

from compactnas.cli import main
from compactnas.config.reading import Reading
from compactnas.mapping import overview as overviews
from compactnas.mapping.agreement import scene_of
from compactnas.mapping.config import Outputs
from compactnas.mapping.legend import LegendEntry, legend
from compactnas.mapping.mapping import make_map
from compactnas.mapping.overview import Overview, read_overview
from compactnas.mapping.page import layers
from compactnas.mapping.page.ground import Ground
from compactnas.mapping.page.page import Picture, write_page
from compactnas.mapping.picture import picture
from compactnas.scenes.scene import Place

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

LCZ = legend((), lcz=True)


def place_of(rows: int, columns: int, cell: float = 100.0, epsg: int = EPSG, corner: Any = (LEFT, TOP)) -> Place:
    transform = rasterio.Affine(cell, 0, corner[0], 0, -cell, corner[1])
    return Place(rasterio.CRS.from_epsg(epsg), transform, rows, columns)


def labels_of(rows: int, columns: int, classes: int = 17) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, classes + 1, (rows, columns)).astype(np.uint8)


def noise(height: int, width: int) -> Overview:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Overview(pixels, width / 10, height / 10, "scene.tif: true colour (B04, B03, B02)")


def image_of(page: Page, name: str) -> Image.Image:
    """The picture of an element by its id, from its `data:` URI."""
    (source,) = (attributes["src"] for tag, attributes in page.tags if tag == "img" and attributes.get("id") == name)
    return Image.open(io.BytesIO(base64.b64decode(str(source).split(",", 1)[1])))


def rows_of(source: str, key: str) -> list[tuple[str, str, str]]:
    """Name, share and area of each row of a legend."""
    card = source[source.index(f'id="legend-{key}"') :]
    card = card[: card.index("</table>")]
    return re.findall(r"<span>([^<]*)</span></button></th><td>([^<]*)</td><td>([^<]*)</td>", card)


@pytest.mark.parametrize("classes", [2, 15, 16, 17, 254])
def test_a_layer_holds_the_values_of_the_map(classes: int, tmp_path: Path) -> None:
    """In eight bits and without filters, as the script needs them; 0 is transparent, the others have their colours."""
    values = labels_of(23, 31, classes)
    entries = legend([f"class {number}" for number in range(classes)], lcz=False)
    layer = layers.classes("classes", "Classes", values, entries, "")
    page = Page(write_page(tmp_path / "m.html", "m", place_of(23, 31), [layer], None, []))
    image = image_of(page, "layer-classes")
    np.testing.assert_array_equal(np.asarray(image), values)
    assert image.mode == "P" and image.info["transparency"] == 0
    colours = np.asarray(image.convert("RGB"))
    for entry in entries:
        assert (colours[values == entry.number] == entry.rgb).all()
    content = layers.palette_png(values, layer.colours)
    assert content[24:26] == b"\x08\x03"


def test_legends_give_shares_and_areas(tmp_path: Path) -> None:
    values = labels_of(40, 50)
    percent = np.where(values > 0, np.clip(values * 6, 1, 100), 0).astype(np.uint8)
    shown = [layers.classes("classes", "LCZ", values, LCZ, ""), layers.confidence(percent)]
    page = Page(write_page(tmp_path / "m.html", "m", place_of(40, 50), shown, None, []))
    mapped = int((values > 0).sum())
    expected = [
        (entry.name, f"{100 * count / mapped:.1f}", f"{count * 0.01:.2f}")
        for entry in LCZ
        if (count := int((values == entry.number).sum()))
    ]
    assert rows_of(page.source, "classes") == expected
    steps = {name: share for name, share, _ in rows_of(page.source, "confidence")}
    assert len(steps) == 10
    assert steps["90 to 100 %"] == f"{100 * (percent >= 90).sum() / mapped:.1f}"
    assert steps["10 to 19 %"] == f"{100 * ((percent >= 10) & (percent < 20)).sum() / mapped:.1f}"
    assert f"{100 * (values == 0).mean():.1f} % of all cells have no value here" in page.text


def test_the_page_of_a_large_map_stays_below_10_mb(tmp_path: Path) -> None:
    """Random classes, probabilities and colours compress worst of all."""
    values = labels_of(3000, 2999)
    shown = [layers.classes(key, key, values, LCZ, "") for key in ("classes", "filtered")]
    percent = np.random.default_rng(2).integers(1, 101, values.shape).astype(np.uint8)
    made = write_page(
        tmp_path / "m.html",
        "m",
        place_of(3000, 2999),
        [*shown, layers.confidence(percent)],
        Picture.of(noise(1600, 1600)),
        [],
    )
    assert made.stat().st_size < 10e6
    page = Page(made)
    np.testing.assert_array_equal(np.asarray(image_of(page, "layer-filtered")), values[::2, ::2])
    assert "one of 2 x 2 cells" in page.text
    count = (values == 5).sum()
    assert rows_of(page.source, "classes")[4][1] == f"{100 * count / (values > 0).sum():.1f}"


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    values = labels_of(4, 5, 2)
    entries = (LegendEntry(1, HOSTILE[:9], HOSTILE, "#102030"), LegendEntry(2, "", "</script>", "#405060"))
    scene = Overview(np.zeros((4, 5, 3), np.uint8), 5.0, 4.0, HOSTILE)
    shown = [layers.classes("classes", HOSTILE, values, entries, HOSTILE)]
    page = Page(write_page(tmp_path / "m.html", HOSTILE, place_of(4, 5), shown, Picture.of(scene), [HOSTILE]))
    kinds = [tag for tag, _ in page.tags]
    assert kinds.count("script") == 2 and kinds.count("img") == 2
    assert {"link", "iframe", "object", "embed", "use", "image", "form"}.isdisjoint(kinds)
    assert all(value.startswith("data:image/") for value in page.values("src")) and not page.values("href")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not re.search(r"https?:|url\(|@import", page.source)
    script = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    (policy,) = (value for value in page.values("content") if "default-src" in value)
    fingerprint = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{fingerprint}'" in policy and "default-src 'none'" in policy
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.source, re.DOTALL)
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in HOSTILE)
    assert json.loads(data)["layers"][0]["name"] == clean and "<" not in data
    assert page.text.count(clean) >= 3


@pytest.mark.parametrize("edges", ["mirror", "leave"])
@pytest.mark.parametrize("longest", [1000, 40])
def test_the_picture_of_a_scene_is_the_mean_of_its_pixels(
    edges: str, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over blocks from the corner of the map on, stretched between two percentiles, whatever the strips."""
    pixels = numbers(97, 133)
    pixels[:, 20:30, 50:60] = 0
    scene = write_scene(tmp_path / "scene.tif", pixels)
    monkeypatch.setattr(overviews, "LONGEST_PX", longest)
    monkeypatch.setattr(overviews, "STRIP_PIXELS", 1500)
    monkeypatch.setattr(overviews, "STRIP_ROWS", 1)
    first, rows, columns = (0, 10, 14) if edges == "mirror" else (11, 7, 11)
    place = place_of(rows, columns, corner=(LEFT + 10 * first, TOP - 10 * first))
    found = read_overview((scene,), Reading(), BANDS, place)
    times = -(-10 * columns // longest)
    expected = np.full((3, -(-10 * rows // times), -(-10 * columns // times)), np.nan)
    for row in range(expected.shape[1]):
        for column in range(expected.shape[2]):
            y, x = first + row * times, first + column * times
            block = pixels[[2, 1, 0], y : min(y + times, 97), x : min(x + times, 133)].reshape(3, -1) / 10_000
            block = block[:, (block > 0).any(axis=0)]
            if block.shape[1]:
                expected[:, row, column] = block.mean(axis=1)
    assert found.pixels.shape[:2] == expected.shape[1:]
    assert (found.columns, found.rows) == (expected.shape[2] * times / 10, expected.shape[1] * times / 10)
    known = np.isfinite(expected[0])
    assert (found.pixels[~known] == overviews.NOTHING).all() and not known.all()
    for channel in range(3):
        low, high = np.percentile(expected[channel][known], (2, 98))
        stretched = 255 * np.clip((expected[channel][known] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(found.pixels[..., channel][known], stretched, atol=0.6)


@pytest.mark.parametrize(
    ("names", "wanted", "caption"),
    [
        (("red", "nir", "green", "blue"), ("red", "nir", "green", "blue"), "true colour (red, green, blue)"),
        (
            ("SR_B2", "SR_B3", "SR_B4", "SR_B5"),
            ("SR_B2", "SR_B3", "SR_B4", "SR_B5"),
            "true colour (SR_B4, SR_B3, SR_B2)",
        ),
        (("B02", "B03", "B04", "B08"), ("B08",), "true colour (B04, B03, B02)"),
        (("B05", "B06", "B07", "B08"), ("B05", "B06", "B07", "B08"), "B07, B06, B05 as red, green and blue"),
        (("R", "G", "B"), ("R", "G", "B"), "true colour (R, G, B)"),
        (("B08", "B11"), ("B11", "B08"), "B11 in grey"),
    ],
)
def test_the_caption_names_the_bands(names: Any, wanted: Any, caption: str, tmp_path: Path) -> None:
    pixels = numbers(40, 40, len(names))
    scene = write_scene(tmp_path / "scene.tif", pixels, names)
    found = read_overview((scene,), Reading(), wanted, place_of(4, 4))
    assert found.caption == f"scene.tif: {caption}"
    if "grey" in caption:
        assert (found.pixels[..., 0] == found.pixels[..., 2]).all()
    else:
        red = pixels[names.index(re.findall(r"\w+\d|red|R", caption)[0])]
        assert np.corrcoef(found.pixels[..., 0].ravel(), red.ravel())[0, 1] > 0.99
    several = read_overview((scene, scene), Reading(), wanted, place_of(4, 4))
    assert several.caption == f"scene.tif, the first of 2 scenes: {caption}"


def test_clouds_are_shown_but_do_not_set_the_stretch(tmp_path: Path) -> None:
    pixels = numbers(40, 40)
    mask = np.zeros((1, 40, 40), np.uint8)
    mask[0, :20] = 1
    clear = pixels[:, 20:]
    pixels[:, :20] = 12_000
    scene = write_scene(tmp_path / "scene.tif", pixels)
    reading = Reading(mask=str(write_raster(tmp_path / "mask.tif", mask)))
    found = read_overview((scene,), reading, BANDS, place_of(4, 4)).pixels
    assert (found[:20] == 255).all()
    low, high = np.percentile(clear[2], (2, 98))
    np.testing.assert_allclose(found[20:, :, 0], 255 * np.clip((clear[2] - low) / (high - low), 0, 1), atol=0.6)


def test_the_quick_look_shows_the_scene_at_the_left() -> None:
    values = np.repeat(np.repeat(np.array([[1, 17], [12, 7]], np.uint8), 10, 0), 10, 1)
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20, :20], pixels[20:, 20:] = (250, 20, 30), (10, 200, 60)
    made = picture(values, place_of(20, 20), LCZ, "city", Overview(pixels, 20.0, 20.0, "scene.tif: true colour"))
    image = np.asarray(Image.open(io.BytesIO(made)).convert("RGB"))
    side = 900
    top = int(0.75 * 150) + 1
    for left, expected in ((30, [(250, 20, 30), (10, 200, 60)]), (60 + side, [LCZ[0].rgb, LCZ[6].rgb])):
        for quarter, colour in zip((side // 4, 3 * side // 4), expected, strict=True):
            assert np.abs(image[top + quarter, left + quarter].astype(int) - colour).max() <= 1


def test_coordinates_of_the_ground() -> None:
    from rasterio.warp import transform

    place = place_of(300, 500)
    ground = Ground.of(place)
    assert (ground.cell_text, ground.crs, ground.unit, ground.cell_km2) == ("100 m", "EPSG:32633", "m", 0.01)
    (x,), (y,) = transform("EPSG:32633", "EPSG:4326", [LEFT + 25_000], [TOP - 15_000])
    np.testing.assert_allclose(ground.lonlat[40], (x, y), atol=1e-6)  # of 9 x 9 points, the one in the middle
    degrees = Ground.of(place_of(10, 20, 0.01, 4326, (13.0, 60.0)))
    assert degrees.height_m == pytest.approx(1111.95) and degrees.width_m == pytest.approx(1111.95 / 2, rel=2e-3)
    assert degrees.unit == "°" and degrees.lonlat[0] == (13.0, 60.0)
    east = Ground.of(place_of(10, 2000, 0.01, 4326, (170.0, 10.0)))
    assert east.lonlat[-1] == (190.0, 9.9)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a map of `compactnas map`, and its model and scene."""
    folder = tmp_path_factory.mktemp("city")
    model, scene = write_model(folder / "run"), write_scene(folder / "scene.tif", numbers())
    make_map(job(model, scene), folder / "map", Outputs(name="city"), lambda done, total: None, print)
    return folder


def test_a_map_has_a_page_of_its_files(city: Path) -> None:
    about = json.loads((city / "map" / "map.json").read_text())
    page = Page(city / "map" / about["page"])
    with rasterio.open(city / "map" / "city_wudapt.tif") as raster:
        planes = raster.read()
    for name, plane in zip(("classes", "filtered", "confidence"), planes, strict=True):
        np.testing.assert_array_equal(np.asarray(image_of(page, f"layer-{name}")), plane)
    scene = image_of(page, "scene")
    assert scene.format == "JPEG" and scene.size == (130, 100)  # whole cells; the scene has 128 x 96 px
    assert "scene.tif: true colour (B04, B03, B02)" in page.text and "13 x 10 cells of 100 m" in page.text


def test_a_map_of_other_classes_has_a_page_without_filter(tmp_path: Path) -> None:
    model = write_model(tmp_path / "run", ("B04", "B03", "B02"), ["<b>wood</b>", "sea", "sand"], lcz=False)
    scene = write_scene(tmp_path / "scene.tif", numbers())
    about = make_map(job(model, scene), tmp_path / "map", Outputs(), lambda done, total: None, print)
    page = Page(tmp_path / "map" / about["page"])
    assert [value for value in page.values("value") if value.isalpha()] == ["classes", "confidence"]
    assert "<b>wood</b>" in page.text and "b" not in {tag for tag, _ in page.tags}


def test_assess_shows_where_a_map_agrees(city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with rasterio.open(city / "map" / "city_lcz.tif") as raster:
        mapped, profile = raster.read(1), raster.profile
    truth = mapped.copy()
    truth[:3] = truth[:3] % 17 + 1
    truth[8:] = 0
    reference = tmp_path / "truth.tif"
    with rasterio.open(reference, "w", **{**profile, "driver": "GTiff"}) as raster:
        raster.write(truth, 1)
    page_file = tmp_path / "agreement.html"
    words = ["assess", str(city / "map" / "city_lcz.tif"), str(reference), "-o", str(page_file), "--draws", "20"]
    assert main(words) == 0
    assert "OA %" in capsys.readouterr().out
    page = Page(page_file)
    expected = np.where((mapped > 0) & (truth > 0), np.where(mapped == truth, 1, 2), 0)
    np.testing.assert_array_equal(np.asarray(image_of(page, "layer-agreement")), expected)
    np.testing.assert_array_equal(np.asarray(image_of(page, "layer-reference")), truth)
    np.testing.assert_array_equal(np.asarray(image_of(page, "layer-classes")), mapped)
    share = 100 * (expected == 1).sum() / (expected > 0).sum()
    assert rows_of(page.source, "agreement")[0][:2] == ("agrees", f"{share:.1f}")
    assert f"OA {share:.1f} %" in page.text
    assert image_of(page, "scene").size == (130, 100) and "true colour (B04, B03, B02)" in page.text


def test_a_map_of_others_has_no_scene(city: Path, tmp_path: Path) -> None:
    lcz = (city / "map" / "city_lcz.tif").read_bytes()
    (tmp_path / "city_lcz.tif").write_bytes(lcz)
    assert scene_of(tmp_path / "city_lcz.tif") is None
    assert main(["assess", *[str(tmp_path / "city_lcz.tif")] * 2, "-o", str(tmp_path / "a.html")]) == 0
    page = Page(tmp_path / "a.html")
    assert page.values("id").count("scene") == page.values("id").count("opacity") == 0


@pytest.mark.parametrize(
    "broken",
    [
        '{"files": ["city_lcz.tif"], "page": "../city.html"}',
        '{"files": ["city_lcz.tif"], "page": "none.html"}',
        '{"files": ["city_lcz.tif"], "page": "x.html"}',
        '{"files": ["other.tif"], "page": "city.html"}',
        '{"files": 3}',
        "[]",
        "{",
    ],
)
def test_a_broken_description_or_page_gives_no_scene(broken: str, city: Path, tmp_path: Path) -> None:
    folder = tmp_path / "map"
    folder.mkdir()
    page = (city / "map" / "city.html").read_bytes()
    (folder / "city.html").write_bytes(page)
    (tmp_path / "city.html").write_bytes(page)
    (folder / "x.html").write_bytes(page.replace(b"data:image/jpeg", b"http://evil.example/"))
    (folder / "map.json").write_text('{"files": ["city_lcz.tif"], "page": "city.html"}')
    assert scene_of(folder / "city_lcz.tif") is not None
    (folder / "map.json").write_text(broken)
    assert scene_of(folder / "city_lcz.tif") is None
