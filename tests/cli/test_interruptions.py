"""Some of the points of `scripts/sweep`: kills and full disks, after which each command goes on.

A few points of each command are tried in every run of the tests, a tenth of its kills and full disks with `--sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sweep.cases import MAKERS, made
from support.sweep.shim import unavailable
from support.sweep.sweeping import DAMAGED, FULL, KILL, OPEN_FILES, REAL_KILL, SPARSE, WRONG, Point, Sweep, record
from support.sweep.warm import Warm

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
EVERY = 10
EVERYDAY = {KILL: 8, FULL: 5, DAMAGED: 1, OPEN_FILES: 1}
"""Largest number of points of each fault in every run of the tests."""
FIND = {KILL: 2}
"""The same for `find`, of which a run takes twenty times as long as that of most others."""
NEEDS = {"map": "rasterio", "scene": "odc.stac", "export": "onnxruntime", "adopt": "onnx"}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", MAKERS)
def test_an_interrupted_command_ends_with_the_same_bytes_or_one_line(
    name: str, warm: Warm, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} needs {NEEDS[name]}")
    with made(name, tmp_path) as case:
        sweep = Sweep(warm, case, record(warm, case, repeats=False))
        if request.config.getoption("sweep"):
            first = len(sweep.recorded.states) % EVERY
            points = list(sweep.points((KILL, FULL, REAL_KILL), EVERY, first))
            faults = {KILL, FULL, REAL_KILL}
        else:
            most = FIND if name == "find" else EVERYDAY
            points, faults = [point for fault in most for point in few(sweep, fault, most[fault])], set(most)
        assert [point for point in points if point.outcome == WRONG] == []
        assert {point.fault for point in points} == faults


def few(sweep: Sweep, fault: str, most: int) -> Iterator[Point]:
    """Try a tenth of the points of a fault, but not more than `most`."""
    count = len(sweep.chosen(fault, 1, 0))
    every = max(min(EVERY, count), -(-count // most))
    first = len(sweep.recorded.states) % every
    return sweep.points([fault], every, first * (SPARSE if fault in (DAMAGED, OPEN_FILES) else 1))
