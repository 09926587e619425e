"""What may happen around a command while it runs: it ends well, or with one line and exit code 2."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sweep.cases import MAKERS, Case, made
from support.sweep.disturbing import (
    CHANGES,
    READ_ONLY_ROOT,
    Undisturbed,
    full,
    middle,
    surrounded,
    undisturbed,
    with_change,
)
from support.sweep.shim import Act, unavailable
from support.sweep.state import State, clear, difference
from support.sweep.warm import Ended, Warm

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
LONG = ("search", "train", "run", "study", "prepare", "export", "map", "select", "pareto", "synth", "scene", "find")
"""Commands that may run for a long time."""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm


@pytest.fixture(scope="module", params=MAKERS)
def ready(
    request: pytest.FixtureRequest, warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Case, Undisturbed]]:
    """A command, and what it leaves undisturbed."""
    with made(request.param, tmp_path_factory.mktemp("case")) as case:
        yield case, undisturbed(warm, case)


def ended_well(ended: Ended, case: Case, whole: Undisturbed) -> bool:
    """Check that a command ended well with the undisturbed files, or with one line."""
    if ended.code == 0:
        assert difference(State.of(case.place), whole.final) == "", ended.err
        return True
    assert ended.code == 2 and ended.error, f"{case.name}: {ended.code}: {ended.err}"
    return False


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_is_changed_in_the_middle(change: str, warm: Warm, ready: tuple[Case, Undisturbed]) -> None:
    case, whole = ready
    if case.name not in LONG:
        pytest.skip(f"{case.name} is done at once")
    clear(case.place)
    ended = with_change(warm, case, whole, CHANGES[change])
    assert ended.code == 2 and ended.error, f"{case.name}: {ended.code}: {ended.err}"
    assert not [path for path in case.place.rglob("other/*") if path.name not in (".lock", ".writer")]


def test_a_folder_that_becomes_read_only_in_the_middle(warm: Warm, ready: tuple[Case, Undisturbed]) -> None:
    """The administrator may write everywhere, so that each further write is refused here as the system would do it."""
    case, whole = ready
    clear(case.place)
    ended = warm.finish(case.call, middle(case, whole, Act.FAIL_FROM, errno.EACCES))
    assert ended.code == 2 and ended.error, f"{case.name}: {ended.code}: {ended.err}"


def test_a_clock_that_is_set_back_a_day(warm: Warm, ready: tuple[Case, Undisturbed]) -> None:
    case, whole = ready
    clear(case.place)
    assert ended_well(warm.finish(case.call, middle(case, whole, Act.CLOCK_BACK)), case, whole)


def test_few_open_files(warm: Warm, ready: tuple[Case, Undisturbed]) -> None:
    case, whole = ready
    clear(case.place)
    assert ended_well(warm.finish(surrounded(case, nofile=64).call), case, whole)


def test_a_full_folder_for_temporary_files(warm: Warm, ready: tuple[Case, Undisturbed], tmp_path: Path) -> None:
    case, whole = ready
    clear(case.place)
    ended_well(warm.finish(surrounded(case, env={"TMPDIR": str(tmp_path)}).call, full(tmp_path)), case, whole)


def test_neither_home_nor_temporary_files(warm: Warm, ready: tuple[Case, Undisturbed], tmp_path: Path) -> None:
    case, whole = ready
    clear(case.place)
    missing = {"HOME": "", "TMPDIR": str(tmp_path / "nowhere"), "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    assert ended_well(warm.finish(surrounded(case, env=missing).call), case, whole)


def may_mount() -> bool:
    """Check whether a process may have mounts of its own."""
    import os

    child = os.fork()
    if child == 0:
        os._exit(int(ctypes.CDLL(None).unshare(0x20000) != 0))
    return os.waitpid(child, 0)[1] == 0


def test_a_read_only_root_without_home(warm: Warm, ready: tuple[Case, Undisturbed], tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("mounts of one's own need more rights")
    case, whole = ready
    clear(case.place)
    code = READ_ONLY_ROOT.format(place=str(case.place), outside=str(tmp_path / "outside")) + case.call.code
    missing = {"HOME": "/nowhere", "TMPDIR": "", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    ended_well(warm.finish(surrounded(case, env=missing, code=code).call), case, whole)
