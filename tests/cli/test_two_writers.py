"""Two processes of the same command: the first is stopped in its middle, and the second one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sweep.cases import MAKERS, made
from support.sweep.disturbing import undisturbed, while_stopped
from support.sweep.shim import unavailable
from support.sweep.state import State, difference
from support.sweep.warm import Warm

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")
WRITERS = [name for name in MAKERS if name != "report"]  # two reports may be written at the same time


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with Warm(tmp_path_factory.mktemp("warm")) as warm:
        yield warm


@pytest.mark.parametrize("name", WRITERS)
def test_the_second_is_refused_by_name_and_the_first_ends_undisturbed(name: str, warm: Warm, tmp_path: Path) -> None:
    with made(name, tmp_path) as case:
        whole = undisturbed(warm, case)
        first, second = while_stopped(warm, case, whole, lambda: warm.finish(case.resumed))
        assert second.code == 2 and second.error, second.err
        assert str(case.place) in second.error and "is writing here" in second.error
        assert (first.code, difference(State.of(case.place), whole.final)) == (0, ""), first.err
