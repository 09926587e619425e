"""The script for a GPU measures every kind of case, keeps to its time, and names what it left out or what failed."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import gpu
import gpu_cases
import pytest

from compactnas.config import MachineConfig

TINY = gpu_cases.Sizes(
    MachineConfig(device="cpu", threads=1),
    side=8,
    batches=(2,),
    layouts=("lean",),
    strategies=("uniform",),
    precisions=("32-true",),
    networks=("resnet20",),
    draws=1,
    steps=2,
)


def test_each_case_is_measured_and_what_the_machine_lacks_is_named() -> None:
    found = gpu.measure(TINY, 1e3)
    assert not found.failed
    assert {section: list(rows) for section, rows in found.figures.items()} == {
        "search": ["gdas, lean, 2, 32-true"],
        "training": ["resnet20, 2, 32-true"],
        "search with its loader": ["gdas, lean, 2, 32-true"],
        "strategies": ["uniform, lean, 2, 32-true"],
    }
    step = found.figures["search"]["gdas, lean, 2, 32-true"]
    assert list(step) == ["ours_ms", "floor_ms", "plain_ms", "plain/ours", "ours/floor"]
    assert step["plain/ours"] == pytest.approx(step["plain_ms"] / step["ours_ms"])
    assert all(value > 0 for rows in found.figures.values() for row in rows.values() for value in row.values())
    assert len(found.left_out) == 3
    text = gpu.report(found)
    assert "| gdas, lean, 2, 32-true | " in text
    assert "- trainings as CUDA graphs: needs CUDA" in text and "a second GPU" in text


def test_cases_that_do_not_fit_or_fail_do_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def taking(seconds: float) -> gpu_cases.Figures:
        nonlocal now
        now += seconds
        if seconds == 1:
            raise subprocess.CalledProcessError(1, "worker")
        return {"ours_ms": seconds}

    def cases(sizes: gpu_cases.Sizes) -> list[gpu_cases.Case]:
        names = [("long", "first", 6), ("short", "first", 1), ("long", "second", 6), ("short", "second", 1.5)]
        return [gpu_cases.Case(section, name, lambda s=seconds: taking(s)) for section, name, seconds in names]

    monkeypatch.setattr(gpu, "cases", cases)
    found = gpu.measure(replace(TINY), 10, clock=lambda: now)
    assert dict(found.figures) == {"long": {"first": {"ours_ms": 6}}, "short": {"second": {"ours_ms": 1.5}}}
    assert list(found.failed) == ["short: first"]
    assert found.left_out == {"long: second": "no time was left"}
    values = found.values()
    assert values["figures"] == {"long: first": {"ours_ms": 6}, "short: second": {"ours_ms": 1.5}}
