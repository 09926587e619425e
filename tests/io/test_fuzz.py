"""Each fuzz target for a moment, documents that hypothesis makes, and that the fuzzer sees what it looks for.

`scripts/fuzz` does the first for long.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import runpy
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzz import running
from support.fuzz.running import Result, run
from support.fuzz.targets import TARGETS, Harness, Target, packed, unpacked

INPUTS = {"config": 40, "report": 25, "geopackage": 60, "catalogue": 80, "shapefile": 80}


def quickly(target: Target, keep: Path, inputs: int, told: list[str]) -> Result:
    return run(target, inputs, 0, keep, "here", told.append)


@pytest.mark.parametrize("name", TARGETS)
def test_a_changed_file_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    target, told = TARGETS[name], []
    if target.missing:
        pytest.skip(f"{name}: {target.missing}")
    inputs = INPUTS.get(name, 200)
    result = quickly(target, tmp_path / "failed", inputs, told)
    assert not result.failures, "\n".join(told)
    assert result.inputs == inputs and inputs / 4 < result.refused
    assert result.peak > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("name", "file"), [("genotype", "genotype.json"), ("manifest", "manifest.json"), ("safetensors", "model.json")]
)
def test_any_json_in_any_place_is_read_or_refused(name: str, file: str, tmp_path: Path) -> None:
    harness = Harness(TARGETS[name], tmp_path)
    files = harness.seeds[0]
    keys = sorted(json.loads(files[file]))

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(key=st.sampled_from([*keys, "another"]), value=JSON, whole=st.booleans())
    def check(key: str, value: Any, whole: bool) -> None:
        document = value if whole else json.loads(files[file]) | {key: value}
        harness.accepts(packed(files | {file: json.dumps(document).encode()}))

    check()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(content=st.binary(max_size=200))
def test_files_in_one_piece_come_apart_again(content: bytes) -> None:
    files = {"a.json": content, "b/c.txt": content[::-1]}
    assert unpacked(packed(files), set(files)) == files
    assert unpacked(content, {"a.json"})["a.json"] is not None


SEED = b"{}"


def _changed(folder: Path) -> bool:
    return (folder / "genotype.json").read_bytes() != SEED


def _wrong(folder: Path) -> None:
    if _changed(folder):
        raise ZeroDivisionError


def _crashing(folder: Path) -> None:
    if _changed(folder):
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)


def _slow(folder: Path) -> None:
    while _changed(folder):
        pass


def _waiting(folder: Path) -> None:
    if _changed(folder):
        signal.pause()


def _greedy(folder: Path) -> None:
    if _changed(folder):  # a map of its own: what this process has kept of freed memory is no part of it
        memory = mmap.mmap(-1, running.MOST_BYTES + 2**20)
        memory[:: mmap.PAGESIZE] = b"x" * -(-len(memory) // mmap.PAGESIZE)


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (_wrong, "ZeroDivisionError at elsewhere"),
        (_crashing, "the process ended (SIGSEGV)"),
        (_slow, "TooSlowError at elsewhere"),
        (_waiting, "hang"),
        (_greedy, "memory"),
    ],
)
def test_the_fuzzer_sees_it(
    read: Callable[[Path], None], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each limit is short only where it is looked for: on a busy machine another input could pass it.
    if read is _slow:
        monkeypatch.setattr(running, "SECONDS", 1.0)
    if kind == "hang":
        monkeypatch.setattr(running, "HANG_S", 1.5)
    if kind == "memory":
        monkeypatch.setattr(running, "MOST_BYTES", 2**29)
    told: list[str] = []
    result = quickly(Target(read, lambda folder: [{"genotype.json": SEED}]), tmp_path / "failed", 2, told)
    assert list(result.failures) == [kind], told
    assert result.inputs == 2, "it goes on after a failure"
    file, _ = result.failures[kind]
    assert unpacked(file.read_bytes(), {"genotype.json"})["genotype.json"] != SEED
    assert kind in told[0]


def test_the_command_says_what_it_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def said(*more: str) -> tuple[object, str, str]:
        """Run `python -m support.fuzz` in this process, which has imported what it needs."""
        monkeypatch.setattr(sys, "argv", ["fuzz", "--target", "genotype", *more])
        with pytest.raises(SystemExit) as end:
            runpy.run_module("support.fuzz", run_name="__main__")
        return end.value.code, *capfd.readouterr()

    code, out, err = said("--inputs", "50", "--seed", "3")
    assert code == 0, err
    assert out.startswith("genotype: 50 inputs, ") and "0 kinds of failure" in out
    (tmp_path / "one").write_bytes(b"[" * 100_000)
    assert said("--replay", "one") == (0, "one: refused in one line\n", "")
    if find_spec("atheris") is None:
        message = "scripts/fuzz: error: atheris is not installed; pip install 'compactnas[fuzz]'\n"
        assert said("--atheris") == (2, "", message)
