"""Real programs read our maps, where `scripts/clients` has installed them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
HERE = Path(__file__).parents[1] / "support" / "clients"
sys.path.insert(0, str(HERE))

from trial import trial_labels, write_like, write_trial  # noqa: E402

from compactnas.mapping.domain import cover  # noqa: E402


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients") / "maps"
    write_trial(folder)
    return folder


def see(client: str, repository: Path, work: Path, *files: Path) -> tuple[int, dict[str, object]]:
    """Exit code of a client's look at a map, and what it saw."""
    home = Path(os.environ.get("COMPACTNAS_CLIENTS", repository / ".clients"))
    python = home / client.removesuffix("_sample") / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{client}: no environment {python.parent.parent}; scripts/clients makes it")
    command = [python, HERE / f"see_{client}.py", work, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_w2w_puts_the_filtered_classes_into_their_places(repository: Path, maps: Path, tmp_path: Path) -> None:
    code, seen = see("w2w", repository, tmp_path / "work", maps / "trial_wudapt.tif")
    assert code == 0, seen
    assert seen["band"] == 2 and seen["filtered band found"] and not seen["warnings"] and not seen["different"]
    assert sorted(map(int, seen["built"])) == list(range(1, 11)) and seen["natural"] > 100  # type: ignore[call-overload, operator]


def test_w2w_runs_on_its_own_sample_and_on_ours_as_assess_foresees(
    repository: Path, shared: Path, tmp_path: Path
) -> None:
    """A built class of the map becomes that class of the domain; a map that is too small is refused."""
    sample = shared / "data" / "w2w"
    if not (sample / "geo_em.d04.nc").is_file():
        pytest.skip(f"W2W's own sample: no folder {sample}")
    domain = sample / "geo_em.d04.nc"
    write_like(tmp_path / "ours", "zaragoza", sample / "lcz_zaragoza.tif", 32630)
    maps = sample / "lcz_zaragoza.tif", tmp_path / "ours" / "zaragoza_wudapt.tif", sample / "lcz_too_small.tif"
    for map_, wanted in zip(maps, (0, 0, 3), strict=True):
        assert cover(map_, domain).w2w == (wanted == 0)
        code, seen = see("w2w_sample", repository, tmp_path / map_.stem, map_, domain)
        assert code == wanted, seen
        if wanted == 0:
            assert sum(seen["built"].values()) > 100 and seen["natural"] > 10_000, seen  # type: ignore[attr-defined, operator]


def test_a_difference_is_seen(repository: Path, maps: Path, tmp_path: Path) -> None:
    """Held against the same map upside down, what W2W made of it is wrong."""
    import rasterio

    with rasterio.open(maps / "trial_wudapt.tif") as raster:
        profile, pixels, names = raster.profile, raster.read(), raster.descriptions
    with rasterio.open(tmp_path / "flipped.tif", "w", **profile | {"driver": "GTiff"}) as raster:
        raster.write(pixels[:, ::-1])
        raster.descriptions = names
    code, seen = see("w2w", repository, tmp_path / "work", maps / "trial_wudapt.tif", tmp_path / "flipped.tif")
    assert code == 1 and len(seen["different"]) == 5, seen  # type: ignore[arg-type]


def test_lcz4py_plots_each_class_at_its_place(repository: Path, maps: Path, tmp_path: Path) -> None:
    code, seen = see("lcz4py", repository, tmp_path / "work", maps / "trial_lcz.tif")
    assert code == 0, seen
    labels = trial_labels()
    assert seen["without class"] == (labels == 0).sum()
    assert seen["km2"] == pytest.approx(
        {str(n): (labels == n).sum() / 100 for n in np.unique(labels) if n}, rel=1e-4, abs=0.01
    )
