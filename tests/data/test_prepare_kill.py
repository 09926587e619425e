"""A preparation of a So2Sat file that is killed with -9 half-way ends, when it is given again, with the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from preparing import checksums, make_file, packed
from support.forking import Forked, finish

from compactnas.config import DataConfig
from compactnas.data.packing import pack
from compactnas.errors import UserError

PATCHES = 1500
SLOWLY = """
import sys, time
from pathlib import Path
from compactnas.config import DataConfig
from compactnas.data.packing import pack
pack.SAVE_EVERY_S = 0.0
pack.prepare(DataConfig(sys.argv[1]), Path(sys.argv[2]), progress=lambda done, total: time.sleep(0.05))
"""


def test_killed_with_9_half_way_it_ends_with_the_same_checksums(tmp_path: Path) -> None:
    source, state = tmp_path / "training.h5", tmp_path / "cut.part" / "state.json"
    make_file(source, PATCHES)
    _, peak_mb = packed(source, tmp_path / "whole", PATCHES)
    assert 10 < peak_mb < 1000
    process, rows = Forked(["-c", SLOWLY, source, tmp_path / "cut"]), 0
    until = time.monotonic() + 60
    while rows < PATCHES // 2:
        assert process.poll() is None and time.monotonic() < until
        rows = json.loads(state.read_text())["rows"] if state.exists() else 0
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()
    saved = json.loads(state.read_text())
    assert PATCHES // 2 <= saved["rows"] < PATCHES
    finish(["-m", "compactnas", "prepare", source, tmp_path / "cut"])
    assert checksums(tmp_path / "cut") == checksums(tmp_path / "whole")
    assert not (tmp_path / "cut.part").exists()


def test_killed_at_any_point_after_the_set_is_complete_it_can_be_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill during the removal of the work folder leaves a part of it; the state is there to the last."""
    source, cut = tmp_path / "training.h5", tmp_path / "cut"
    make_file(source, 40)

    class Killed(BaseException):
        """Stands for a kill; nothing may catch it."""

    for spared in range(4):
        calls = [0]

        def remove(path: Path, *, last: int = spared, seen: list[int] = calls) -> None:
            inside = path.parent == cut.with_name("cut.part") and cut.exists()
            seen[0] += inside
            if inside and seen[0] > last:
                raise Killed
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 (`unlink` of a path is this function)

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Path, "unlink", lambda path, missing_ok=False: remove(path))
            pack.prepare(DataConfig(str(source)), cut)
        assert cut.exists()
        if cut.with_name("cut.part").exists():
            # Once the state is gone, the set is like any other that is there already.
            there = (
                contextlib.nullcontext()
                if (cut.with_name("cut.part") / "state.json").exists()
                else pytest.raises(UserError, match="exists already")
            )
            with there:
                pack.prepare(DataConfig(str(source)), cut)
        assert not cut.with_name("cut.part").exists()
        shutil.rmtree(cut)


def test_an_empty_work_folder_beside_a_set_is_removed(tmp_path: Path) -> None:
    source, cut = tmp_path / "training.h5", tmp_path / "cut"
    make_file(source, 40)
    pack.prepare(DataConfig(str(source)), cut)
    cut.with_name("cut.part").mkdir()
    with pytest.raises(UserError, match="exists already"):
        pack.prepare(DataConfig(str(source)), cut)
    assert not cut.with_name("cut.part").exists()
