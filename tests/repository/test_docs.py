"""What the documentation shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import compactnas


def test_every_public_name_is_there() -> None:
    for name in compactnas.__all__:
        assert getattr(compactnas, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = compactnas.nothing_such


def test_the_python_page_runs_from_top_to_bottom(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "docs" / "python.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), names)  # our own page
    assert (tmp_path / "example" / "run" / "evaluation.json").exists()
    assert list(names["logits"].shape) == [8, 17]  # type: ignore[attr-defined]


def test_the_tutorial_draws_polygons_that_can_be_trained_on(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    from compactnas.labels.polygons import owners, read_polygons

    page = repository / "docs" / "tutorial-polygons.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "scenes").mkdir(parents=True)
    zones = np.kron(np.arange(1, 17, dtype=np.uint8).reshape(4, 4), np.ones((100, 100), np.uint8))
    place = rasterio.Affine(10, 0, 500_000, 0, -10, 5_800_000)
    profile = {"driver": "GTiff", "height": 400, "width": 400, "count": 1, "dtype": "uint8", "nodata": 0}
    with rasterio.open("mine/scenes/Kalaburg_lcz.tif", "w", **profile, crs="EPSG:32633", transform=place) as raster:
        raster.write(zones, 1)
    exec(compile(block, str(page), "exec"), {})  # our own page
    drawn = np.zeros((2, *zones.shape), bool)
    for part, name in enumerate(("train.geojson", "test.geojson")):
        polygons = read_polygons(tmp_path / name, raster.crs).each
        owner = owners(polygons, place, (0, 400), 400, tmp_path / name)
        drawn[part] = owner > 0
        numbers = np.array([0, *(polygon.label + 1 for polygon in polygons)])
        assert len(polygons) >= 10 and (numbers[owner] == zones)[drawn[part]].all()
    assert not drawn.all(0).any()
