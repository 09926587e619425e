"""The ten lines of Python, as the README and the plan of the interface show them, run from the first to the last."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import compactnas as cn
from compactnas.config.run import RECIPES
from compactnas.estimator.settings import run_config

LINES = """
import compactnas as cn
train, test = cn.datasets.synthetic()                       # anything with images, labels, groups
model = cn.CompactClassifier(max_macs=20e6, recipe="quick", progress=True)
model.fit(train.images, train.labels, groups=train.groups)  # numpy or torch arrays, (n, bands, h, w)
model.score(test.images, test.labels); model.predict_proba(test.images)
model.genotype                                              # draws its cell in a notebook
plot = model.history.plot(); model.network                  # a torch.nn.Module
model.save("run"); model.export("lcz"); found = model.map("scene.tif")
"""
"""As planned; two results have names here, so that the test can look at them."""

TINY = {
    "space.channels": 4,
    "space.max_depth": 2,
    "machine.device": "cpu",
    "train.epochs": 1,
    "search.epochs": 1,
    "search.initial_depth": 2,
    "search.batch_size": 32,
}
"""Settings of a fit of a second; the names, the calls and their order stay those of the lines."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of a synthetic city, with named bands."""
    for package in ("rasterio", "rioxarray", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the `map` or `export` extra is not installed")
    home = tmp_path_factory.mktemp("ten-lines")
    cn.write_world(home / "world", cities=1, test_cities=1, patches=40, scene_px=264, scenes=True)
    return next((home / "world" / "scenes").glob("*[!z].tif"))


def shortened(monkeypatch: pytest.MonkeyPatch, home: Path, scene: Path) -> None:
    """Enter a folder with a scene, where the recipe `quick` and the synthetic set are small."""
    tiny = run_config("smoke", {}, TINY, 0)
    monkeypatch.setitem(RECIPES, "quick", lambda: tiny)
    monkeypatch.setattr(
        cn.datasets, "synthetic", partial(cn.datasets.synthetic, 120, cities=1, test_cities=1, scene_px=264)
    )
    monkeypatch.chdir(home)
    (home / "scene.tif").symlink_to(scene)


def test_the_lines_run_as_they_stand(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import xarray
    from torch import nn

    shortened(monkeypatch, tmp_path, scene)
    names: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        exec(compile(LINES, "the ten lines", "exec"), names)  # our own text
    assert any("bands have no names" in str(warning.message) for warning in told)
    model, found = names["model"], names["found"]
    assert isinstance(model.network, nn.Module) and "image/svg+xml" in model.genotype._repr_html_()
    assert names["plot"]._repr_html_().count("<img") > 3
    assert isinstance(found, xarray.DataArray) and found.shape == (27, 27) and found.rio.crs is not None
    assert len(found.attrs["classes"]) == len(model.classes_) == 17
    assert (tmp_path / "run" / "model.safetensors").exists() and (tmp_path / "lcz" / "model.onnx").exists()


def test_the_lines_of_the_readme_run(
    repository: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), flags=re.DOTALL)
    shortened(monkeypatch, tmp_path, scene)
    exec(compile(block, "README.md", "exec"), {})  # our own page; bands are named, so that nothing is assumed
    assert (tmp_path / "lcz" / "model.onnx").exists()


def test_public_functions_are_not_hidden_by_packages() -> None:
    """Importing a module of a package sets an attribute of `compactnas`; no public name may be one of these."""
    code = (
        "import compactnas.mapping.scenes, compactnas.exporting.writing, compactnas.mapping.assess, compactnas as cn\n"
        "import compactnas.cli.commands.export, compactnas.cli.commands.map\n"
        "assert [cn.map.__name__, cn.export.__name__, cn.assess.__name__] == ['map_scene', 'export_run', 'assess']\n"
        "assert not hasattr(cn, 'map_scene') and not hasattr(cn, 'export_run')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    modules = {entry.stem for entry in Path(cn.__file__).parent.iterdir()} - {"datasets"}
    assert not modules & set(cn.__all__)
