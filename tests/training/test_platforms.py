"""What systems other than Linux lack is neither needed nor guessed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from compactnas.distributed import fresh_processes, launch, ray_session
from compactnas.studies import estimating
from compactnas.training import runtime


def test_memory_is_unknown_without_proc_and_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(runtime, "STATUS", tmp_path / "nothing")
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=3 * 2**29))
    monkeypatch.setitem(sys.modules, "resource", usage)
    assert runtime.peak_memory_gib() == 1.5  # macOS counts bytes
    monkeypatch.setitem(sys.modules, "resource", None)
    assert runtime.peak_memory_gib() == 0.0


@pytest.mark.parametrize(("platform", "method"), [("linux", "forkserver"), ("darwin", "spawn"), ("win32", "spawn")])
def test_processes_are_forked_on_linux_alone(platform: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class FarEnoughError(Exception):
        pass

    def context(name: str) -> None:
        asked.append(name)
        raise FarEnoughError

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(fresh_processes, "get_context", context)
    with pytest.raises(FarEnoughError):
        estimating.measure_steps([])
    assert asked == [method]


def test_ray_has_a_short_folder_where_sockets_have_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * ray_session.LONGEST_TEMP)
    long.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(long))
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix, dir: f"{dir}/{prefix}")
    assert ray_session._temp_folder() == "/tmp/ray-"
    monkeypatch.setattr(ray_session.os, "name", "nt")
    assert ray_session._temp_folder() == f"{long}/ray-"


def test_each_system_with_a_known_loopback_is_named() -> None:
    assert launch.LOOPBACKS == {"linux": "lo", "darwin": "lo0"}
