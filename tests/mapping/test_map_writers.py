"""Two maps to one folder: the second is refused, and the first one's result is the undisturbed one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.map_files import contents, job, numbers, write_model, write_scene
from support.tiny import Killed

from compactnas.errors import UserError
from compactnas.io.sole_writer import LOCK, sole_writer, workplace
from compactnas.io.temporary import temporary_name
from compactnas.mapping import grid
from compactnas.mapping.block_store import BlockStore
from compactnas.mapping.config import Outputs
from compactnas.mapping.mapping import make_map

pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """A model and two scenes; a map of either has several blocks."""
    monkeypatch.setattr(grid, "BLOCK_ROWS", 1)
    scenes = [write_scene(tmp_path / f"{seed}.tif", numbers(64, 64, seed=seed)) for seed in (1, 2)]
    return write_model(tmp_path / "run"), scenes[0], scenes[1]


def ignore(*_: object) -> None: ...


def once(act: Callable[[], None]) -> Callable[[int, int], None]:
    """Make a progress function that acts when the first block is finished."""
    calls: list[int] = []

    def progress(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 1:
            act()

    return progress


def test_a_second_map_is_refused_and_takes_nothing_from_the_first(
    two: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, one, other = two
    out = tmp_path / "out"

    def disturb() -> None:
        # In this process the lock could be taken again, so it stands for another process's here.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("compactnas.io.sole_writer.FileLock", lambda path, **_: Elsewhere())
            for _ in range(2):  # the first refusal must not open the door for the second
                with pytest.raises(UserError, match="is writing here"):
                    make_map(job(model, other), out, Outputs(name="city"), ignore, ignore)
                assert (out / "map.part" / LOCK).exists()

    make_map(job(model, one), tmp_path / "alone", Outputs(name="city"), ignore, ignore)
    make_map(job(model, one), out, Outputs(name="city"), once(disturb), ignore)
    assert contents(out) == contents(tmp_path / "alone")


class Elsewhere:
    """Lock that another process holds."""

    def acquire(self, timeout: float) -> None:
        from filelock import Timeout

        raise Timeout("held")


def test_a_map_whose_folder_is_moved_writes_nothing_into_the_next_one(
    two: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    model, one, other = two
    out = tmp_path / "out"

    def move() -> None:
        out.rename(tmp_path / "moved")
        with sole_writer(out / "map.part"):
            pass

    with pytest.raises(UserError, match="was moved, removed or replaced"):
        make_map(job(model, one), out, Outputs(name="city"), once(move), ignore)
    make_map(job(model, other), out, Outputs(name="city"), ignore, ignore)
    make_map(job(model, other), tmp_path / "alone", Outputs(name="city"), ignore, ignore)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_map_killed_when_it_is_whole_ends_well_and_leaves_nothing(
    two: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, one, other = two
    out = tmp_path / "out"

    def die(store: BlockStore) -> None:
        raise Killed

    for again, refused in ((one, False), (other, True)):
        shutil.rmtree(out, ignore_errors=True)
        monkeypatch.setattr(BlockStore, "remove", die)
        with pytest.raises(Killed):
            make_map(job(model, one), out, Outputs(name="city"), ignore, ignore)
        monkeypatch.undo()
        monkeypatch.setattr(grid, "BLOCK_ROWS", 1)
        about, before = (out / "map.json").read_bytes(), contents(out / "map.part")
        assert before
        if refused:
            with pytest.raises(UserError, match="holds a map already"):
                make_map(job(model, again), out, Outputs(name="city"), ignore, ignore)
        else:
            found = make_map(job(model, again), out, Outputs(name="city"), ignore, ignore)
            assert found == json.loads(about)
        assert (out / "map.json").read_bytes() == about and not (out / "map.part").exists()


def test_a_half_written_raster_of_a_killed_map_is_written_again(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    model, one, _ = two
    make_map(job(model, one), tmp_path / "alone", Outputs(name="city"), ignore, ignore)
    out = tmp_path / "out"
    with workplace(out / "map.part"):
        for name in ("plain_city_lcz.tif", "city_lcz.tif"):
            (out / "map.part" / name).write_bytes((tmp_path / "alone" / "city_lcz.tif").read_bytes()[:300])
    make_map(job(model, one), out, Outputs(name="city"), ignore, ignore)
    assert contents(out) == contents(tmp_path / "alone")


def test_half_written_files_of_a_killed_map_are_cleared(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    model, one, _ = two
    out = tmp_path / "out"
    out.mkdir()
    half, foreign = temporary_name(out / "city_lcz.qml"), out / ".notes.part"
    for file in (half, foreign):
        file.write_text("half")
    make_map(job(model, one), out, Outputs(name="city"), ignore, ignore)
    assert not half.exists() and foreign.read_text() == "half"
