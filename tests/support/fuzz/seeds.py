"""Valid files to begin from, small, and written by the code itself where it writes such files."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import torch
import yaml
from PIL import Image

from compactnas.adopted.manifest import Adoption
from compactnas.config import RunConfig, smoke
from compactnas.data.footprints import Footprints
from compactnas.data.packing.pack import pack
from compactnas.data.source import ArraySource, Facts
from compactnas.lcz import NAMES
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs import folder as runs
from compactnas.runs.task import Task
from support.fake_run import NASNET_CELL, PAPER_CELL, write_run
from support.foreign import graph_of, node

Files = dict[str, bytes]


def genotypes(folder: Path) -> list[Files]:
    """One of each layout."""
    return [{"genotype.json": one.to_json().encode()} for one in (PAPER_CELL, NASNET_CELL)]


def configs(folder: Path) -> list[Files]:
    """Of runs, and of studies with both kinds of splits."""
    study = {"recipe": "smoke", "data": {"path": "world", "bands": ["B02"]}, "searches": 2, "methods": ["S", "S+C"]}
    own = {"splits": {"far": {"split": "group", "test_groups": ["Rome"], "places": "apart"}}, "search_split": "far"}
    whole = [runs.config_values(config) for config in (RunConfig(), smoke())]
    return [
        *({"config.yaml": yaml.safe_dump(values, sort_keys=False).encode()} for values in whole),
        *({"study.yaml": yaml.safe_dump(values).encode()} for values in (study, study | own | {"baselines": []})),
    ]


def models(folder: Path) -> list[Files]:
    """Run folders of a small searched network and of a baseline."""
    cell = replace(PAPER_CELL, channels=2, depths=(1, 1))
    found = []
    for spec in (ModelSpec("genotype", 2, 3, 8, cell), ModelSpec("resnet8", 2, 3, 8)):
        runs.save_model(folder, spec, build(spec))
        found.append({name: (folder / name).read_bytes() for name in ("model.json", "model.safetensors")})
    return found


def _facts(patches: int, pixels: int, lcz: bool) -> Facts:
    rows = np.arange(patches)
    corners = np.column_stack((500_000.0 + 100 * rows, np.full(patches, 5_000_000.0)))
    return Facts(
        name="made",
        bands=("B02", "B03"),
        classes=NAMES if lcz else ("a", "b", "c"),
        patch_px=pixels,
        labels=rows % 3,
        groups=np.array(["Rome", "Oslo"])[rows % 2],
        footprints=Footprints(np.full(patches, 32633), np.column_stack((corners, corners + 50))),
        parts={"train": rows[::2], "test": rows[1::2]},
        keys=[f"a/{row}.png" for row in rows],
        lcz=lcz,
    )


def packed_sets(folder: Path) -> list[Files]:
    """All optional files, and none; a split file beside one."""
    found = []
    for number, lcz in enumerate((True, False)):
        facts, rng = _facts(12, 4, lcz), np.random.default_rng(number)
        if not lcz:
            facts = replace(facts, groups=None, footprints=None, keys=None, parts={})
        images = rng.uniform(0, 1, (12, 2, 4, 4)).astype(np.float32)
        where = pack(ArraySource(facts, images), folder / f"packed{number}", "uint16" if lcz else "float32")
        found.append({file.name: file.read_bytes() for file in sorted(where.iterdir())})
    lines = [f"a/{row}.png,{('train', 'test')[row % 2]},g{row}" for row in range(12)]
    found[0]["split.csv"] = "\n".join(["path,split,group", *lines, ""]).encode()
    return found


def so2sat(folder: Path) -> list[Files]:
    """Old and new file formats, contiguous and compressed, with and without places."""
    found, rng = [], np.random.default_rng(0)
    for number, (options, libver) in enumerate((({}, "earliest"), ({"compression": "gzip", "chunks": True}, "latest"))):
        file = folder / f"made{number}.h5"
        with h5py.File(file, "w", libver=libver) as made:
            made.create_dataset("label", data=np.eye(17), **options)
            made.create_dataset("sen1", data=rng.normal(0, 0.2, (17, 2, 2, 8)), **options)
            made.create_dataset("sen2", data=rng.uniform(0, 1, (17, 2, 2, 10)).astype("f4"), **options)
        found.append({"made.h5": file.read_bytes()})
        with h5py.File(folder / f"geo{number}.h5", "w", libver=libver) as geo:
            cities = ["Rome", "Oslo"] * 8 + ["Lima"]
            geo["city"] = np.array(cities, "S8") if number else np.array(cities, object)
            geo["epsg"] = np.full((17, 1), 32633)
            geo["tfw"] = [[10.0, 0, 0, -10, 500_000 + 100 * row, 5_000_000] for row in range(17)]
        found.append(found[-1] | {"made_geo.h5": (folder / f"geo{number}.h5").read_bytes()})
    return found


def scenes(folder: Path) -> list[Files]:
    """A scene with a raster of labels, and one with polygons."""
    import rasterio

    place = {"driver": "GTiff", "crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)}
    found, rng = [], np.random.default_rng(0)
    for number, options in enumerate(({}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"})):
        file = folder / f"{number}.tif"
        pixels = rng.integers(1, 9000, (2, 32, 32)).astype("uint16")
        with rasterio.open(
            file, "w", count=2, height=32, width=32, dtype="uint16", nodata=0, **place, **options
        ) as made:
            made.write(pixels)
            made.scales = (1e-4, 1e-4)
        found.append({"s.tif": file.read_bytes()})
    place["transform"] = rasterio.Affine(100, 0, 5e5, 0, -100, 58e5)
    with rasterio.open(folder / "l.tif", "w", count=1, height=3, width=3, dtype="uint8", nodata=0, **place) as made:
        made.write(np.arange(9, dtype="uint8").reshape(1, 3, 3))
    square = [[500_050.0, 5_799_950], [500_150, 5_799_950], [500_150, 5_799_850], [500_050, 5_799_850]]
    features = [
        {"type": "Feature", "properties": {key: word}, "geometry": {"type": kind, "coordinates": rings}}
        for key, word, kind, rings in (("lcz", 3, "Polygon", [square]), ("Class", "A", "MultiPolygon", [[square]]))
    ]
    system = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    polygons = {"type": "FeatureCollection", "crs": system, "features": features}
    found[0]["s_lcz.tif"] = (folder / "l.tif").read_bytes()
    found[1]["s.geojson"] = json.dumps(polygons).encode()
    return found


def archives(folder: Path) -> list[Files]:
    """With all optional arrays, and with the least."""
    rows, rng = np.arange(12), np.random.default_rng(0)
    whole, least = BytesIO(), BytesIO()
    np.savez_compressed(
        whole,
        images=rng.integers(0, 255, (12, 2, 2, 2)).astype(np.uint16),
        labels=rows % 3,
        class_names=np.array(["a", "b", "c"]),
        band_names=np.array(["B02", "B03"]),
        filenames=np.array([f"a/{row}" for row in rows]),
        group=rows // 4,
        split=np.array(["train", "val", "test"])[rows % 3],
        epsg=np.full(12, 32633),
        bounds=np.column_stack([rows, rows, rows + 1, rows + 1]).astype(float),
    )
    np.savez(least, images=rng.uniform(0, 1, (12, 2, 2, 2)), labels=np.eye(3)[rows % 3], layout=np.array("NHWC"))
    return [{"set.npz": whole.getvalue()}, {"set.npz": least.getvalue()}]


def pictures(folder: Path) -> list[Files]:
    """Two classes of PNG and JPEG, of several modes."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8))
    files = {}
    for name, mode, kind in (("a/x.png", "RGB", "PNG"), ("a/y.jpg", "L", "JPEG"), ("b/x.png", "P", "PNG")):
        buffer = BytesIO()
        image.convert(mode).save(buffer, kind)
        files[name] = buffer.getvalue()
    return [files]


def checkpoints(folder: Path) -> list[Files]:
    """A state of tensors and plain values."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    state = {"network": layer.state_dict(), "optimizer": optimizer.state_dict(), "generator": torch.get_rng_state()}
    buffer = BytesIO()
    torch.save({"rows": [{"epoch": 1, "loss": 0.5}], "step": 3, "state": state}, buffer)
    return [{"state.pt": buffer.getvalue()}]


def adopted(folder: Path) -> list[Files]:
    """Networks of others: layers with weights, and shapes that are computed."""
    weights = np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype(np.float32)
    layers = [
        node("Conv", "x filters", "maps", strides=[2, 2]), node("Relu", "maps", "on"),
        node("MaxPool", "on", "most", kernel_shape=[2, 2]), node("Pad", "most around", "wide"),
        node("ReduceMean", "wide", "flat", axes=[2, 3], keepdims=0), node("Gemm", "flat head", "scores"),
    ]  # fmt: skip
    shapes = [
        node("Shape", "x", "all"), node("Gather", "all zero", "rows"), node("Unsqueeze", "rows first", "n"),
        node("Concat", "n rest", "shape", axis=0), node("Reshape", "x shape", "pixels"),
        node("Slice", "pixels first four four_th", "scores"),
    ]  # fmt: skip
    one, four = np.array([0]), np.array([4])
    models = (
        graph_of(layers, filters=weights, around=np.array([0, 0, 1, 1, 0, 0, 1, 1]), head=weights[:, :, 0, 0].copy()),
        graph_of(shapes, zero=np.array(0), first=one, rest=np.array([-1]), four=four, four_th=np.array([1])),
    )
    task = Task(("B02", "B03", "B04", "B08"), tuple("abcd"), 8, lcz=False)
    made = []
    for number, model in enumerate(models):
        where = folder / str(number)
        adoption = Adoption(task, "nchw", "scores", "logits", 0.0001, -1000.0, (1.0,) * 4, (2.0,) * 4)
        adoption.write(where, model.SerializeToString())
        made.append({name: (where / name).read_bytes() for name in ("model.onnx", "adopted.json")})
    return made


def foreign(folder: Path) -> list[Files]:
    """The same networks without a manifest."""
    return [{"x.onnx": files["model.onnx"]} for files in adopted(folder)]


def run_folders(folder: Path) -> list[Files]:
    """All that a report shows."""
    found = []
    for number, (cell, classes) in enumerate(((PAPER_CELL, NAMES), (NASNET_CELL, ("sea", "town")))):
        where = write_run(folder / str(number), cell, epochs=3, classes=classes)
        found.append({str(f.relative_to(where)): f.read_bytes() for f in sorted(where.rglob("*")) if f.is_file()})
    return found


__all__ = [name for name, made in list(globals().items()) if callable(made) and name.endswith("s") and name != "asdict"]
