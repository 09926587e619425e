"""The choice by perturbation: what is removed, how it is scored, and what is chosen within a budget."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from support.tiny import Killed, Killer, new_search, tiny_config, write_patches

from compactnas.config import SearchConfig
from compactnas.cost.constraints import USED, Budget
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.nn.sample import Mixture, Sample
from compactnas.nn.supernet import SuperNet
from compactnas.pipeline.running import search_stage
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.perturbation import Removal, measurements, mixture_without, perturbation_scores, removals
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.studies.random_search import Sizes, search_work

SPACE = Space(
    channels=4, nodes=3, blocks=2, max_depth=2, operations=("none", "skip_connect", "sep_conv_3x3", "sep_conv_5x5")
)
NAMES = SPACE.operations[1:]
SEARCH: dict[str, object] = {"strategy": "darts", "derivation": "perturbation", "batch_size": 12}


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def architecture(space: Space = SPACE, *, search_depth: bool = True) -> Architecture:
    made = Architecture(space, search_depth, 2, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.alpha.mul_(500)
    return made


def test_every_operation_but_none_and_every_edge_is_removed_once() -> None:
    every = removals(SPACE)
    assert len(set(every)) == len(every) == len(SPACE.edges) * len(SPACE.operations) == measurements(SPACE) - 1
    assert not [one for one in every if one.operation == 0]


@pytest.mark.parametrize("mode", ["mixture", "sample"])
@pytest.mark.parametrize("removal", [Removal(1, 2), Removal(1), Removal(0)])
def test_a_removed_operation_has_the_weight_zero_and_the_others_keep_theirs(removal: Removal, mode: str) -> None:
    arch = architecture().double()
    torch.manual_seed(0)
    supernet = SuperNet(SPACE, arch.built_depths, 3, 5).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    weights = arch.probabilities().detach().clone()
    whole = mixture_without(arch, None, mode)
    if removal.operation is None:
        weights[removal.edge] = 0
    else:
        weights[removal.edge, removal.operation] = 0
    every = (tuple(range(len(SPACE.operations))),) * len(SPACE.edges)
    expected = whole._replace(mixture=Mixture(every, weights))
    with torch.no_grad():
        found = supernet(x, mixture_without(arch, removal, mode))
        torch.testing.assert_close(found, supernet(x, expected))
        assert not torch.allclose(found, supernet(x, whole))
    assert whole.depths == ((2, 2) if mode == "mixture" else arch.derived_depths())


def test_a_score_is_the_loss_of_accuracy_of_the_operation_and_of_its_edge() -> None:
    arch = architecture()
    table = {removal: 0.9 - 0.01 * place for place, removal in enumerate(removals(SPACE))}

    def accuracies(samples: Iterable[Sample], count: int) -> list[float]:
        assert count == len(list(samples)) == len(table) + 1
        return [0.9, *table.values()]

    scores = perturbation_scores(arch, "mixture", accuracies)
    for edge, index in itertools.product(range(len(SPACE.edges)), range(len(SPACE.operations))):
        lost = 0.9 - table[Removal(edge)] + (0.9 - table[Removal(edge, index)] if index else 0.0)
        assert float(scores[edge, index]) == pytest.approx(100 * lost)


def test_scores_decide_as_probabilities_do_and_within_a_budget_their_sum_counts() -> None:
    """Every cell of the space at every depth, tried one by one."""
    arch, space = architecture(), SPACE
    scores = torch.randn(arch.alpha.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    best = [max(range(1, 4), key=lambda index, e=edge: float(scores[e, index])) for edge in range(3)]
    assert derive(arch, scores).nodes == (
        ((space.operations[best[0]], 0),),
        ((space.operations[best[1]], 0), (space.operations[best[2]], 1)),
    )
    table = CostTable.of(space, 2, 3, 5, 8)
    logs, tried = arch.depth_probabilities().detach().double().log(), []
    for names in itertools.product(NAMES, repeat=3):
        for depths in itertools.product((1, 2), repeat=2):
            genotype = Genotype((((names[0], 0),), ((names[1], 0), (names[2], 1))), depths, 4)
            score = sum(float(scores[e, space.operations.index(name)]) for e, name in enumerate(names))
            score += sum(float(logs[block, depth - 1]) for block, depth in enumerate(depths))
            tried.append((score, table.total(space, genotype), genotype))
    most = sorted(cost for _, cost, _ in tried)[len(tried) // 2]
    fits = [entry for entry in tried if USED * most <= entry[1] <= most]
    found = derive_within(arch, [Budget("macs", float(most), table)], scores=scores)
    assert found.genotype == max(fits, key=lambda entry: entry[0])[2]


def test_the_operation_that_the_supernet_needs_is_chosen(patches: Path) -> None:
    """Alpha prefers the skip; the accuracy falls without the convolution."""
    search = new_search(patches, space={"blocks": 1, "nodes": 2, "operations": ("skip_connect", "sep_conv_3x3")},
                        strategy="darts", derivation="perturbation", search_depth=False, initial_depth=1)  # fmt: skip
    with torch.no_grad():
        search.architecture.alpha.copy_(torch.tensor([[2.0, 0.0]]))
    assert search.derive().genotype.nodes == ((("skip_connect", 0),),)
    search.accuracy_of = lambda sample: 0.5 + 0.3 * (1 in sample.candidates(0))  # type: ignore[method-assign]
    found = search.conclude()
    assert found.genotype.nodes == ((("sep_conv_3x3", 0),),)
    assert found.scores is not None and found.scores.tolist() == [pytest.approx([30.0, 60.0])]


@pytest.mark.parametrize("alpha_per", ["block", "layer"])
@pytest.mark.parametrize("max_macs", [0.0, 400e3])
@pytest.mark.parametrize("wanted", [0, 2])
def test_layers_are_chosen_by_their_scores_and_reductions_always_run(
    patches: Path, alpha_per: str, max_macs: float, wanted: int
) -> None:
    operations = ("mb_k3_e1", "mb_k3_e2", "mb_k5_e1")
    space: dict[str, object] = {"layout": "mobile", "blocks": 2, "alpha_per": alpha_per, "operations": operations}
    search = new_search(patches, space=space, strategy="darts", derivation="perturbation", max_macs=max_macs)
    run, rows = search.accuracy_of, range(len(search.space.edges))

    def accuracy(sample: Sample) -> float:
        assert 0 <= run(sample) <= 1
        return sum(wanted in sample.candidates(row) for row in rows) / len(rows)

    search.accuracy_of = accuracy  # type: ignore[method-assign]
    assert {edges[0][0] for edges in search.conclude().genotype.nodes} == {operations[wanted]}


@pytest.mark.parametrize("strategy", ["darts", "snas", "darts_second_order"])
def test_a_search_ends_within_its_budget_and_a_resumed_one_with_the_same_bytes(
    patches: Path, tmp_path: Path, strategy: str
) -> None:
    settings = SEARCH | {"strategy": strategy, "max_macs": 60_000.0}
    space = {"blocks": 1, "nodes": 3, "operations": SPACE.operations}
    config = tiny_config(patches, space=space, search=settings)
    found = search_stage(config, tmp_path / "whole")
    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(3))
    assert search_stage(config, tmp_path / "cut", resume=True) == found
    rows = [(tmp_path / name / "search/metrics.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    assert rows[0] == rows[1]
    scores = json.loads((tmp_path / "cut/search/alpha.json").read_text())["scores"]
    assert len(scores) == 3 and len(scores[0]) == 4
    assert CostTable.of(config.space, 2, 4, 3, 8).total(config.space, found) <= 60_000


def test_the_work_of_a_study_counts_the_measurements() -> None:
    """A step of DARTS is five passes over the mixture: three for the weights, two for alpha."""
    rows = [{"epoch": 1, "depths": [2.0, 2.0], "expected_macs": 0}]
    plain, perturbed = (
        search_work(rows, SearchConfig(strategy="darts", derivation=by, epochs=1), SPACE, Sizes(3, 5, 8), 640)
        for by in ("alpha", "perturbation")
    )
    assert perturbed / plain == pytest.approx(1 + measurements(SPACE) / 5)


def test_a_strategy_that_runs_one_path_has_no_mixture_to_perturb() -> None:
    with pytest.raises(UserError, match=r"search\.derivation: gdas does not have this option; leave out search\."):
        SearchConfig(derivation="perturbation")
