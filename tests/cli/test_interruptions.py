"""A tenth of the points of `scripts/sweep`: kills and full disks, after which each command goes on.

Two commands are tried in every run of the tests, and all with `--sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sweep.cases import MAKERS, made
from support.sweep.shim import unavailable
from support.sweep.sweeping import FULL, KILL, REAL_KILL, WRONG, Sweep, record
from support.sweep.warm import Warm

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
EVERY = 10
EVERYDAY = ("train", "prepare")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the commands."""
    metafunc.parametrize("name", MAKERS if metafunc.config.getoption("sweep") else EVERYDAY)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_an_interrupted_command_ends_with_the_same_bytes_or_one_line(name: str, warm: Warm, tmp_path: Path) -> None:
    for module in {"map": ["rasterio"], "scene": ["odc.stac"], "export": ["onnxruntime"], "adopt": ["onnx"]}.get(
        name, []
    ):
        pytest.importorskip(module, reason=f"{name} needs {module}")
    with made(name, tmp_path) as case:
        recorded = record(warm, case, repeats=False)
        first = len(recorded.states) % EVERY
        points = list(Sweep(warm, case, recorded).points((KILL, FULL, REAL_KILL), EVERY, first))
        assert [point for point in points if point.outcome == WRONG] == []
        assert {point.fault for point in points} == {KILL, FULL, REAL_KILL}
