"""`scripts/eurosat_places.py`: equal folds, bands of longitude where they are known, adjoining patches together."""

from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

PX = 16


@pytest.fixture
def places(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    import eurosat_places

    return eurosat_places


def archive(images: NDArray[np.uint8], **arrays: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    """Arrays of an archive with these patches."""
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")  # without loss, so that edges fit as they were cut
        files.append(stream.getvalue())
    return {
        "jpeg_bytes": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        **arrays,
    }


def strips(scenes: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pairs of adjoining patches, each pair from a scene of its own: rough noise, made smooth."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(0, 1, (scenes, PX, 2 * PX, 3)).cumsum(1).cumsum(2)
    low, high = rough.min((1, 2, 3), keepdims=True), rough.max((1, 2, 3), keepdims=True)
    smooth = np.round(255 * (rough - low) / (high - low)).astype(np.uint8)
    return smooth.reshape(scenes, PX, 2, PX, 3).transpose(0, 2, 1, 3, 4).reshape(2 * scenes, PX, PX, 3)


def test_bands_of_longitude_are_equal_and_contiguous(places: ModuleType) -> None:
    rng = np.random.default_rng(0)
    longitude = rng.normal(10, 8, 103)
    labels, split = rng.integers(0, 2, 103), np.zeros(103, np.uint8)
    lonlat = np.column_stack((longitude, longitude))
    folds, groups, said = places.places_of({"labels": labels, "split_spatial": split, "lonlat": lonlat})
    assert groups.tolist() == [f"fold {fold}" for fold in folds]
    assert sorted(np.bincount(folds)[1:].tolist()) == [20, 20, 21, 21, 21] and "longitude" in said
    for west in range(1, 5):
        assert longitude[folds == west].max() < longitude[folds == west + 1].min()
    tied = places.by_longitude(np.repeat(np.arange(5.0), 4)[rng.permutation(20)])
    assert np.bincount(tied)[1:].tolist() == [4] * 5


def test_patches_of_one_longitude_stay_together_if_counts_allow(places: ModuleType) -> None:
    longitude = np.repeat(np.arange(10.0), 4)[np.random.default_rng(1).permutation(40)]
    folds = places.by_longitude(longitude)
    assert all(len(set(folds[longitude == place].tolist())) == 1 for place in range(10))


def test_known_bands_are_folds_and_the_western_one_is_cut_with_equal_classes(places: ModuleType) -> None:
    images = strips(90)
    labels, split = np.arange(180) // 2 % 2, np.repeat((0, 1, 2), (108, 36, 36))
    folds, groups, said = places.places_of(archive(images, labels=labels, split_spatial=split))
    assert (folds[split == 1] == 4).all() and (folds[split == 2] == 5).all()
    for fold in (1, 2, 3):
        assert np.bincount(labels[folds == fold]).tolist() == [18, 18]
    assert "no coordinates" in said
    assert set(groups[split == 1]) == {"fold 4"} and set(groups[split == 2]) == {"fold 5"}
    western = groups[split == 0]
    assert all(len({*labels[split == 0][western == name]}) == 1 for name in set(western)), "a group has one class"
    assert 2 < len(set(western)) < 108


def test_adjoining_patches_are_found_and_stay_together(places: ModuleType) -> None:
    images, scenes = strips(60), 60
    order = np.random.default_rng(2).permutation(2 * scenes)
    pairs = places.fitting_edges(images[order])
    truth = {
        (int(np.flatnonzero(order == 2 * k)[0]), int(np.flatnonzero(order == 2 * k + 1)[0])) for k in range(scenes)
    }
    found = {(int(a), int(b)) for a, b in pairs}
    assert len(found & truth) >= 0.8 * scenes and len(found - truth) <= 0.05 * scenes
    labels = np.zeros(2 * scenes, np.int64)
    groups = places.gathered(labels, places.colours_of(images[order]), pairs)
    folds = places.cut(labels, groups)
    apart = sum(folds[a] != folds[b] for a, b in found)
    assert apart <= 2, f"{apart} of {len(found)} adjoining pairs are in two folds"
    below = places.fitting_edges(images.transpose(0, 2, 1, 3))
    assert len({(int(a), int(b)) for a, b in below} & {(2 * k, 2 * k + 1) for k in range(scenes)}) >= 0.8 * scenes


def test_colours_are_percentiles_of_each_band(places: ModuleType) -> None:
    images = np.random.default_rng(3).integers(0, 256, (4, PX, PX, 3), dtype=np.uint8)
    found = places.colours_of(images).reshape(4, len(places.PERCENTILES), 3)
    for patch in range(4):
        for band in range(3):
            exact = np.percentile(images[patch, ..., band], places.PERCENTILES, method="nearest")
            assert np.abs(found[patch, :, band] - exact).max() <= 3


def test_the_same_archive_gives_the_same_folds_without_regard_to_chance(places: ModuleType) -> None:
    data = archive(strips(20), labels=np.zeros(40, np.int64), split_spatial=np.zeros(40, np.int64))
    first, again = (places.places_of(data).folds for _ in range(2))
    assert (first == again).all() and sorted(np.bincount(first)[1:].tolist()) == [13, 13, 14]
