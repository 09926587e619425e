"""Searches and short trainings side by side: the bytes of one after the other, and a plan that reckons with them."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from support.find_files import CHOICE, SAME, TIMED, find_config, options_of, write_places
from support.forking import Forked, finish

from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.finding.planning import TimedPlan, plan_for
from compactnas.finding.run import run_find
from compactnas.finding.setting import Setting
from compactnas.training.runtime import Silent


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches, a plan, a config file, and a find in one process."""
    home = tmp_path_factory.mktemp("find")
    config = find_config(write_places(home / "places.npz"))
    TIMED.write(home / "plan.json")
    (home / "config.yaml").write_text(yaml.safe_dump(options_of(config)))
    run_find(setting_of(home / "places.npz", 1), TIMED, home / "one")
    return home


def setting_of(data: Path, processes: int) -> Setting:
    config = find_config(data)
    return Setting.of(config, CHOICE, open_dataset(config.data), processes)


def words(home: Path, out: Path) -> list[str]:
    given = ["--config", home / "config.yaml", "--plan-from", home / "plan.json", "--folds", "2", "--processes", "2"]
    return list(map(str, ["-m", "compactnas", "find", *given, "-o", out, "--resume"]))


def test_killed_with_9_in_searches_and_rungs_it_ends_with_the_bytes_of_one_process(home: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    for name in ("find/searches/0/search/metrics.jsonl", "find/halving/rungs.jsonl"):
        process = Forked(words(home, cut))
        while process.poll() is None and not (cut / name).exists():
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -9
    said = finish(words(home, cut)).stderr
    assert re.search(r"^rung 2 of 2, 2 at a time: 1 of \d done: rung 2 of 2, candidate \d, fold \d, ", said, re.M)
    for name in SAME:
        assert (cut / name).read_bytes() == (home / "one" / name).read_bytes(), name


def test_a_users_mistake_in_another_process_is_one_line(tmp_path: Path) -> None:
    data = write_places(tmp_path / "places.npz")

    class Losing(Silent):
        def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
            data.rename(tmp_path / "elsewhere.npz")

    with pytest.raises(UserError, match=r"^search [12] of 2: .*places\.npz"):
        run_find(setting_of(data, 2), TIMED, tmp_path / "out", listener=Losing())


def test_a_plan_reckons_with_what_runs_side_by_side(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.finding.speed.MOST_TIMED_S", 0.5)  # enough for a tiny network
    setting = setting_of(home / "places.npz", 2)
    timed = plan_for(replace(setting, choice=replace(CHOICE, hours=30.0)), time.perf_counter())
    assert timed.speed.processes == 2 and timed.total <= 3600 * 30
    measured = timed.speed.train_beside, timed.speed.search_beside
    assert all(longer > 0 and longer != 1 for longer in measured)  # 1 stands for work that has no company
    assert timed.lines()[-1].endswith("; searches and short trainings 2 at a time")
    timed.write(home / "two.json")
    assert TimedPlan.read(home / "two.json") == timed
