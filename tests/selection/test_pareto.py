"""The front of accuracy against cost: networks within each budget, from one or two searches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny import BANDS, CLASSES, SIDE, Killed, Killer, tiny_config, write_patches

from compactnas.cli import main
from compactnas.config import RunConfig
from compactnas.cost.counter import genotype_cost
from compactnas.errors import UserError
from compactnas.io.jsonl import Row
from compactnas.pipeline.running import search_stage
from compactnas.selection.config import FrontConfig
from compactnas.selection.front import front_stage, marked
from compactnas.selection.picture import draw_front
from compactnas.space.genotype import Genotype

SIZES = {"bands": BANDS, "classes": CLASSES, "patch_px": SIDE}
CHOICE = FrontConfig(least=70e3, most=110e3, points=3, samples=1)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two searches of one block, depths 1 to 2."""
    where = tmp_path_factory.mktemp("searched")
    data = write_patches(where / "patches.npz")
    for seed in (0, 1):
        search_stage(tiny_config(data, space={"blocks": 1}, seed=seed), where / f"seed{seed}")
    return [where / "seed0", where / "seed1"]


def config_of(searched: list[Path]) -> RunConfig:
    return tiny_config(searched[0].parent / "patches.npz", space={"blocks": 1})


def row(macs: int, oa: float) -> Row:
    return {"macs": macs, "oa": oa}


def test_on_the_front_is_what_nothing_beats() -> None:
    rows = [row(10, 0.5), row(20, 0.4), row(30, 0.7), row(30, 0.6), row(40, 0.7)]
    assert [one["front"] for one in marked(rows, "oa")] == [True, False, True, False, False]
    assert [one["front"] for one in marked([row(10, 0.5), row(10, 0.5)], "oa")] == [True, True]


def test_budgets_lie_at_even_distances() -> None:
    assert FrontConfig().budgets == tuple(float(x) for x in range(10_000_000, 50_000_001, 5_000_000))
    with pytest.raises(UserError, match="least, most"):
        FrontConfig(least=5.0, most=5.0)
    with pytest.raises(UserError, match="points: 1 is outside"):
        FrontConfig(points=1)


def test_each_budget_has_the_best_network_within_it(searched: list[Path], tmp_path: Path) -> None:
    rows = front_stage(config_of(searched), CHOICE, searched, tmp_path / "front")
    judged = json.loads((tmp_path / "front/pareto/judged.json").read_text())
    assert [one["max_macs"] for one in rows] == [70e3, 90e3, 110e3]
    for one in rows:
        genotype = Genotype.from_json(json.dumps(one["genotype"]), "row")
        assert one["macs"] == genotype_cost(genotype, **SIZES).macs <= one["max_macs"]
        assert Genotype.load(tmp_path / "front/networks" / one["name"]) == genotype
        assert 2 <= one["tried"] <= 4
        inside = [
            score
            for text, score in judged.items()
            if genotype_cost(Genotype.from_json(text, "judged"), **SIZES).macs <= one["max_macs"]
        ]
        assert one["supernet_oa"] in {round(score, 6) for score in inside}
    assert json.loads((tmp_path / "front/pareto/front.json").read_text()) == rows
    assert any(one["front"] for one in rows)


def test_it_goes_on_where_it_stopped_and_can_be_retrained_later(searched: list[Path], tmp_path: Path) -> None:
    config, choice = config_of(searched), FrontConfig(least=70e3, most=110e3, points=2, samples=1, retrain=True)
    whole = front_stage(config, choice, searched, tmp_path / "whole")
    with pytest.raises(Killed):
        front_stage(config, choice, searched, tmp_path / "cut", listener=Killer(9))  # in a training
    with pytest.raises(UserError, match="already has a pareto; resume it with --resume"):
        front_stage(config, choice, searched, tmp_path / "cut")
    assert front_stage(config, choice, searched, tmp_path / "cut", resume=True) == whole
    assert all({"validation_oa", "test_oa"} <= set(one) for one in whole)
    assert (tmp_path / "cut/networks/0.07M/model.safetensors").read_bytes() == (
        tmp_path / "whole/networks/0.07M/model.safetensors"
    ).read_bytes()
    other = FrontConfig(least=70e3, most=110e3, points=2, samples=3)
    with pytest.raises(UserError, match="differs from the given options in samples"):
        front_stage(config, other, searched, tmp_path / "cut", resume=True)


def test_the_command(searched: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "front"
    words = f"pareto {searched[0]} --output {out} --least 70k --most 0.11M --points 2 --samples 0"
    assert main(words.split()) == 0
    said = capsys.readouterr().out
    assert "0.07M" in said and "0.11M" in said and "on the front" in said
    assert (out / "front.png").read_bytes().startswith(b"\x89PNG")
    assert main(f"{words} --resume --json".split()) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_the_command_takes_a_search_with_an_objective_of_budgets(searched: list[Path], tmp_path: Path) -> None:
    data, budget = searched[0].parent / "patches.npz", {"objective": "augmented_lagrangian", "max_macs": 90e3}
    search_stage(tiny_config(data, space={"blocks": 1}, search=budget), tmp_path / "search")
    words = (
        f"pareto {tmp_path / 'search'} --output {tmp_path / 'front'} --least 70k --most 0.11M --points 2 --samples 0"
    )
    assert main(words.split()) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--least 1k --most 2k", "max_macs: 0.001 M MACs is too small"),
        ("--points 1", "points: 1 is outside"),
        ("--holdout nowhere", "--holdout"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    searched: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert main(f"pareto {searched[0]} --output {tmp_path / 'front'} {words}".split()) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and message in said[0]
    assert not (tmp_path / "front").exists()


def test_a_front_without_a_validation_part_can_be_retrained_and_drawn(searched: list[Path], tmp_path: Path) -> None:
    whole = config_of(searched)
    config = replace(whole, data=replace(whole.data, split="random"))
    search_stage(config, tmp_path / "search")
    choice = FrontConfig(least=70e3, most=110e3, points=2, samples=0, holdout="random", retrain=True)
    rows = front_stage(config, choice, [tmp_path / "search"], tmp_path / "front")
    assert all("validation_oa" not in row and 0 <= row["test_oa"] <= 1 for row in rows)
    assert draw_front(rows, tmp_path / "front.png").stat().st_size


def test_a_front_of_a_few_steps_has_accuracies(searched: list[Path], tmp_path: Path) -> None:
    whole = config_of(searched)
    config = replace(whole, train=replace(whole.train, max_steps=1))
    choice = FrontConfig(least=70e3, most=110e3, points=2, samples=0, retrain=True)
    assert all(0 <= row["validation_oa"] <= 1 for row in front_stage(config, choice, searched[:1], tmp_path / "front"))
