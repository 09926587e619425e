"""Shared setup of the tests: one thread, checked shapes, and the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before torch reads it, for the same bytes on every machine
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's own 15, jobs wait for every other test of the machine

import pytest
import torch
from hypothesis import HealthCheck, settings
from support.checking import check_annotations
from support.conversions import convert_once
from support.slow import SLOW, SWEEPS, rank

# Every annotated argument and result of the package is checked while tests run, shapes included.
check_annotations("compactnas")
convert_once()
torch.set_num_threads(1)
pytest.register_assert_rewrite("support.hostile")  # so that its asserts hold under `python -O`, too

# A commit passes or fails by its code, not by luck or by the load of the machine: the same examples every time, however
# long one takes; other ones with `--sweep`.
settings.register_profile(
    "same examples", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data and reference tables; skip the test if it is missing.

    The folder is `$COMPACTNAS_SHARED`, or `shared` beside the checkout.
    """
    folder = Path(os.environ.get("COMPACTNAS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"real data: no folder {folder}; set COMPACTNAS_SHARED to run this test")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out the slow test modules")
    parser.addoption("--sweep", action="store_true", help="also interrupt every command at many points, for an hour")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("sweep"):
        settings.load_profile("same examples")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow modules out of a quick run, and sweeps out of every run that does not ask for them."""
    name, folder = collection_path.stem.removeprefix("test_"), collection_path.parent.name
    slow = config.getoption("quick") and name in SLOW.get(folder, ())
    sweeps = not config.getoption("sweep") and name in SWEEPS.get(folder, ())
    return True if slow or sweeps else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest modules first."""
    items.sort(key=lambda item: rank(item.path.stem.removeprefix("test_")))
