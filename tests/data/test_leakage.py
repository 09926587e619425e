"""Where patches lie, which overlap, and splits that keep places apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.worlds import small_world

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import ArraySource, Facts, open_source
from compactnas.data.footprints import ORDERS, Footprints, bounds_of_tfw, overlaps
from compactnas.data.leakage import measure_leakage
from compactnas.data.splits import make_parts
from compactnas.errors import UserError

SIDE = 320.0


def squares(corners: np.ndarray, epsg: int | np.ndarray = 32633) -> Footprints:
    """Patches of 320 m with these lower left corners."""
    corners = np.asarray(corners, float)
    return Footprints(np.broadcast_to(np.int64(epsg), len(corners)).copy(), np.hstack((corners, corners + SIDE)))


def by_hand(ours: Footprints, others: Footprints) -> tuple[np.ndarray, np.ndarray]:
    """Count and greatest share, pair by pair."""
    count, share = [], []
    for mine, system in zip(ours.bounds, ours.epsg, strict=True):
        shares = []
        for theirs, other in zip(others.bounds, others.epsg, strict=True):
            width = min(mine[2], theirs[2]) - max(mine[0], theirs[0])
            height = min(mine[3], theirs[3]) - max(mine[1], theirs[1])
            area = max(width, 0) * max(height, 0) * (system == other)
            shares.append(area / ((mine[2] - mine[0]) * (mine[3] - mine[1])))
        count.append(sum(s > 0 for s in shares))
        share.append(max(shares, default=0))
    return np.array(count), np.array(share)


corner = st.tuples(st.integers(-8, 8), st.integers(-8, 8), st.integers(0, 1))


@given(st.lists(corner, min_size=1, max_size=30), st.lists(corner, max_size=30), st.sampled_from([40.0, 160.0, 333.0]))
def test_overlaps_are_what_pairs_by_hand_give(ours: list[tuple], others: list[tuple], step: float) -> None:
    a, b = (
        squares(np.array([p[:2] for p in ps]).reshape(-1, 2) * step, np.array([32632 + p[2] for p in ps], np.int64))
        for ps in (ours, others)
    )
    found, (count, share) = overlaps(a, b), by_hand(a, b)
    np.testing.assert_array_equal(found.count, count)
    np.testing.assert_allclose(found.share, share)
    for i in np.flatnonzero(found.count):
        assert by_hand(a.at(np.array([i])), b.at(found.partner[[i]]))[1][0] == pytest.approx(share[i])
    assert (found.partner[found.count == 0] == -1).all()


@pytest.mark.parametrize("order", ORDERS)
def test_each_order_of_the_six_numbers_gives_the_same_place(order: str) -> None:
    corners = np.array([[500_000.0, 5_800_000.0], [499_000.0, 5_799_120.0]])  # upper left
    offset = 5.0 if order == "world file" else 0.0
    world = np.column_stack([np.tile([10.0, 0, 0, -10.0], (2, 1)), corners + np.array([offset, -offset])])
    written = np.empty_like(world)
    written[:, ORDERS[order]] = world
    bounds = bounds_of_tfw(written, 32, "tfw")
    np.testing.assert_allclose(bounds[0], [500_000, 5_799_680, 500_320, 5_800_000])
    np.testing.assert_allclose(bounds[1], [499_000, 5_798_800, 499_320, 5_799_120])


@pytest.mark.parametrize("tfw", [np.zeros((3, 6)), np.full((3, 6), np.nan), np.tile([10, 1, 1, -10, 5.0, 5.0], (3, 1))])
def test_numbers_that_place_nothing_are_refused(tfw: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"geo\.h5: tfw: fits none of the orders"):
        bounds_of_tfw(tfw, 32, "geo.h5: tfw")


def scene_cut(places_known: bool) -> ArraySource:
    """Windows of one scene of noise: 0 to 9 for training, 10 to 15 for testing, with known overlaps."""
    scene = np.random.default_rng(0).integers(0, 9000, (3, 400, 400)).astype(np.uint16)
    corners = [(row * 32, 0) for row in range(10)]
    corners += [(0, 0), (8, 0), (40, 16), (100, 30), (0, 200), (200, 200)]
    images = np.stack([scene[:, r : r + 32, c : c + 32] for r, c in corners])
    places = squares(np.array([(c * 10.0, -r * 10.0 - SIDE) for r, c in corners])) if places_known else None
    return ArraySource(Facts("cut", ("a", "b", "c"), ("x", "y"), 32, np.arange(16) % 2, footprints=places), images)


# Of each test window: the share that the training window with most of it holds.
SHARES = [1, 24 / 32, 24 / 32 * 16 / 32, 28 / 32 * 2 / 32, 0, 0]


def test_by_place_the_shares_are_exact() -> None:
    found = measure_leakage(scene_cut(True), np.arange(10), np.arange(10, 16))
    assert found.method == "places" and found.overlapping == 4
    np.testing.assert_allclose(found.share, SHARES)
    assert found.partner.tolist()[:3] == [0, 0, 1] and found.partner.tolist()[4:] == [-1, -1]
    assert found.above() == {"more than 0%": 4, "more than 25%": 3, "more than 50%": 2, "more than 75%": 1}


def test_by_pixels_the_same_overlaps_are_found_without_places() -> None:
    found = measure_leakage(scene_cut(False), np.arange(10), np.arange(10, 16))
    assert found.method == "pixels"
    # Windows of 4 x 4: three rows and columns fewer of each overlap, and none in the strip of two columns.
    windows = [1, 21 * 29 / 29**2, 21 * 13 / 29**2, 0, 0, 0]
    np.testing.assert_allclose(found.share, windows, atol=0.005)
    assert found.partner.tolist()[:3] == [0, 0, 1]


def test_patches_of_one_value_are_no_leak() -> None:
    images = np.full((8, 2, 8, 8), 7, np.uint8)
    source = ArraySource(Facts("flat", ("a", "b"), ("x", "y"), 8, np.arange(8) % 2), images)
    assert measure_leakage(source, np.arange(4), np.arange(4, 8)).overlapping == 0


def test_patches_smaller_than_a_window_are_one_line() -> None:
    source = ArraySource(Facts("tiny", ("a", "b"), ("x", "y"), 3, np.arange(8) % 2), np.zeros((8, 2, 3, 3), np.uint8))
    with pytest.raises(
        UserError, match=r"tiny: patches of 3 px are too small to compare .* give patches of 4 px or more"
    ):
        measure_leakage(source, np.arange(4), np.arange(4, 8))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_world(tmp_path_factory)


def test_on_made_cities_the_report_finds_what_was_put_there(world: Path, tmp_path: Path) -> None:
    source = open_source(DataConfig(str(world)))
    places = source.facts.footprints
    assert places is not None
    parts, warnings = make_parts(source.facts, DataConfig(str(world), split="random"))
    found = measure_leakage(source, parts["train"], parts["test"])
    count, share = by_hand(places.at(parts["test"]), places.at(parts["train"]))
    np.testing.assert_allclose(found.share, share)
    assert found.overlapping == (count > 0).sum() > len(share) / 2
    assert any(f"{found.overlapping} of {len(share)} test patches overlap" in warning for warning in warnings)
    assert main(["leakage", str(world), "--data.split", "random", "--output", str(tmp_path / "l.json")]) == 0
    written = json.loads((tmp_path / "l.json").read_text())
    assert written["overlapping"] == found.overlapping == len(written["patches"])
    # Other cities share nothing, and what the world's patches show says the same as where they lie.
    parts, warnings = make_parts(source.facts, DataConfig(str(world)))
    assert measure_leakage(source, parts["train"], parts["test"]).overlapping == 0
    assert not any("overlap" in warning for warning in warnings)


def test_the_worlds_pixels_say_what_its_places_say(world: Path) -> None:
    source = open_source(DataConfig(str(world)))
    assert isinstance(source, ArraySource)
    parts, _ = make_parts(source.facts, DataConfig(str(world), split="random"))
    by_place = measure_leakage(source, parts["train"], parts["test"])
    facts = source.facts
    blind = ArraySource(Facts("blind", facts.bands, facts.classes, facts.patch_px, facts.labels), source.images)
    by_pixel = measure_leakage(blind, parts["train"], parts["test"])
    large = by_place.share > 0.25
    assert (by_pixel.share[large] > 0).all()
    np.testing.assert_allclose(by_pixel.share[large], by_place.share[large], atol=0.15)
    assert (by_pixel.share[by_place.share == 0] == 0).all()


def test_blocks_of_the_ground_leave_nothing_in_common(world: Path) -> None:
    facts = open_source(DataConfig(str(world))).facts
    config = DataConfig(str(world), split="block", block_m=800.0, test_fraction=0.3, validation_fraction=0.2)
    parts, warnings = make_parts(facts, config)
    assert facts.footprints is not None
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        assert not overlaps(facts.footprints.at(parts[one]), facts.footprints.at(parts[other])).count.any()
    assert any("are left out" in warning for warning in warnings)
    assert 0.1 < len(parts["test"]) / len(facts.labels) < 0.5


def grouped(sizes: list[int]) -> Facts:
    groups = np.repeat([f"city {i}" for i in range(len(sizes))], sizes)
    return Facts("made", ("a",), ("x", "y"), 8, np.arange(sum(sizes)) % 2, groups=groups)


def test_folds_cover_every_city_once_and_are_even() -> None:
    facts = grouped([40, 4, 6, 30, 10, 20, 10])
    tests = [make_parts(facts, DataConfig("x", split="fold", folds=3, fold=k))[0]["test"] for k in range(3)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(120))
    assert facts.groups is not None
    for rows in tests:
        assert not set(facts.groups[rows]) & set(np.delete(facts.groups, rows))
    assert [len(rows) for rows in tests] == [40, 40, 40]


def test_no_folds_leave_out_one_city_each() -> None:
    facts = grouped([8, 4, 6])
    parts, _ = make_parts(facts, DataConfig("x", split="fold", folds=0, fold=1))
    assert facts.groups is not None and set(facts.groups[parts["test"]]) == {"city 1"} and len(parts["train"]) == 14


WRONG: dict[str, tuple[Callable[[], Facts], DataConfig, str]] = {
    "too many folds": (
        lambda: grouped([4, 4]),
        DataConfig("x", split="fold", folds=3),
        "data.folds: 2 groups cannot make 3 folds",
    ),
    "a fold past the last": (
        lambda: grouped([4, 4]),
        DataConfig("x", split="fold", folds=2, fold=2),
        "data.fold: 2 is outside 0 to 1",
    ),
    "a fold of another split": (
        lambda: grouped([4, 4]),
        DataConfig("x", split="random", fold=1),
        "data.fold: applies to",
    ),
    "no places": (lambda: grouped([4, 4]), DataConfig("x", split="block"), "has no coordinates of its patches"),
    "no groups": (
        lambda: Facts("made", ("a",), ("x", "y"), 8, np.arange(8) % 2),
        DataConfig("x", split="fold"),
        "has no groups",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_split_is_one_error(name: str) -> None:
    make, config, message = WRONG[name]
    with pytest.raises(UserError) as caught:
        make_parts(make(), config)
    assert message in str(caught.value)


def test_geo_columns_in_any_order_place_the_worlds_patches(world: Path, tmp_path: Path) -> None:
    expected = open_source(DataConfig(str(world / "training.h5"))).facts.footprints
    assert expected is not None
    with h5py.File(world / "training_geo.h5") as file:
        epsg, tfw = file["epsg"][()], file["tfw"][()]
    (tmp_path / "training.h5").symlink_to(world / "training.h5")
    with h5py.File(tmp_path / "training_geo.h5", "w") as file:
        a, d, b, e, c, f = tfw.T
        file["tfw"] = np.column_stack((c - a / 2, a, b, f - e / 2, d, e))  # as GDAL gives it
        file["epsg"] = epsg
    found = open_source(DataConfig(str(tmp_path / "training.h5"))).facts.footprints
    assert found is not None
    np.testing.assert_allclose(found.bounds, expected.bounds)
    np.testing.assert_array_equal(found.epsg, expected.epsg)
