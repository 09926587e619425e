"""How tasks share the cores of a machine, and that one process does them like several."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from support.adding import adder

from compactnas.config import DataConfig, MachineConfig
from compactnas.data import Dataset
from compactnas.errors import UserError
from compactnas.training import side_by_side
from compactnas.training.runtime import Silent
from compactnas.training.side_by_side import Crew, Sharing

CPU = MachineConfig(device="cpu")


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight cores, and the file that describes its free memory."""
    memory = tmp_path / "meminfo"
    memory.write_text(f"MemAvailable: {100 * 2**20} kB\n")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(side_by_side, "MEMORY", memory)
    return memory


def test_one_thread_each_unless_memory_or_the_user_says_otherwise(eight_cores: Path) -> None:
    def share(machine: MachineConfig = CPU, processes: int = 0, gib: float = 1.0) -> Sharing:
        return Sharing.of(machine, lambda: gib, processes)

    assert share() == Sharing(processes=8, threads=1, alone=8)
    assert share(processes=3) == Sharing(3, 2, 8)
    assert share(processes=1) == Sharing(1, 8, 8)
    assert share(processes=20) == Sharing(20, 1, 8)
    assert share(replace(CPU, threads=2)) == Sharing(4, 2, 2)
    eight_cores.write_text(f"MemAvailable: {5 * 2**20} kB\n")
    assert share() == Sharing(2, 4, 8)
    assert share(gib=9.0) == Sharing(1, 8, 8)


def test_a_few_tasks_share_all_cores() -> None:
    assert [Sharing(8, 1, 8).threads_for(tasks) for tasks in (100, 8, 5, 4, 2, 1)] == [1, 1, 1, 2, 4, 8]
    assert [Sharing(4, 2, 2).threads_for(tasks) for tasks in (100, 2, 1)] == [2, 2, 2]  # machine.threads: 2


def test_patches_in_memory_stay_in_this_process(eight_cores: Path) -> None:
    arrays = Dataset.from_arrays(torch.rand(8, 3, 4, 4).numpy(), [0, 1] * 4)
    assert Sharing.on(arrays, DataConfig(), CPU, 0).processes == 1
    assert Sharing.on(replace(arrays, format="npz"), DataConfig(), CPU, 0).processes == 8


def test_what_is_resumed_keeps_its_threads(tmp_path: Path) -> None:
    file = tmp_path / "threads.json"
    assert Sharing(2, 1, 2).kept(file) == Sharing(2, 1, 2) and file.read_text() == "1\n"
    assert Sharing(1, 2, 2).kept(file) == Sharing(1, 1, 2)  # less memory
    file.write_text("4")
    assert Sharing(8, 1, 8).kept(file) == Sharing(2, 4, 8)  # more memory
    for text in ("0", "[]", "true", "1.5"):
        file.write_text(text)
        with pytest.raises(UserError, match=r"threads\.json: not a number of threads; remove it"):
            Sharing(2, 1, 2).kept(file)


class Heard(Silent):
    def __init__(self) -> None:
        self.warnings = set[str]()

    def warn(self, text: str) -> None:
        self.warnings.add(text)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_task_is_done_with_its_threads(processes: int) -> None:
    heard, found = Heard(), dict[str, tuple[int, int]]()
    make = partial(adder, 10)
    with Crew(Sharing(processes, 1, 2), make, make, heard) as crew:
        crew.do("first", {str(n): n for n in range(5)}, found.__setitem__, of=5)
        crew.do("none", {}, found.__setitem__, of=3)
        crew.do("last", {"alone": 7}, found.__setitem__, of=1)
    assert {name: result for name, (result, _) in found.items()} == {"0": 10, "1": 11, "2": 12, "3": 13, "4": 14} | {
        "alone": 17
    }
    assert [threads for _, threads in found.values()] == [1] * 5 + [2]
    assert heard.warnings == {f"adding to {n}" for n in (*range(5), 7)}
    assert torch.get_num_threads() == 1
