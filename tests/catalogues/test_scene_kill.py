"""A scene that is killed with -9 half-way ends, when it is given again, with the same bytes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from support.forking import Forked, finish
from support.stac_items import KINDS, bounds_of, city, write_item
from support.stac_server import Catalogue, served

pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")

SLOWLY = """
import sys, time
from compactnas.catalogues import grid
from compactnas.catalogues.store import SceneStore
from compactnas.cli import main
grid.BLOCK_PX = (16,)
put = SceneStore.put
def slow(self, *block):
    put(self, *block)
    time.sleep(float(sys.argv[1]))
SceneStore.put = slow
sys.exit(main(sys.argv[2:]))
"""


def test_killed_or_stopped_half_way_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    box = ",".join(map(str, bounds_of(5, 5, 415, 415)))
    with served(Catalogue(tmp_path / "files")) as catalogue:
        catalogue.items = [
            write_item(catalogue.folder, KINDS["earth search 1"], city(day, 64), f"2024-06-1{day}", catalogue.url)
            for day in range(2)
        ]
        base = ["scene", box, "--dates", "2024", "--catalogue", catalogue.url, "--bands", "B02", "--output"]
        finish(["-c", SLOWLY, "0", *base, tmp_path / "whole" / "a.tif"])
        out, done = tmp_path / "cut" / "a.tif", 0
        for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 75)):
            process, before = Forked(["-c", SLOWLY, "0.2", *base, out]), done
            until = time.monotonic() + 120
            while done < before + 2:
                assert process.poll() is None and time.monotonic() < until
                done = len(list(out.parent.glob("a.tif.part/block_*")))
                time.sleep(0.01)
            process.send_signal(number)
            _, said = process.communicate()
            assert process.returncode == code
            assert [file.name for file in out.parent.iterdir()] == ["a.tif.part"]
        assert "stopped by SIGTERM; give the same command again to continue" in said
        assert 4 <= done < 9
        finish(["-c", SLOWLY, "0", *base, out])
    for name in ("a.tif", "a.json"):
        assert (out.parent / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(file.name for file in out.parent.iterdir()) == ["a.json", "a.tif"]
