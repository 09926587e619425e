"""The listener on a made terminal and without one."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from compactnas.reporting.progress import RichListener, describe

SEARCH = {
    "epoch": 1,
    "loss_weights": 1.5,
    "loss_alpha": 1.6123,
    "accuracy_weights": 0.512,
    "accuracy_alpha": 0.48,
    "entropy": 1.875,
    "expected_macs": 18_421_000.0,
    "depths": [2.9, 3.0, 3.14],
    "tau": 9.1,
}


def listener(terminal: bool) -> tuple[RichListener, io.StringIO]:
    """A listener that writes into memory, 200 columns wide."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, color_system=None, legacy_windows=False)
    return RichListener(console), file


def run(seen: RichListener, epochs: int = 2, steps: int = 3, first: int = 1) -> None:
    """What a loop does."""
    seen.start("search", epochs, steps)
    for epoch in range(first, epochs + 1):
        for _ in range(steps):
            seen.step({"loss_weights": 2.0, "accuracy_weights": 0.25})
        seen.epoch({**SEARCH, "epoch": epoch})
    seen.end()


def test_one_plain_line_an_epoch_without_a_terminal() -> None:
    seen, file = listener(terminal=False)
    run(seen)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2 and "\x1b" not in file.getvalue()
    assert lines[1] == (
        "search epoch 2/2: loss 1.500 | 1.612  accuracy 51.2 | 48.0 %  entropy 1.88 nats"
        "  cost 18.42 M MACs  depth 2.9 3.0 3.1  tau 9.1"
    )


def test_bar_figures_and_time_left_on_a_terminal() -> None:
    seen, file = listener(terminal=True)
    run(seen)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).rsplit("search", maxsplit=1)[-1]
    assert "epoch 2/2" in last and "ETA 0:00:00" in last
    assert "18.42 M MACs" in last and "entropy 1.88" in last and "depth 2.9 3.0 3.1" in last
    assert "\x1b[?25h" in file.getvalue(), "the cursor is shown again"


def test_figures_of_the_step_stay_beside_those_of_the_epoch() -> None:
    seen, file = listener(terminal=True)
    seen.start("search", 2, 3)
    seen.epoch(SEARCH)
    seen.step({"loss": 1.25, "accuracy": 0.375})
    seen.end()
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).rsplit("epoch 1:", maxsplit=1)[-1]
    assert "loss 1.500 | 1.612" in last and "step 1: loss 1.250  accuracy 37.5 %" in last


def test_resumed_run_starts_at_its_epoch_and_ends_full() -> None:
    seen, _ = listener(terminal=True)
    seen.start("train", 100, 10)
    for _ in range(10):
        seen.step({})
    seen.epoch({"epoch": 91, "loss": 1.0})
    task = seen._progress.tasks[0]
    assert task.completed == 910
    assert not task.time_remaining, "the jump over the epochs of the first run is no speed"
    seen.end()


def test_warnings_are_shown_everywhere_and_take_no_markup_or_escapes() -> None:
    for terminal in (True, False):
        seen, file = listener(terminal)
        seen.start("train", 1, 1)
        seen.warn("class '[red]x[/red]\x1b]0;owned\x07' is absent")
        seen.end()
        assert "warning: class '[red]x[/red]\ufffd]0;owned\ufffd' is absent" in file.getvalue()


def test_goes_to_stderr_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    seen = RichListener()
    run(seen)
    seen.warn("careful")
    seen.warn("careful")  # the next stage knows the same
    out, err = capsys.readouterr()
    assert out == "" and err.count("warning: careful") == 1 and "epoch 2/2" in err


def test_end_is_safe_twice_and_without_a_start() -> None:
    seen, _ = listener(terminal=True)
    seen.end()
    seen.start("a", 1, 1)
    seen.start("b", 1, 1)  # the first bar is closed
    seen.end()
    seen.end()


def test_training_figures_and_missing_values() -> None:
    assert describe({"loss": 0.5, "accuracy": 0.875, "validation_oa": None}) == "loss 0.500  accuracy 87.5 %"
    assert describe({"loss": 0.5, "validation_oa": 0.8}) == "loss 0.500  validation OA 80.0 %"
    assert describe({}) == ""
