"""Searches of the layout `mobile`: derivation within budgets, random networks, every strategy."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import BANDS, CLASSES, SIDE, tiny_config, write_patches

from compactnas.cost.constraints import USED, Budget, require_possible
from compactnas.cost.counter import genotype_cost
from compactnas.cost.table import CostTable
from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import search_stage, train_stage
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.random_genotype import random_genotype, random_like, space_like
from compactnas.search.skip_limit import SkipLimit
from compactnas.search.strategies import STRATEGIES
from compactnas.search.trials import random_search
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

PER = ("block", "layer")
SMALL = {"layout": "mobile", "blocks": 2, "max_depth": 2, "channels_by_block": (4, 6)}
THREE = ("mb_k3_e1", "mb_k5_e2", "fused_k3_e2")


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("widths", [(), (0.5, 1.0)])
def test_within_a_budget_it_is_the_most_probable_of_all_networks(per: str, widths: tuple[float, ...]) -> None:
    space = Space(**SMALL, alpha_per=per, operations=THREE[:2], widths=widths)
    generator = torch.Generator().manual_seed(3)
    architecture = Architecture(space, True, 1, 0.0, generator)
    with torch.no_grad():
        for parameter in architecture.parameters():
            parameter.normal_(generator=generator)
    logs = architecture.probabilities().detach().double().log()
    depth_logs = architecture.depth_probabilities().detach().double().log()
    width_logs = torch.zeros(2, 1) if not widths else architecture.width_logits.detach().double().log_softmax(-1)
    table = CostTable.of(space, 2, BANDS, CLASSES, 8)
    tried: dict[Genotype, float] = {}  # the score of a network whose unused layers have their best operation
    for picks in itertools.product(range(2), repeat=space.computed):
        score = float(sum(logs[row, pick] for row, pick in enumerate(picks)))
        for depths in itertools.product((1, 2), repeat=2):
            for places in itertools.product(range(len(widths) or 1), repeat=2):
                channels = tuple(r[w] for r, w in zip(space.block_widths, places, strict=True)) if widths else ()
                genotype = space.genotype([((space.operations[pick], 0),) for pick in picks], depths, channels)
                total = score + float(sum(depth_logs[b, d - 1] for b, d in enumerate(depths)))
                total += float(sum(width_logs[b, w] for b, w in enumerate(places)))
                tried[genotype] = max(tried.get(genotype, -np.inf), total)
    costs = {genotype: table.total(space, genotype) for genotype in tried}
    ordered = sorted(costs.values())
    assert derive(architecture) == max(tried, key=lambda one: tried[one])
    for most in (ordered[0], ordered[len(ordered) // 3] + 1, ordered[len(ordered) // 2], 2 * ordered[-1]):
        found = derive_within(architecture, [Budget("macs", float(most), table)])
        fits = [one for one in tried if costs[one] <= most]
        used = [one for one in fits if costs[one] >= USED * most]
        assert found.genotype == max(used or fits, key=lambda one: tried[one])
        assert bool(found.unused) == (not used)
    with pytest.raises(UserError, match="too small"):
        derive_within(architecture, [Budget("macs", float(ordered[0] - 1), table)])


@pytest.mark.parametrize("per", PER)
def test_long_lists_are_shortened_but_the_limits_hold(per: str) -> None:
    space = Space(layout="mobile", channels_by_block=(24, 40, 80), alpha_per=per)
    table = CostTable.of(space, 5, 3, 10, 32)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        architecture = Architecture(space, True, 3, 1.0, generator)
        with torch.no_grad():
            architecture.alpha.normal_(generator=generator)
        found = derive_within(architecture, [Budget("macs", 20e6, table)], SkipLimit(("mb_k3_e6",), 0)).genotype
        assert USED * 20e6 <= genotype_cost(found, 3, 10, 32).macs <= 20e6
        assert not any(name == "mb_k3_e6" for ((name, _),) in found.nodes)


def test_random_networks_have_the_cost_that_is_asked_for() -> None:
    space = Space(layout="mobile", channels_by_block=(24, 40, 80))
    found = {
        random_like(space, 20_300_000, torch.Generator().manual_seed(s), bands=3, classes=10, patch_px=32)
        for s in range(4)
    }
    assert len(found) == 4
    assert all(abs(genotype_cost(one, 3, 10, 32).macs / 20.3e6 - 1) <= 0.02 for one in found)
    own = space_like(Space(), next(iter(found)))
    assert (own.layout, own.block_channels, own.operations) == ("mobile", (24, 40, 80), space.operations)
    assert space_like(own, Genotype(((("skip_connect", 0),),), (1, 1, 1), 8)) == Space(channels=8)


def test_candidates_that_differ_in_unused_layers_alone_are_one_candidate() -> None:
    space = Space(layout="mobile", channels=4, blocks=1, max_depth=3, alpha_per="layer", operations=THREE[:2])
    choices = GenotypeChoices(space, None)
    trials = random_search(choices.choices(), lambda row: 0.0, 100, np.random.default_rng(0))
    found = [choices.genotype(trial.row) for trial in trials]
    assert len(set(found)) == len(found) == 2 + 4 + 8


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_searches_it_within_a_budget(strategy: str, patches: Path, tmp_path: Path) -> None:
    space = Space(**SMALL, alpha_per="layer" if strategy in ("gdas", "evolution") else "block")
    table = CostTable.of(space, 2, BANDS, CLASSES, SIDE)
    smallest = table.total(space, space.genotype([(("mb_k3_e1", 0),)] * space.computed, (1, 1)))
    config = tiny_config(patches, search={"strategy": strategy, "max_macs": 2.0 * smallest, "candidates": 3})
    config = replace(config, space=space)
    found = search_stage(config, tmp_path / "run")
    assert found.layout == "mobile" and found.block_channels == (4, 6)
    assert genotype_cost(found, BANDS, CLASSES, SIDE).macs <= 2 * smallest
    search = FinishedSearch.read(tmp_path / "run")
    assert all(one.block_channels == (4, 6) for _, one in search.after_epochs())
    if STRATEGIES[strategy].learns_alpha:
        assert search.sample(torch.Generator().manual_seed(0)).layout == "mobile"


def test_a_run_from_end_to_end(patches: Path, tmp_path: Path) -> None:
    config = replace(tiny_config(patches), space=Space(**SMALL))
    data = open_dataset(config.data)
    search_stage(config, tmp_path / "run", data=data)
    train_stage(config, tmp_path / "twin", "random", like=str(tmp_path / "run"), data=data)
    assert evaluate_stage(tmp_path / "twin", data=data).n > 0


def test_the_smallest_network_has_the_cheapest_operation_in_each_row() -> None:
    """A reduction and the layers behind it choose separately."""
    space = Space(layout="mobile", alpha_per="layer", max_depth=1, operations=("fused_k3_e2", "mb_k3_e6"))
    table, generator = CostTable.of(space, 1, 3, 10, 32), torch.Generator().manual_seed(0)
    least = min(table.total(space, random_genotype(space, generator)) for _ in range(300))
    require_possible([Budget("macs", float(least), table)], space, None)
    with pytest.raises(UserError, match="is too small: the smallest network of the space needs"):
        require_possible([Budget("macs", least - 1.0, table)], space, None)
