"""Main effects: their regression against closed forms, the network with their largest sum, and interrupted searches."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import Killed, Killer, new_search, tiny_config, write_patches
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.cost.constraints import USED
from compactnas.errors import UserError
from compactnas.nn.supernet import certain_sample
from compactnas.pipeline.running import search_stage
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.effects import Effects, Measured
from compactnas.search.random_genotype import random_connected, random_live
from compactnas.search.strategies import STRATEGIES
from compactnas.search.supernet_accuracy import batch_accuracies
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.runtime import Silent

SPACE = Space(
    channels=4, nodes=4, blocks=2, max_depth=2, widths=(0.5, 1.0), operations=("none", "skip_connect", "sep_conv_3x3")
)


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def drawn(count: int, space: Space = SPACE) -> list[Genotype]:
    generator = torch.Generator().manual_seed(0)
    return [random_connected(space, generator) for _ in range(count)]


def truth(space: Space = SPACE) -> Effects:
    """Effects made up, in points."""
    generator = torch.Generator().manual_seed(1)
    depths = space.max_depth - space.min_depth + 1
    shapes = [(len(space.edges), len(space.operations)), (space.blocks, depths), (space.blocks, len(space.widths))]
    return Effects(*(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes))


def sum_of(effects: Effects, genotype: Genotype, space: Space = SPACE) -> float:
    """Sum of the effects of a network's choices."""
    total = 0.0
    for (node, source), name in space.operations_of(genotype).items():
        total += float(effects.operations[space.edges.index((node, source)), space.operations.index(name)])
    for block, depth in enumerate(genotype.depths):
        total += float(effects.depths[block, depth - space.min_depth])
        if space.widths:
            place = space.block_widths[block].index(genotype.block_channels[block])
            total += float(effects.widths[block, place])
    return total


def scores(effects: Effects, genotypes: list[Genotype], space: Space = SPACE) -> Tensor:
    return torch.tensor([sum_of(effects, one, space) for one in genotypes], dtype=torch.float64) / 100


def test_a_sum_of_effects_is_found_again_from_accuracies_without_noise() -> None:
    genotypes, others = drawn(4000), drawn(4300)[4000:]
    found = Effects.of(SPACE, Measured(genotypes, scores(truth(), genotypes)))
    true, estimated = (np.array([sum_of(one, other) for other in others]) for one in (truth(), found))
    assert np.corrcoef(true, estimated)[0, 1] > 0.9999
    assert np.polyfit(true, estimated, 1)[0] == pytest.approx(1.0, abs=0.05)  # hardly shrunk


def test_the_regression_is_that_of_ordinary_least_squares_with_expected_effects_as_further_rows() -> None:
    genotypes = drawn(60)
    noisy = scores(truth(), genotypes) + 0.05 * torch.randn(60, generator=torch.Generator().manual_seed(2)).double()
    found = Effects.of(SPACE, Measured(genotypes, noisy))
    rows = []
    for genotype in genotypes:
        row = []
        for edge, name in itertools.product(SPACE.edges, SPACE.operations):
            row.append(float(SPACE.operations_of(genotype).get(edge) == name))
        row += [float(genotype.depths[block] == depth) for block in range(2) for depth in (1, 2)]
        row += [float(genotype.block_channels[b] == width) for b in range(2) for width in SPACE.block_widths[b]]
        rows.append(row)
    x, y = np.array(rows), 100 * (noisy - noisy.mean()).numpy()
    x = np.vstack([x - x.mean(axis=0), np.sqrt(y.var()) * np.eye(x.shape[1])])
    expected = np.linalg.lstsq(x, np.concatenate([y, np.zeros(x.shape[1])]), rcond=None)[0]
    np.testing.assert_allclose(torch.cat([part.flatten() for part in found]).numpy(), expected, atol=1e-9)


def test_equal_accuracies_have_no_effects() -> None:
    found = Effects.of(SPACE, Measured(drawn(30), torch.full((30,), 0.5, dtype=torch.float64)))
    assert all(float(part.abs().max()) < 1e-6 for part in found)


def test_the_network_with_the_largest_sum_within_the_budget_is_derived(
    patches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"blocks": 1, "nodes": 3, "max_depth": 2, "operations": ("none", "skip_connect", "sep_conv_3x3")}
    search = new_search(patches, space=space)
    names, channels = search.space.operations[1:], search.space.channels
    every = [
        Genotype((((a, 0),), ((b, 0), (c, 1))), (depth,), channels)
        for a, b, c, depth in itertools.product(names, names, names, (1, 2))
    ]
    most = sorted(search.bilevel.table.total(search.space, one) for one in every)[len(every) // 2]
    search = new_search(patches, space=space, strategy="effects", max_macs=float(most))
    effects, budget = truth(search.space), search.bilevel.budgets[0]
    monkeypatch.setattr(Effects, "of", lambda space, measured: effects)
    found = search.conclude()
    fits = [one for one in every if USED * budget.most <= budget.cost_of(search.space, one) <= budget.most]
    assert 1 < len(fits) < len(every)
    assert found.genotype == max(fits, key=lambda one: sum_of(effects, one, search.space))
    assert torch.equal(search.architecture.alpha, effects.operations.float())
    assert torch.equal(search.architecture.depth_logits, effects.depths.float())
    assert found.scores is not None and torch.equal(found.scores, effects.operations)
    assert found.metrics["accuracy_alpha"] == pytest.approx(search.accuracy(found.genotype), abs=1e-6)
    assert found.metrics["derived_macs"] == budget.cost_of(search.space, found.genotype)


def test_each_batch_counts_against_its_own_mean_and_the_cost_of_a_network_is_subtracted(
    patches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Measured] = []
    real = Effects.of
    monkeypatch.setattr(Effects, "of", lambda space, measured: seen.append(measured) or real(space, measured))
    search = new_search(patches, strategy="effects", candidates=4, complexity_weight=5.0, batch_size=8)
    batches = len(search.alpha_batches)
    assert batches > 1
    search.conclude()
    (measured,) = seen
    assert len(measured.genotypes) == len(measured.scores) == 4 * batches
    assert all(all(one.live_nodes) for one in measured.genotypes)
    costs = [search.bilevel.objective.cost_of(search.space, one) for one in measured.genotypes]
    assert max(costs) > 0.01
    relative = measured.scores + torch.tensor(costs, dtype=torch.float64)
    means = torch.stack([relative[turn::batches].mean() for turn in range(batches)])
    torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-6, rtol=0)
    assert float(relative.abs().max()) > 0.01


def test_the_mean_over_the_batches_is_the_accuracy_on_all_of_d_v(patches: Path) -> None:
    search = new_search(patches, strategy="effects", batch_size=8)
    genotype = random_connected(search.space, torch.Generator().manual_seed(3))
    batches = search.unaugmented
    sizes = [batches.rows(step) for step in range(len(batches))]
    measure = batch_accuracies(search.bilevel, batches)
    twice = [measure(certain_sample(search.space, genotype)) for _ in range(2 * len(sizes))]
    assert twice[: len(sizes)] == twice[len(sizes) :]
    assert np.average(twice[: len(sizes)], weights=sizes) == pytest.approx(search.accuracy(genotype), abs=1e-6)


def test_the_better_operation_is_found(patches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks with the convolution are better by 30 points, each batch is harder than the last."""
    space = {"nodes": 2, "operations": ("skip_connect", "sep_conv_3x3")}
    search = new_search(patches, space=space, strategy="effects", candidates=100, batch_size=8, complexity=False)
    batches = len(search.alpha_batches)
    turn = itertools.cycle(range(batches))
    measure = lambda sample: 0.6 + 0.3 * (sample.path[0] == 1) - 0.1 * next(turn)  # noqa: E731
    monkeypatch.setattr("compactnas.search.random_networks.batch_accuracies", lambda *_: measure)
    assert search.conclude().genotype.nodes == ((("sep_conv_3x3", 0),),)
    skip, convolution = search.architecture.alpha[0].tolist()
    networks, variance = 100 * batches, 15.0**2
    assert convolution - skip == pytest.approx(30 / (1 + 2 * variance / networks), rel=0.1)  # shrunk by the regression
    assert float(search.architecture.depth_logits.detach().std()) < 1


class Counting(Silent):
    """Counts steps; the measurement at the end takes a second more."""

    count, measured_s = 0, 1.0

    def start(self, what: str, *numbers: int) -> None:
        if what == "selection on D_V":
            time.sleep(self.measured_s)

    def step(self, metrics: dict[str, float]) -> None:
        self.count += 1


@pytest.mark.parametrize("space", [{"blocks": 1, "nodes": 3}, {"layout": "mobile", "blocks": 2}])
def test_a_search_that_was_killed_ends_with_the_same_bytes(
    patches: Path, tmp_path: Path, space: dict[str, object]
) -> None:
    config = tiny_config(patches, space=space, search={"strategy": "effects", "candidates": 9, "batch_size": 8})
    steps = Counting()
    found = search_stage(config, tmp_path / "whole", listener=steps)
    for place, step in enumerate((2, steps.count - 4)):  # in the search, and in the measurement
        with pytest.raises(Killed):
            search_stage(config, tmp_path / f"cut{place}", listener=Killer(step))
        assert search_stage(config, tmp_path / f"cut{place}", resume=True) == found
        for file in ("search/metrics.jsonl", "search/alpha.json", "genotype.json"):
            assert (tmp_path / f"cut{place}" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert float((tmp_path / "whole/search/seconds.json").read_text()) > steps.measured_s  # the measurement counts
    scores = json.loads((tmp_path / "whole/search/alpha.json").read_text())["scores"]
    assert len(scores) == len(config.space.edges)
    again = FinishedSearch.read(tmp_path / "whole")
    assert again.derive() == found, "other commands derive by the same effects"


def test_layers_that_help_make_a_network_deeper() -> None:
    """Each layer has operations of its own, so their effects decide about the depth too."""
    space = Space(layout="mobile", blocks=1, alpha_per="layer", max_depth=3, operations=("mb_k3_e1", "mb_k5_e1"))
    operations = torch.zeros(len(space.edges), 2, dtype=torch.float64)
    operations[:, 1] = 2.0
    depths = torch.tensor([[0.3, 0.2, 0.1]], dtype=torch.float64)
    architecture = Architecture(space, True, 1, 0.0, torch.Generator())
    Effects(operations, depths, torch.zeros(1, 0, dtype=torch.float64)).write(architecture)
    assert derive(architecture, operations).depths == (3,)
    assert derive_within(architecture, [], scores=operations).genotype == derive(architecture, operations)
    operations[space.layers.layer(0, 2)] = -2.0
    Effects(operations, depths, torch.zeros(1, 0, dtype=torch.float64)).write(architecture)
    assert derive_within(architecture, [], scores=operations).genotype.depths == (2,)


def test_one_network_a_batch_has_nothing_to_compare_with() -> None:
    with pytest.raises(UserError, match=r"^search\.candidates: 1 is too few for effects.*; give 2 or more"):
        SearchConfig(strategy="effects", candidates=1)
    SearchConfig(strategy="uniform", candidates=1)


def test_networks_without_dead_nodes_are_drawn_where_there_are_enough_of_them() -> None:
    generator = torch.Generator().manual_seed(0)
    assert all(all(random_live(Space(), generator).live_nodes) for _ in range(50))
    chains = Space(nodes=9, inputs_per_node=1)  # one cell in 40,320 has no dead node
    assert not all(random_live(chains, generator).live_nodes)


def test_candidates_cost_as_much_as_where_each_is_measured_on_all_of_d_v() -> None:
    for name in ("uniform", "evolution", "effects"):
        assert STRATEGIES[name].measured_batches(100, 31) == 3100
    assert STRATEGIES["gdas"].measured_batches(100, 31) == 0
