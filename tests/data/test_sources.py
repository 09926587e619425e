"""One suite that every source of patches must pass, and the real files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_files import MAKERS, Made, folder, so2sat_file, so2sat_folder, write_csv, write_h5

from compactnas.config import DataConfig
from compactnas.data import ArraySource, Source, open_dataset, open_source
from compactnas.errors import UserError


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return request.param(tmp_path)


@pytest.fixture(params=[0.0, 4.0], ids=["streamed", "preloaded"])
def source(request: pytest.FixtureRequest, made: Made) -> Source:
    is_npz = made.config.path.endswith(".npz")  # read whole always, and refused where that must not be
    return open_source(replace(made.config, preload_gib=4.0 if is_npz else request.param))


def test_facts_agree_with_what_was_written(source: Source, made: Made) -> None:
    facts = source.facts
    assert facts.labels.dtype == np.int64
    np.testing.assert_array_equal(facts.labels, made.labels)
    assert facts.classes == made.classes
    assert facts.bands == made.bands
    assert facts.patch_px == made.images.shape[2]
    assert facts.lcz == (len(made.classes) == 17)
    assert facts.keys is not None
    assert len(facts.keys) == len(made.labels)
    assert tuple(facts.parts) == made.parts
    if made.parts:
        np.testing.assert_array_equal(np.sort(np.concatenate(list(facts.parts.values()))), np.arange(len(made.labels)))
    if made.groups is None:
        assert facts.groups is None
    else:
        np.testing.assert_array_equal(facts.groups, made.groups)


def test_a_batch_holds_the_rows_asked_for_in_their_order(source: Source, made: Made) -> None:
    rng = np.random.default_rng(3)
    everything = np.arange(len(made.labels))
    for rows in (everything, rng.permutation(everything), everything[5:9], rng.choice(everything, 50), everything[:1]):
        images, labels = source.batch(rows)
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(images, made.images[rows])
        np.testing.assert_array_equal(labels, made.labels[rows])


def test_chosen_bands_come_in_the_order_asked_for(made: Made) -> None:
    wanted = (made.bands[-1], made.bands[0])
    source = open_source(replace(made.config, bands=wanted))
    rows = np.array([4, 1])
    assert source.facts.bands == wanted
    np.testing.assert_array_equal(source.batch(rows)[0], made.images[rows][:, [-1, 0]])


@pytest.mark.parametrize("downsample", [2, 4])
def test_downsampling_is_the_mean_of_each_block(made: Made, downsample: int) -> None:
    source = open_source(replace(made.config, downsample=downsample))
    patches, bands, side, _ = made.images.shape
    blocks = made.images.reshape(patches, bands, side // downsample, downsample, side // downsample, downsample)
    assert source.facts.patch_px == side // downsample
    np.testing.assert_allclose(source.batch(np.arange(patches))[0], blocks.mean((3, 5), np.float64), 1e-6, 1e-7)


def test_unknown_or_repeated_bands_and_odd_blocks_are_one_line(made: Made) -> None:
    for change, message in (
        ({"bands": ("B99",)}, "has no band B99; it has"),
        ({"bands": (made.bands[0],) * 2}, "named twice"),
        ({"downsample": 3}, "3 does not divide the 8 pixels"),
    ):
        with pytest.raises(UserError, match=message):
            open_source(replace(made.config, **change))


def test_only_what_fits_is_read_into_memory(made: Made) -> None:
    if made.config.path.endswith(".npz"):
        with pytest.raises(UserError, match=r"raise data\.preload_gib"):
            open_source(replace(made.config, preload_gib=1e-6))
    else:
        assert isinstance(open_source(made.config), ArraySource)
        assert not isinstance(open_source(replace(made.config, preload_gib=1e-6)), ArraySource)


def test_folder_keys_are_paths_and_other_files_are_passed_over(tmp_path: Path) -> None:
    made = folder(tmp_path)
    root = Path(made.config.path)
    (root / "split.csv").write_text("path,split\n")
    (root / "sea" / "notes.txt").write_text("a note")
    (root / ".git").mkdir()
    keys = open_source(made.config).facts.keys
    assert keys is not None
    assert list(keys) == sorted(keys)
    assert all((root / key).is_file() for key in keys)


def test_jpeg_and_grey_and_palette_images_become_rgb(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((8, 8), 90, np.uint8))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    grey.save(tmp_path / "one" / "a.png")
    grey.convert("P").save(tmp_path / "one" / "b.PNG")
    grey.convert("RGB").save(tmp_path / "two" / "c.jpg", quality=100)
    images, labels = open_source(DataConfig(str(tmp_path))).batch(np.arange(3))
    assert labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(images, 90, atol=1)


def test_version_3_has_two_parts_and_its_root_names_the_choice(tmp_path: Path) -> None:
    for name in ("random", "culture_10"):
        (tmp_path / name).mkdir()
        for seed, part in enumerate(("training", "testing")):
            write_h5(tmp_path / name / f"{part}.h5", seed, 34)
    with pytest.raises(UserError, match="choose one of its folders, culture_10, random"):
        open_source(DataConfig(str(tmp_path)))
    dataset = open_dataset(DataConfig(str(tmp_path / "culture_10")))
    assert {part: len(rows) for part, rows in dataset.parts.items()} == {"train": 34, "validation": 0, "test": 34}


def test_cities_may_lie_in_the_file_itself(tmp_path: Path) -> None:
    import h5py

    made = so2sat_file(tmp_path)
    with h5py.File(made.config.path, "a") as file:
        file["city"] = np.array([b"Quito", b"Cairo", b"Hanoi"] * 17)
    groups = open_source(made.config).facts.groups
    assert groups is not None
    assert sorted(set(groups)) == ["Cairo", "Hanoi", "Quito"]


def test_a_csv_can_split_so2sat_by_file_and_row(tmp_path: Path) -> None:
    made = so2sat_file(tmp_path)
    words = ["train"] * 34 + ["test"] * 17
    path = write_csv(tmp_path / "split.csv", [(f"made.h5/{row}", word) for row, word in enumerate(words)])
    dataset = open_dataset(replace(made.config, split="csv", split_csv=str(path)))
    np.testing.assert_array_equal(dataset.parts["test"], np.arange(34, 51))


def test_so2sat_official_parts_hold_the_right_patches(tmp_path: Path) -> None:
    made = so2sat_folder(tmp_path)
    dataset = open_dataset(replace(made.config, split="d1"))
    np.testing.assert_array_equal(dataset.parts["validation"], np.arange(51, 85))
    np.testing.assert_array_equal(dataset.source.batch(dataset.parts["test"])[0], made.images[85:])
    assert dataset.warnings == ()


# Real files


def test_real_rgb_archive_and_jpeg_folder_agree(shared: Path, tmp_path: Path) -> None:
    """The small archive is a 2x2 mean, rounded, of the JPEG files."""
    small = open_source(DataConfig(str(shared / "data/eurosat_rgb/eurosat_rgb_32_small.npz")))
    assert small.facts.keys is not None
    assert len(small.facts.classes) == 10
    assert [len(rows) for rows in small.facts.parts.values()] == [4000, 1000, 1000]
    with np.load(shared / "data/eurosat_rgb/eurosat_rgb_64_jpeg.npz", allow_pickle=False) as data:
        names, offsets, jpegs = data["filenames"].tolist(), data["offsets"], data["jpeg_bytes"]
    rows = np.arange(0, 6000, 300)
    for row in rows:
        number = names.index(small.facts.keys[row])
        path = tmp_path / small.facts.classes[small.facts.labels[row]] / small.facts.keys[row]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpegs[offsets[number] : offsets[number + 1]].tobytes())
    images = open_source(DataConfig(str(tmp_path), downsample=2))
    assert images.facts.keys is not None
    order = [small.facts.keys.index(Path(key).name) for key in images.facts.keys]
    decoded, _ = images.batch(np.arange(len(rows)))
    # Decoders may differ by a digit in a pixel.
    np.testing.assert_allclose(np.floor(decoded + 0.5), small.batch(np.array(order))[0], atol=1)


def test_real_multispectral_archive_reads_as_it_is(shared: Path) -> None:
    config = DataConfig(str(shared / "data/eurosat_ms/eurosat_ms10_32.npz"))
    dataset = open_dataset(config)
    assert dataset.source.facts.bands == ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
    assert [len(rows) for rows in dataset.parts.values()] == [500, 120, 180]
    assert dataset.warnings == ()
    assert "the training and the test part share" in open_dataset(replace(config, split="random")).warnings[0]
    assert open_dataset(replace(config, split="group", validation_fraction=0.2)).warnings == ()


def test_real_berlin_file_reads_through_the_so2sat_source(shared: Path) -> None:
    config = DataConfig(str(shared / "data/lcz_berlin/berlin_so2sat_layout.h5"))
    with pytest.raises(UserError, match="has no official parts for `official`; use random or csv"):
        open_dataset(config)
    dataset = open_dataset(replace(config, split="random"))
    assert np.bincount(dataset.source.facts.labels).tolist() == [0, 136, 0, 0, 46]
    assert len(dataset.warnings) == 1
    assert "has no patch of 15 of 17 classes: Compact high-rise; Compact low-rise" in dataset.warnings[0]
    with np.load(shared / "data/lcz_berlin/berlin_lcz_s2.npz", allow_pickle=False) as same:
        images, _ = dataset.source.batch(np.arange(182))
        np.testing.assert_allclose(images, same["images"] / 10000, atol=1e-6)
