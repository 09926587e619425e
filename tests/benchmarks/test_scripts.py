"""Each benchmark can be imported, and the parts of the package that benchmarks replace are still there."""

from __future__ import annotations

import importlib
from pathlib import Path

import parts
import pytest
import search_ablation
import step_contest

from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.space.genotype import Genotype

BENCHMARKS = sorted(file.stem for file in (Path(__file__).parents[2] / "benchmarks").glob("*.py"))
CELL = Genotype(nodes=((("sep_conv_5x5", 0),), (("skip_connect", 0),)), depths=(1, 1, 1), channels=4)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", list(search_ablation.CHANGES))
def test_each_change_of_the_search_can_be_taken_back(name: str) -> None:
    with search_ablation.CHANGES[name]():
        pass


@pytest.mark.parametrize("layout", step_contest.LAYOUTS)
def test_each_kind_of_step_is_taken(layout: str) -> None:
    contest = step_contest.Contest(layout, 2, step_contest.KINDS, step_contest.Where(side=8))
    assert all(contest.step(kind, 1000) > 0 for kind in step_contest.KINDS)


@pytest.mark.parametrize("row", [*parts.NETWORKS, *parts.RESNETS])
def test_each_part_is_in_the_network_that_is_trained(row: str) -> None:
    searched = row in parts.NETWORKS
    with parts.exchanged(row):
        genotype = parts.NETWORKS[row].of(CELL, 1e7) if searched else None
        network = build(ModelSpec(SEARCHED if searched else "resnet20", 3, 10, 32, genotype))
    kinds = {type(module).__name__ for module in network.modules()}
    assert ("BandAttention" in kinds) == (row == "lean, attention to bands")
    assert ("HalfInstanceNorm" in kinds) == ("half" in row or "lean" in row)
