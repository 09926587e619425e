"""Files made hostile on purpose, given to the command: one line, exit code 2, and nothing run, written or taken.

What is broken by accident is in `test_data_broken.py`; what is found at random, in `test_fuzz.py`.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.data_files import folder, npz
from support.fake_run import PAPER_CELL
from support.hostile import TRILLION, Trap, refused
from support.map_files import write_raster

from compactnas.data.packing.pack import prepare

# A genotype


def genotype(**changes: object) -> bytes:
    return json.dumps(json.loads(PAPER_CELL.to_json()) | changes).encode()


EDGES = [[["sep_conv_3x3", source] for source in range(node + 1)] for node in range(16)]
GENOTYPES = {
    "channels without end": (genotype(channels=TRILLION), "1000000000000 channels is outside 1 to 1024"),
    "depths without end": (genotype(depths=[TRILLION]), "depth 1000000000000 of block 1 is outside"),
    "blocks without end": (genotype(depths=[1] * 20_000), "20000 blocks; a network has 1 to 8"),
    "nodes without end": (genotype(nodes=[[["none", 0]]] * 4000), "4000 nodes; a cell has 1 to 16"),
    "a network that fills the memory": (genotype(channels=1024, depths=[1] * 8), "weights; a network has at most"),
    "more cells than can be made": (genotype(nodes=EDGES, depths=[32] * 8), "at most 4096 operations"),
    "a number of a million digits": (b"[" + b"9" * 90_000 + b"]", "more than 18 digits"),
    "nesting": (b"[" * 99_000, "nested too deeply"),
    "a file without end": (b" " * 200_000, "is larger than 0.0953674 MiB"),
    "code for an operation": (genotype(nodes=[[["__import__('os').mkdir('sprung')", 0]]]), "unknown operation"),
    "a path for a layout": (genotype(layout="../../paper"), "layout '../../paper' is unknown"),
    "letters that steer a terminal": (genotype(layout="\x1b]0;x\x07\u202e"), "layout"),
}


@pytest.mark.parametrize("kind", GENOTYPES)
def test_a_genotype(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = GENOTYPES[kind]
    (tmp_path / "g.json").write_bytes(content)
    assert message in (line := refused(tmp_path, capsys, "cost", "--model", str(tmp_path / "g.json")))
    assert line.rstrip("\n").isprintable()


# A packed set


def packed(where: Path) -> Path:
    (where / "source").mkdir()
    return prepare(npz(where / "source").config, where / "packed")


def about(**changes: object) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        file = path / "manifest.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def header(name: str, descr: str, shape: tuple[int, ...]) -> Callable[[Path], object]:
    """An array that says that it is of this dtype and shape, and holds next to nothing."""
    return lambda path: (path / name).write_bytes(npy(descr, shape))


def npy(descr: str, shape: tuple[int, ...], content: bytes = b"\0" * 64) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def linked(name: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        (path / name).rename(path.parent / f"outside-{name}")
        (path / name).symlink_to(path.parent / f"outside-{name}")

    return change


def pickled(path: Path) -> None:
    trap = np.empty(40, object)
    trap[:] = [Trap(path.parent) for _ in range(40)]
    np.save(path / "labels.npy", trap)


PACKED: dict[str, tuple[Callable[[Path], object], str]] = {
    "patches without end": (about(patches=TRILLION), "says 1000000000000 patches, more than"),
    "patches of a kilometre": (about(patch_px=TRILLION), "are too large for a patch; cut smaller ones"),
    "numbers of 400 digits": (about(patches=10**400), "more than 18 digits"),
    "a name without end": (about(bands=["b" * 9_000_000]), "the manifest says (40, 8, 8, 1)"),
    "a long name in each patch": (about(groups=["g" * 10_000_000, *map(str, range(1, 5))]), "letters is too long"),
    "images without end": (header("images.npy", "<u2", (40, 8, 8, TRILLION)), "its header says uint16 of shape"),
    "labels without end": (header("labels.npy", "<i8", (TRILLION,)), "its header says int64 of shape"),
    "code for a dtype": (header("labels.npy", "'+__import__('os').mkdir('sprung')+'", (40,)), "header is damaged"),
    "a pickle for labels": (pickled, "header is damaged, or it has other content than numbers"),
    "images that lie outside": (linked("images.npy"), "images.npy: is a link out of its folder"),
    "names that lie outside": (linked("keys.txt"), "keys.txt: is a link out of its folder"),
    "a manifest without end": (lambda path: (path / "manifest.json").write_bytes(b" " * 2**25), "larger than 16 MiB"),
    "a manifest that is nested": (lambda path: (path / "manifest.json").write_text("[" * 10**6), "nested too deeply"),
    "a pipe for a manifest": (lambda path: _pipe(path / "manifest.json"), "has no class folders"),
}


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_set(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = packed(tmp_path)
    change, message = PACKED[kind]
    change(path)
    assert message in refused(tmp_path, capsys, "inspect", str(path))


@pytest.mark.parametrize("key", ["../out/0.png", "/etc/passwd", "C:\\out\\0.png", "sea/../../0.png", "\\\\host\\0.png"])
def test_a_split_file_that_leaves_the_folder(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder(tmp_path).config
    (tmp_path / "split.csv").write_text(f"path,split\n{key},train\n")
    options = ["--data.split", "csv", "--data.split_csv", str(tmp_path / "split.csv")]
    assert "leaves the folder" in refused(tmp_path, capsys, "leakage", config.path, *options)


# Other sources


def archive(**members: bytes) -> Callable[[Path], Path]:
    def make(where: Path) -> Path:
        with zipfile.ZipFile(where / "set.npz", "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in members.items():
                made.writestr(f"{name}.npy", content)
        return where / "set.npz"

    return make


IMAGES, LABELS = npy("<u2", (8, 1, 2, 2), bytes(64)), npy("<i8", (8,), bytes(64))
FAR = npy("<i8", (8,), struct.pack("<8q", *[TRILLION] * 8))


MIB = bytes(2**20)


def bomb_of_zeros(where: Path, mib: int = 1024) -> Path:
    """A small file that unpacks to two hundred times its size."""
    path = where / "set.npz"
    made = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with made, made.open("images.npy", "w") as member:
        member.write(npy("<u2", (mib * 2**19, 1, 1, 1), b""))
        for _ in range(mib):
            member.write(MIB)
    return path


def bomb_within_the_limit(where: Path) -> Path:
    return bomb_of_zeros(where, 400)


def pickle_in_an_archive(where: Path) -> Path:
    trap = np.empty(40, object)
    trap[:] = [Trap(where) for _ in range(40)]
    config = npz(where).config
    with np.load(config.path) as data:
        content = {**data, "group": trap}
    np.savez(config.path, **content)
    return Path(config.path)


def endless_hdf5(where: Path) -> Path:
    with h5py.File(where / "set.h5", "w") as file:
        for key, shape in (("label", (TRILLION, 17)), ("sen2", (TRILLION, 8, 8, 10))):
            file.create_dataset(key, shape, "float64", chunks=(64, *shape[1:]), compression="gzip")
    return where / "set.h5"


def wide_hdf5(where: Path) -> Path:
    """Each patch a map of the world."""
    with h5py.File(where / "set.h5", "w") as file:
        file["label"] = np.eye(17)
        file.create_dataset("sen2", (17, 10**6, 10**6, 10), "float64", chunks=(1, 8, 8, 10))
    return where / "set.h5"


def chunky_hdf5(where: Path) -> Path:
    """One chunk of gigabytes behind the first value."""
    with h5py.File(where / "set.h5", "w") as file:
        file["label"] = np.eye(17)
        file.create_dataset("sen2", (17, 512, 512, 10), "float64", chunks=(17, 512, 512, 10), compression="gzip")
    return where / "set.h5"


def long_city(where: Path) -> Path:
    with h5py.File(where / "set.h5", "w") as file:
        file["label"], file["sen2"] = np.eye(17), np.zeros((17, 2, 2, 10))
        file["city"] = np.array(["x" * 10**6] * 17, object)
    return where / "set.h5"


SOURCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "images without end": (archive(images=npy("<f8", (TRILLION, 4, 8, 8)), labels=LABELS), "its header says float64"),
    "labels without end": (archive(images=IMAGES, labels=npy("<i8", (TRILLION, 0))), "array `labels` cannot be read"),
    "text of nothing without end": (archive(images=npy("<U0", (TRILLION,)), labels=LABELS), "it holds empty text"),
    "a class without end": (archive(images=IMAGES, labels=FAR), "a class 1000000000000 without a name"),
    "a bomb of zeros": (bomb_of_zeros, "its images take 1.0 GiB of memory; raise --data.preload-gib, now 0.5"),
    "a bomb within the limit": (
        bomb_within_the_limit,
        "times its size, as no images do; if it is yours, write",
    ),
    "a pickle in an archive": (pickle_in_an_archive, "array `group` cannot be read"),
    "HDF5 without end": (endless_hdf5, "says that it holds 1000000000000 patches"),
    "HDF5 of maps": (wide_hdf5, "are too large for a patch"),
    "HDF5 in one chunk": (chunky_hdf5, "is stored in chunks of 340 MiB"),
    "a city's name without end": (long_city, "a name of 1000000 letters"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, message = SOURCES[kind]
    path = make(tmp_path)
    assert message in refused(tmp_path, capsys, "inspect", str(path), "--data.preload_gib", "0.5")


# Scenes


def huge_tif(where: Path) -> Path:
    """Some kilobytes that say that they are a million pixels wide and high."""
    rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)}
    shape = {"count": 1, "height": 10**6, "width": 10**6, "dtype": "uint8", "blockxsize": 8192, "blockysize": 8192}
    with rasterio.open(where / "s.tif", "w", driver="GTiff", tiled=True, SPARSE_OK=True, **shape, **place):
        pass
    return where / "s.tif"


def polygons(where: Path, content: object) -> Path:
    for package in ("rasterio", "pyogrio"):
        pytest.importorskip(package, reason="scenes and polygons need the map extra")
    path = write_raster(where / "rome.tif", np.ones((3, 64, 64), np.uint16))
    path.with_name("rome.geojson").write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def named(system: str) -> dict[str, object]:
    return {"type": "FeatureCollection", "features": [], "crs": {"properties": {"name": system}}}


SCENES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a scene without end": (huge_tif, "says that it is 1000000 x 1000000 pixels"),
    "polygons that are nested": (lambda where: polygons(where, "[" * 10**6), "nested too deeply"),
    "polygons without end": (lambda where: polygons(where, " " * 2**25), "is larger than 16 MiB"),
    "a system at an address": (lambda where: polygons(where, named("http://example.org/wkt")), "name it as EPSG:32633"),
    "a system in a file": (lambda where: polygons(where, named("/etc/passwd")), "name it as EPSG:32633"),
    "a grid in a file": (lambda where: polygons(where, named("+proj=utm +nadgrids=/etc/passwd")), "name it as EPSG"),
}


@pytest.mark.parametrize("kind", SCENES)
def test_a_scene(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, message = SCENES[kind]
    assert message in refused(tmp_path, capsys, "inspect", str(make(tmp_path)))


def test_what_gdal_reads_beside_a_scene_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one place where XML from outside is parsed, by GDAL: it knows no entities."""
    path = polygons(tmp_path, named("EPSG:32633"))
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    laughs = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "lol">{entities}]>'
    item = '<PAMDataset><Metadata><MDI key="a">&a11;</MDI></Metadata></PAMDataset>'
    path.with_name("rome.tif.aux.xml").write_text(laughs + item)
    assert "has no polygon" in refused(tmp_path, capsys, "inspect", str(path))
