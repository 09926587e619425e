"""What is fuzzed: each target reads files of a folder, and ends normally or with a `UserError` of one line.

An input is the content of these files in one piece (`packed`), so that bytes from anywhere can be one.
"""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
from torch import nn

from compactnas.config import DataConfig
from compactnas.data.formats.npz import open_npz
from compactnas.data.formats.packed import open_packed
from compactnas.data.formats.scenes import open_scenes
from compactnas.data.inspection import look
from compactnas.data.opening import open_streamed
from compactnas.data.splits import make_parts
from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs import folder as runs
from compactnas.space.genotype import Genotype
from compactnas.studies import expand
from compactnas.studies.config import read_study
from support.fuzz import catalogue_inputs, label_inputs, seeds
from support.fuzz.mutation import mutated

Files = dict[str, bytes]
LONGEST_LINE = 2000


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        read: reads the files of a folder.
        seeds: makes valid ones.
        inputs: of a long run.
        needs: a package without which it cannot be tried.
    """

    read: Callable[[Path], None]
    seeds: Callable[[Path], list[Files]]
    inputs: int = 100_000
    needs: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot be tried; empty if it can."""
        return f"{self.needs} is not installed" if self.needs and find_spec(self.needs) is None else ""


def packed(files: Files) -> bytes:
    """Files as one input."""
    return b"".join(f"{name} {len(content)}\n".encode() + content for name, content in files.items())


def unpacked(data: bytes, known: set[str]) -> Files:
    """Files of an input: those of known names; what is no such list is the content of the first name."""
    files: Files = {}
    while head := re.match(rb"([\w./]+) (\d{1,9})\n", data):
        name, size = head[1].decode(), int(head[2])
        if name in known:
            files[name] = data[head.end() : head.end() + size]
        data = data[head.end() + size :]
    return files or {min(known): data}


class Harness:
    """A target with a folder of its own, and its seeds.

    Args:
        target: the target.
        folder: an empty one, best in memory.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self._target, self._folder = target, folder / "fuzzed"
        (folder / "seeds").mkdir()
        self._folder.mkdir()
        self.seeds = target.seeds(folder / "seeds")
        self._known = {name for files in self.seeds for name in files}
        self._there: Files = {}
        self.inputs, self.temporary = folder / "inputs", folder / "temporary"
        self.inputs.mkdir()
        self.temporary.mkdir()

    def begin(self) -> None:
        """Begin in an empty folder: what another process left in it is not known here."""
        for emptied in (self._folder, self.temporary):
            shutil.rmtree(emptied)
            emptied.mkdir()
        self._there = {}

    def input(self, random: Random) -> bytes:
        """A valid input with one or two of its files changed, or any bytes."""
        if random.random() < 0.03:
            return random.randbytes(random.randrange(300))
        files = dict(random.choice(self.seeds))
        for _ in range(random.choice((1, 1, 1, 2))):
            name = random.choice(list(files))
            if random.random() < 0.02 and len(files) > 1:
                del files[name]
            elif random.random() < 0.02:
                files[name] = files[random.choice(list(files))]
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # odd files are what is wanted here
                    files[name] = mutated(random, files[name], name)
        return packed(files)

    def accepts(self, data: bytes) -> bool:
        """Whether an input is read; False where it is refused.

        Raises whatever else happens, and AssertionError for a refusal that is no line.
        """
        self._write(unpacked(data, self._known))
        lost: list[str] = []
        before, sys.unraisablehook = sys.unraisablehook, lambda one: lost.append(f"{one.object}: {one.exc_value!r}")
        read = True
        try:
            self._target.read(self._folder)
        except UserError as error:
            line, read = str(error), False
            assert "\n" not in line and 0 < len(line) < LONGEST_LINE, f"no line: {line[:300]!r}"
        finally:
            sys.unraisablehook = before
        assert not lost, f"ignored: {lost[0][:300]}"
        return read

    def _write(self, files: Files) -> None:
        """Only what differs from the input before."""
        for name in self._there.keys() - files.keys():
            (self._folder / name).unlink()
        for name, content in files.items():
            if self._there.get(name) != content:
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                # Another file, not another content: who has the last one open or mapped keeps it.
                (self._folder / name).unlink(missing_ok=True)
                (self._folder / name).write_bytes(content)
        self._there = files


def _genotype(folder: Path) -> None:
    found = Genotype.load(folder)
    assert Genotype.from_json(found.to_json()) == found


def _config(folder: Path) -> None:
    if (folder / "study.yaml").exists():
        expand(read_study(folder / "study.yaml"))
    else:
        runs.read_config(folder)


@lru_cache(maxsize=8)
def _network(spec: ModelSpec) -> nn.Module:
    return build(spec)


SMALL = 2**24
"""Weights of networks that are built for an input, so that most of the time is spent in the readers."""


def _weights(folder: Path) -> None:
    spec = ModelSpec.read(folder)
    genotype = spec.genotype
    if genotype is not None:
        genotype.require_size()
        if sum(genotype.depths) > 8 or genotype.channels * 2 ** len(genotype.depths) > 64:
            return
    if spec.bands * spec.classes < SMALL:
        runs.load_weights(_network(replace(spec, patch_px=32)), folder / "model.safetensors")


def _manifest(folder: Path) -> None:
    source = open_packed(folder)
    look(source)
    if (folder / "split.csv").exists():
        make_parts(source.facts, DataConfig(split="csv", split_csv=str(folder / "split.csv")))


def _hdf5(folder: Path) -> None:
    look(open_streamed(DataConfig(str(folder / "made.h5"), sensor="both")))


def _scene(folder: Path) -> None:
    source = open_scenes(folder / "s.tif", window_px=4)
    source.batch(np.arange(min(4, len(source.facts.labels))))


def _npz(folder: Path) -> None:
    look(open_npz(folder / "set.npz", limit_gib=0.25))


def _pictures(folder: Path) -> None:
    look(open_streamed(DataConfig(str(folder), format="folder")))


def _checkpoint(folder: Path) -> None:
    from compactnas.runs.checkpoints import load_checkpoint

    load_checkpoint(folder / "state.pt")


def _report(folder: Path) -> None:
    from compactnas.reporting.run.page import write_report

    write_report([folder], folder.parent / "report.html")


def _adopted(folder: Path) -> None:
    """A stranger writes the right checksum, so it is not compared here."""
    from compactnas.adopted.manifest import Adoption, read_bounded
    from compactnas.adopted.network import network_of

    file = folder / "model.onnx"
    adoption = Adoption.from_json(read_json(folder / "adopted.json", "adopt it again"), "adopted.json")
    network = network_of(adoption, read_bounded(file), file, 1)
    taken = network.taken
    if taken.bands * taken.patch_px**2 < SMALL:
        network.scores(np.full((2, taken.bands, taken.patch_px, taken.patch_px), 0.2, np.float32))


def _onnx(folder: Path) -> None:
    """Adopt a file, as the command does."""
    from compactnas.adopted.adopting import Description, adopt

    out = folder.parent / "adopted"
    try:
        adopt(folder / "x.onnx", out, Description(("B02", "B03", "B04", "B08"), tuple("abcd"), False, 0.0001))
    finally:
        shutil.rmtree(out, ignore_errors=True)


TARGETS = {
    "onnx": Target(_onnx, seeds.foreign, needs="onnxruntime"),
    "adopted": Target(_adopted, seeds.adopted, needs="onnxruntime"),
    "genotype": Target(_genotype, seeds.genotypes),
    "manifest": Target(_manifest, seeds.packed_sets),
    "hdf5": Target(_hdf5, seeds.so2sat),
    "config": Target(_config, seeds.configs, inputs=10_000),
    "safetensors": Target(_weights, seeds.models),
    "scene": Target(_scene, seeds.scenes, needs="rasterio"),
    "npz": Target(_npz, seeds.archives),
    "pictures": Target(_pictures, seeds.pictures),
    "checkpoint": Target(_checkpoint, seeds.checkpoints),
    "report": Target(_report, seeds.run_folders, inputs=10_000),
    "split": Target(label_inputs.read_split, label_inputs.splits),
    "table": Target(label_inputs.read_table, label_inputs.tables),
    "geojson": Target(label_inputs.read_vector, label_inputs.geojson, needs="pyogrio"),
    "kml": Target(label_inputs.read_vector, label_inputs.kml, needs="pyogrio"),
    "geopackage": Target(label_inputs.read_vector, label_inputs.geopackage, needs="pyogrio"),
    "shapefile": Target(label_inputs.read_vector, label_inputs.shapefile, needs="pyogrio"),
    "flatgeobuf": Target(label_inputs.read_vector, label_inputs.flatgeobuf, needs="pyogrio"),
    "item": Target(catalogue_inputs.read_items, catalogue_inputs.items, needs="rasterio"),
    "catalogue": Target(catalogue_inputs.read_answers, catalogue_inputs.answers, needs="pystac_client"),
}
