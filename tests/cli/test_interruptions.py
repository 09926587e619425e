"""Some of the points of `scripts/sweep`: kills and full disks, after which each command goes on.

A tenth of the kills and full disks of each command are tried, and one point of each rarer fault.
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
RARER = (REAL_KILL, DAMAGED, OPEN_FILES)
SLOW = "find"
"""Command whose run takes twenty times as long as that of most others; the rarer faults are left to `scripts/sweep`."""
NEEDS = {"map": "rasterio", "scene": "odc.stac", "export": "onnxruntime", "adopt": "onnx"}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("name", MAKERS)
def test_an_interrupted_command_ends_with_the_same_bytes_or_one_line(name: str, warm: Warm, tmp_path: Path) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} needs {NEEDS[name]}")
    with made(name, tmp_path) as case:
        sweep = Sweep(warm, case, record(warm, case, repeats=False))
        points = [point for fault in (KILL, FULL) for point in tried(sweep, fault, EVERY)]
        points += [point for fault in RARER if name != SLOW for point in tried(sweep, fault)]
        assert [point for point in points if point.outcome == WRONG] == []
        assert {point.fault for point in points} == {KILL, FULL, *(RARER if name != SLOW else ())}


def tried(sweep: Sweep, fault: str, every: int | None = None) -> Iterator[Point]:
    """Try one of `every` points of a fault, or a single point. The number of operations decides which."""
    count = len(sweep.chosen(fault, 1, 0))
    every = min(every or count, count)
    first = len(sweep.recorded.states) % every
    return sweep.points([fault], every, first * (SPARSE if fault in (DAMAGED, OPEN_FILES) else 1))
