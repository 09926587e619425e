"""The made world: repeatable, in So2Sat's layout, true to the LCZ table and to where it says it lies."""

from __future__ import annotations

import errno
import hashlib
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from compactnas.config import DataConfig
from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.lcz import NAMES
from compactnas.synthetic import CityScene, city_seed, geotiff, make_city, write, write_world
from compactnas.synthetic.canvas import FINE_M, Canvas, hashed
from compactnas.synthetic.climate import city_name, draw_climate, sun
from compactnas.synthetic.materials import BANDS, Material
from compactnas.synthetic.patches import PURITY
from compactnas.synthetic.plan import SMALLEST_PX, windows
from compactnas.synthetic.properties import PROPERTIES
from compactnas.synthetic.render import cast_shadows, to_sensor, to_surface
from compactnas.synthetic.zones import PAINTERS

PARTS = ("training", "validation", "testing")
SMALL: dict[str, Any] = {"cities": 2, "test_cities": 1, "patches": 120, "scene_px": SMALLEST_PX, "seed": 4}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "world"
    told: list[tuple[str, int, int]] = []
    write_world(folder, **SMALL, progress=lambda *news: told.append(news))
    assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3), (3, 3)]
    return folder


@cache
def city(index: int) -> CityScene:
    """Make a city of the small world again. Tests only read it."""
    return make_city(city_seed(SMALL["seed"], index), SMALL["scene_px"])


@pytest.fixture
def known_cities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next world take its cities from `city`, which makes each once, after `world` made its own."""
    indices = {city_seed(SMALL["seed"], index): index for index in range(3)}
    monkeypatch.setattr(write, "make_city", lambda seed, size: city(indices[seed]))


def read(folder: Path, part: str) -> dict[str, NDArray[Any]]:
    with h5py.File(folder / f"{part}.h5") as patches, h5py.File(folder / f"{part}_geo.h5") as geo:
        return {key: file[key][()] for file in (patches, geo) for key in file}


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.usefixtures("known_cities")
def test_same_arguments_give_the_same_bytes(world: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()  # an empty folder is no obstacle
    write_world(tmp_path / "again", **SMALL)
    assert digests(world) == digests(tmp_path / "again")
    assert not np.array_equal(city(0).reflectance, city(1).reflectance)


@pytest.mark.parametrize("part", PARTS)
def test_layout_is_so2sats(world: Path, part: str) -> None:
    data = read(world, part)
    n = SMALL["patches"] if part == "training" else SMALL["patches"] // SMALL["cities"]
    shapes = {"sen2": (n, 32, 32, 10), "label": (n, 17), "epsg": (n, 1), "tfw": (n, 6), "city": (n, 1)}
    assert {key: value.shape for key, value in data.items()} == shapes
    assert data["sen2"].dtype == np.float32
    assert data["label"].dtype == np.float64
    assert set(np.unique(data["label"])) == {0.0, 1.0}
    assert (data["label"].sum(1) == 1).all()
    assert (data["label"].sum(0) >= 1).all(), "every part holds all 17 classes"
    assert data["sen2"].min() >= 0.0001
    assert data["sen2"].max() <= 2.8
    steps = data["sen2"].astype(np.float64) * 10000
    assert np.abs(steps - np.rint(steps)).max() < 1e-2, "a sensor counts in steps of 0.0001"


def test_patches_lie_where_their_geo_columns_say(world: Path) -> None:
    for part, cities in (("training", (0, 1)), ("validation", (2,)), ("testing", (2,))):
        data = read(world, part)
        for index in cities:
            scene = city(index)
            mine = np.flatnonzero(data["city"][:, 0] == scene.name.encode())
            assert len(mine) == 60
            assert (data["epsg"][mine] == scene.epsg).all()
            for row in mine:
                a, d, b, e, x, y = data["tfw"][row]
                assert (a, d, b, e) == (10, 0, 0, -10)
                col_px = int((x - 5 - scene.transform[2]) / 10)
                row_px = int((scene.transform[5] - (y + 5)) / 10)
                window = np.s_[row_px : row_px + 32, col_px : col_px + 32]
                assert np.array_equal(scene.reflectance[:, *window].transpose(1, 2, 0), data["sen2"][row])
                assert (scene.lcz[window] == data["label"][row].argmax() + 1).mean() >= PURITY
                sides = {"training": True, "validation": col_px + 32 <= 132, "testing": col_px >= 132}
                assert sides[part]


def test_the_reader_sees_official_parts_of_other_cities(world: Path) -> None:
    data = open_dataset(DataConfig(path=str(world)))
    facts, groups = data.source.facts, data.source.facts.groups
    assert facts.classes == NAMES
    assert facts.bands == BANDS
    assert groups is not None
    train, test = (set(groups[data.parts[part]]) for part in ("train", "test"))
    assert len(train) == 2
    assert not train & test
    x, y = data.source.batch(data.parts["test"][:3])
    assert np.array_equal(x.transpose(0, 2, 3, 1), read(world, "testing")["sen2"][:3])
    assert np.array_equal(y, read(world, "testing")["label"][:3].argmax(1))


def test_no_class_but_water_is_told_by_one_bands_mean(world: Path) -> None:
    parts = [read(world, part) for part in PARTS]
    means = np.concatenate([part["sen2"].mean((1, 2)) for part in parts])
    labels = np.concatenate([part["label"].argmax(1) for part in parts])
    for index in range(16):
        mine = labels == index
        for band in range(10):
            order = mine[np.argsort(means[:, band])]
            found, wrong = order.cumsum() / mine.sum(), (~order).cumsum() / (~mine).sum()
            balanced = 0.5 + np.abs(found - wrong).max() / 2
            assert balanced < 0.95, (NAMES[index], BANDS[band], balanced)


def draw(index: int, seed: int) -> Canvas:
    """A zone of 640 m by 640 m."""
    x = np.broadcast_to((np.arange(256, dtype=np.float32) + np.float32(0.5)) * np.float32(FINE_M), (256, 256))
    rng, style = np.random.default_rng((seed, index)), np.random.default_rng((seed, 7, index))
    canvas = Canvas(x, x.T, rng, style, draw_climate(seed))
    PAINTERS[index](canvas)
    return canvas


HARD = (
    Material.ASPHALT,
    Material.ROAD,
    Material.CONCRETE,
    Material.WHITE,
    Material.ROCK,
    Material.METAL,
    Material.COAL,
)


@pytest.mark.parametrize("index", range(17), ids=NAMES)
def test_zones_keep_to_the_table_of_stewart_and_oke(index: int) -> None:
    zones = [draw(index, seed) for seed in range(8)]
    building = np.array([zone.building.mean() for zone in zones])
    paved = np.array([(np.isin(zone.material, HARD) & ~zone.building).mean() for zone in zones])
    facts = PROPERTIES[index]
    for name, fraction, limits in (
        ("building", building, facts.building),
        ("impervious", paved, facts.impervious),
        ("pervious", 1 - building - paved, facts.pervious),
    ):
        assert limits[0] - 0.03 <= fraction.mean() <= limits[1] + 0.03, (name, fraction.mean(), limits)
        assert (fraction > limits[0] - 0.12).all(), (name, fraction, limits)
        assert (fraction < limits[1] + 0.12).all(), (name, fraction, limits)
    if index < 10:
        heights = np.array([np.median(zone.height_m[zone.building]) for zone in zones])
        assert (heights >= facts.height_m[0]).all(), heights
        assert (heights <= facts.height_m[1]).all(), heights


def test_shadows_fall_away_from_the_sun_as_long_as_the_sun_is_low() -> None:
    height = np.zeros((80, 80), np.float32)
    height[40:44, 40:44] = 30
    shadow = cast_shadows(height, 180.0, 45.0)  # the sun in the south: north, up the picture
    rows, cols = np.nonzero(shadow)
    assert set(cols) == {40, 41, 42, 43}
    assert 40 - rows.min() == pytest.approx(30 / FINE_M, abs=1)
    assert rows.max() == 39
    longer = cast_shadows(height, 180.0, 30.0)
    assert longer.sum() / shadow.sum() == pytest.approx(np.tan(np.pi / 4) / np.tan(np.pi / 6), rel=0.1)
    to_west = cast_shadows(height, 90.0, 45.0)
    assert np.nonzero(to_west)[1].max() == 39
    assert not cast_shadows(np.zeros((8, 8), np.float32), 120.0, 40.0).any()


def test_the_sun_stands_where_spherical_trigonometry_puts_it() -> None:
    assert sun(0.0, 81)[1] == pytest.approx(67.5, abs=0.1)  # equator, equinox, 22.5 degrees before noon
    azimuth, elevation = sun(50.0, 172)
    assert 110 < azimuth < 150
    assert 50 < elevation < 63
    assert sun(-35.0, 355)[0] < 90, "in the southern summer the morning sun is in the north-east"


def test_pixels_mix_what_they_hold_and_air_brightens_blue() -> None:
    climate = draw_climate(0)
    table = np.array([[0.1] * 10, [0.5] * 10], np.float32)
    lookup = np.zeros((32, 32), np.int32)
    lookup[:, 2:4] = 1  # half of the first column of 10 m pixels
    ones = np.ones((32, 32), np.float32)
    surface = to_surface(lookup, table, ones, ones, climate)
    assert surface[:, :, 0] == pytest.approx(0.3, abs=1e-6)
    assert surface[:, :, 1:] == pytest.approx(0.1, abs=1e-6)
    shaded = to_surface(lookup, table, ones, 0 * ones, climate)
    assert (shaded < 0.7 * surface).all()
    assert shaded[0].mean() > shaded[9].mean(), "shadows are blue"
    dark = to_sensor(np.zeros((10, 64, 64), np.float32), climate, np.random.default_rng(0)).mean((1, 2))
    assert (np.diff(dark[[0, 1, 2, 6, 8]]) < 0).all(), "path radiance falls with wavelength"
    assert dark[0] > 0.03


def test_every_city_has_places_for_every_class_in_each_half() -> None:
    from compactnas.synthetic.plan import plan_city

    for seed in range(100, 112):
        plan = plan_city(seed, SMALLEST_PX)
        _, col, label = windows(plan.lcz, PURITY, 4)
        assert len(set(label[col + 32 <= SMALLEST_PX // 2])) == 17
        assert len(set(label[col >= SMALLEST_PX // 2])) == 17


def test_names_and_hashes_do_not_repeat() -> None:
    assert len({city_name(seed) for seed in range(5000, 6000)}) == 1000
    i, j = (axis.astype(np.int32).ravel() for axis in np.meshgrid(np.arange(-100, 100), np.arange(-100, 100)))
    values = hashed(i, j, 5)
    assert values.min() >= 0
    assert values.max() < 1
    assert np.histogram(values, 10, (0, 1))[0].min() > 3700
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(values, hashed(i, j, 6))[0, 1]) < 0.02


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scene_px": 200}, "scene_px: 200 is too small"),
        ({"patches": 20}, "patches: 20 is too few"),
        ({"patches": 50_000}, "change patches, cities or scene_px"),
        ({"cities": 0}, "cities: 0 is less than 1"),
        ({"seed": -1}, "seed: -1 is less than 0"),
    ],
)
def test_numbers_that_do_not_go_together_are_one_line(tmp_path: Path, change: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        write_world(tmp_path / "w", **{**SMALL, **change})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_target_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    for target in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UserError, match="not an empty folder"):
            write_world(target, **SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(write.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match="MB free"):
        write_world(tmp_path / "w", **SMALL)

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.undo()
    monkeypatch.setattr(write, "make_city", lambda seed, size: city(0))
    monkeypatch.setattr(write, "cut_patches", fill)
    with pytest.raises(UserError, match="disk is full"):
        write_world(tmp_path / "w", **SMALL)
    assert not list(tmp_path.iterdir())


def test_scenes_without_rasterio_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.io.extras.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'compactnas\[map\]'"):
        write_world(tmp_path / "w", **SMALL, scenes=True)
    assert not list(tmp_path.iterdir())


def test_scenes_come_back_from_geotiff_as_they_were_drawn(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    scene = city(0)
    geotiff.write_scene(scene, tmp_path)
    with rasterio.open(tmp_path / f"{scene.name}.tif") as image:
        assert image.descriptions == BANDS
        assert image.crs.to_epsg() == scene.epsg
        assert tuple(image.transform)[:6] == scene.transform
        assert np.array_equal((image.read() / 10000).astype(np.float32), scene.reflectance)
        assert set(image.scales) == {0.0001}
    with rasterio.open(tmp_path / f"{scene.name}_lcz.tif") as truth:
        assert np.array_equal(truth.read(1), scene.lcz)
        assert truth.nodata == 0
        assert truth.colormap(1)[17] == (0x6A, 0x6A, 0xFF, 255)
        assert truth.tags(1)["LCZ_A"] == "Dense trees"


@pytest.mark.usefixtures("known_cities")
def test_float64_is_so2sats_own(tmp_path: Path, world: Path) -> None:
    write_world(tmp_path / "w", **{**SMALL, "cities": 1, "patches": 60}, dtype="float64")
    wide = read(tmp_path / "w", "training")["sen2"]
    assert wide.dtype == np.float64
    assert np.array_equal(wide, read(world, "training")["sen2"][:60])
