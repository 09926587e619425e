"""A preparation of a So2Sat file that is killed with -9 half-way ends, when it is given again, with the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from preparing import checksums, make_file, packed, start

PATCHES = 3000
SLOWLY = """
import sys, time
from pathlib import Path
from compactnas.config import DataConfig
from compactnas.data.packing import pack
pack.SAVE_EVERY_S = 0.0
pack.prepare(DataConfig(sys.argv[1]), Path(sys.argv[2]), progress=lambda done, total: time.sleep(0.02))
"""


def test_killed_with_9_half_way_it_ends_with_the_same_checksums(tmp_path: Path) -> None:
    source, state = tmp_path / "training.h5", tmp_path / "cut.part" / "state.json"
    make_file(source, PATCHES)
    _, peak_mb = packed(source, tmp_path / "whole", PATCHES)
    assert 10 < peak_mb < 1000
    process, rows = subprocess.Popen([sys.executable, "-c", SLOWLY, source, tmp_path / "cut"]), 0
    until = time.monotonic() + 60
    while rows < PATCHES // 2:
        assert process.poll() is None and time.monotonic() < until
        rows = json.loads(state.read_text())["rows"] if state.exists() else 0
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()
    saved = json.loads(state.read_text())
    assert PATCHES // 2 <= saved["rows"] < PATCHES
    assert start(source, tmp_path / "cut").wait() == 0
    assert checksums(tmp_path / "cut") == checksums(tmp_path / "whole")
    assert not (tmp_path / "cut.part").exists()
