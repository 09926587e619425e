"""Searches under budgets, of every strategy, by the library and by the command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.tiny import BANDS, CLASSES, SIDE, Killed, Killer, new_search, tiny_config, write_patches

from compactnas.cli import main
from compactnas.cost.constraints import USED
from compactnas.cost.counter import genotype_cost
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.pipeline.running import search_stage
from compactnas.runs.folder import read_config
from compactnas.search.strategies import STRATEGIES
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Silent

SIZES = {"bands": BANDS, "classes": CLASSES, "patch_px": SIDE}
SMALL = {"blocks": 1, "max_depth": 2}


class Heard(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def fixed_macs(data: Path) -> int:
    space = tiny_config(data, space=SMALL).space
    return CostTable.of(space, 2, **SIZES).fixed


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_found_is_within_the_budget(patches: Path, tmp_path: Path, strategy: str) -> None:
    most = 2.0 * fixed_macs(patches)
    settings = {"strategy": strategy, "batch_size": 36, "candidates": 4, "max_macs": most}
    heard = Heard()
    found = search_stage(tiny_config(patches, space=SMALL, search=settings), tmp_path / "run", listener=heard)
    cost = genotype_cost(found, **SIZES).macs
    assert cost <= most
    assert cost >= USED * most or any(text.startswith("budget: ") for text in heard.warnings)
    assert Genotype.load(tmp_path / "run") == found


def test_the_multiplier_goes_on_where_it_stopped(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, space=SMALL, search={"max_macs": 2.0 * fixed_macs(patches), "batch_size": 8})
    search_stage(config, tmp_path / "whole")
    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(3))
    search_stage(config, tmp_path / "cut", resume=True)
    for name in ("search/metrics.jsonl", "genotype.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert b"multipliers" in (tmp_path / "whole/search/metrics.jsonl").read_bytes()


def test_without_c_only_the_derivation_knows_the_budget(patches: Path) -> None:
    most = 2.0 * fixed_macs(patches)
    free, bound = (new_search(patches, space=SMALL, complexity=c, max_macs=most) for c in (False, True))
    for search in (free, bound):
        (x, y) = next(iter(search.alpha_batches.epoch(0)))
        for _ in range(3):
            search.bilevel.alpha_step(x, y, 1.0)
        assert search.bilevel.budgets[0].cost_of(search.space, search.derive().genotype) <= most
    assert free.bilevel.objective.state() == [] and any(bound.bilevel.objective.state())


def test_an_impossible_budget_is_one_line_and_leaves_nothing(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"search --data.path {patches} --recipe smoke --max-macs 1k --output {tmp_path / 'run'}"
    assert main(words.split()) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "--max-macs: 0.001 M MACs is too small: the smallest network of the space needs" in said[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("strategy", ["gdas", "effects"])
def test_a_budget_that_only_cells_beyond_the_skip_limit_meet_is_refused_before_the_search(
    patches: Path, tmp_path: Path, strategy: str
) -> None:
    settings = {"strategy": strategy, "max_macs": 1.0 * fixed_macs(patches), "skip_limit": "limit"}
    pools = ("skip_connect", "avg_pool_3x3", "max_pool_3x3")
    config = tiny_config(patches, space=SMALL, search={**settings, "skip_limit_operations": pools})
    with pytest.raises(UserError, match=r"no network of the space is within .* and 2 edges of skip_connect") as caught:
        search_stage(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    pattern = r"smallest within the limit of edges needs ([0-9.]+) M MACs; raise the budget or search\.skip_limit_edges"
    found = re.search(pattern, str(caught.value))
    assert found
    needs, rounding = 1e6 * float(found[1]), 500
    settings["skip_limit_operations"] = pools
    assert new_search(patches, space=SMALL, **{**settings, "max_macs": needs + rounding}).derive().genotype
    with pytest.raises(UserError, match="the smallest within the limit"):
        new_search(patches, space=SMALL, **{**settings, "max_macs": needs - rounding - 1}).derive()


@pytest.mark.parametrize("strategy", ["uniform", "evolution"])
def test_candidates_that_no_budget_admits_are_an_error(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """The smallest network fits, but of many that are drawn none does."""
    monkeypatch.setattr("compactnas.search.trials.TRIES", 50)
    space = {"layout": "nasnet", "blocks": 3, "max_depth": 2}
    least = CostTable.of(tiny_config(patches, space=space).space, 2, **SIZES).fixed
    settings = {"strategy": strategy, "batch_size": 36, "candidates": 4, "max_macs": 1.0 * least}
    with pytest.raises(UserError, match="search: none of the many networks drawn is within the limits"):
        search_stage(tiny_config(patches, space=space, search=settings), tmp_path / "run")


@pytest.mark.parametrize(("word", "value"), [("20M", 20e6), ("0.5G", 5e8), ("130k", 130e3), ("42", 42.0)])
def test_budgets_are_written_as_people_write_them(patches: Path, tmp_path: Path, word: str, value: float) -> None:
    from compactnas.cli.commands.search import build
    from compactnas.cli.options import parse

    for option in ("--max-macs", "--search.max_macs"):
        for words in ([option, word], [f"{option}={word}"]):
            _, config = parse(build, [*words, "--output", str(tmp_path / "run")])
            assert config.search.max_macs == value


def test_a_run_keeps_its_budget(patches: Path, tmp_path: Path) -> None:
    most = 2.0 * fixed_macs(patches)
    search_stage(tiny_config(patches, space=SMALL, search={"max_parameters": 1e4, "max_macs": most}), tmp_path / "run")
    assert read_config(tmp_path / "run").search.max_macs == most


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_macs": -1.0}, "max_macs: -1 is not a budget"),
        ({"max_latency_ms": 2.0}, "give both"),
        ({"latency_table": "t.json"}, "give both"),
    ],
)
def test_budgets_that_are_none_are_refused(patches: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny_config(patches, search=settings)
