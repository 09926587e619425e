"""The guard against the collapse to skip connections."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from support.tiny import new_search, tiny_config, write_patches

from compactnas.cost.constraints import Budget
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.pipeline.running import search_stage
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space

SKIP = "skip_connect"


def fond_of_skips(seed: int, by: float = 3.0, **changes: object) -> Architecture:
    """An architecture whose edges like skip connections best."""
    generator = torch.Generator().manual_seed(seed)
    space = Space(**changes)  # type: ignore[arg-type]
    architecture = Architecture(space, True, 1, 0.0, generator)
    with torch.no_grad():
        architecture.alpha.normal_(generator=generator)
        architecture.alpha[:, space.operations.index(SKIP)] += by
    return architecture


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.mark.parametrize("kept", [0, 2])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if SKIP in LAYOUTS[name].operations])
def test_no_more_of_them_than_the_guard_lets_through(layout: str, kept: int) -> None:
    for seed, most in itertools.product(range(3), range(5)):
        architecture = fond_of_skips(seed, layout=layout, inputs_per_node=kept)
        guard = SkipLimit((SKIP,), most)
        assert guard.count(derive(architecture)) > 4
        assert guard.count(derive_within(architecture, [], guard).genotype) == most
        if all(derive(architecture).live_nodes):
            assert derive_within(architecture, [], SkipLimit((SKIP,), 99)).genotype == derive(architecture)


def test_it_is_the_most_probable_of_all_cells_that_it_lets_through() -> None:
    space = {"nodes": 3, "inputs_per_node": 1, "operations": (SKIP, "sep_conv_3x3", "avg_pool_3x3"), "max_depth": 1}
    architecture = fond_of_skips(1, **space)
    names, edges = architecture.space.operations, architecture.space.edges
    log = architecture.probabilities().detach().log()
    tried = {}
    for first, second, source in itertools.product(names, names, (0, 1)):
        genotype = Genotype((((first, 0),), ((second, source),)), (1, 1, 1), architecture.space.channels)
        tried[genotype] = float(log[0, names.index(first)] + log[edges.index((1, source)), names.index(second)])
    for most in (0, 1, 2):
        guard = SkipLimit((SKIP,), most)
        allowed = {one: score for one, score in tried.items() if guard.count(one) <= most and all(one.live_nodes)}
        assert derive_within(architecture, [], guard).genotype == max(allowed, key=lambda one: allowed[one])


def test_operations_of_dead_nodes_do_not_satisfy_it() -> None:
    """Alpha wants convolutions only in the second node, and the last node to read the other states."""
    space = Space(max_depth=1)
    architecture = Architecture(space, True, 1, 0.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        architecture.alpha.zero_()
        for edge, (node, source) in enumerate(space.edges):
            wanted = "sep_conv_5x5" if node == 1 else SKIP
            architecture.alpha[edge, space.operations.index(wanted)] = 2.0 if source == 2 else 3.0
    assert SkipLimit((SKIP,), 3).count(derive(architecture)) == 3
    assert derive(architecture).live_nodes == (True, False, True)
    budget = Budget("macs", 1e12, CostTable.of(space, 1, 3, 10, 32))  # no network uses 95 % of it
    for budgets in ([], [budget]):
        found = derive_within(architecture, budgets, SkipLimit((SKIP,), 3)).genotype
        assert found.live_nodes == (True, True, True)


def test_a_guard_against_everything_is_an_error() -> None:
    architecture = fond_of_skips(0, operations=(SKIP, "max_pool_3x3"))
    with pytest.raises(UserError, match=r"0 edges of skip_connect, max_pool_3x3; raise search\.skip_limit_edges"):
        derive_within(architecture, [], SkipLimit((SKIP, "max_pool_3x3"), 0))


@pytest.mark.parametrize(("guard", "epochs"), [("log", 5), ("limit", 5), ("stop", 2)])
def test_a_search_says_how_far_it_collapsed_and_does_what_it_is_told(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: str, epochs: int
) -> None:
    """The first alpha likes skip connections; a warm-up of one epoch is no collapse yet."""

    class Fond(Architecture):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            with torch.no_grad():
                self.alpha[:, self.space.operations.index(SKIP)] += 5.0

    monkeypatch.setattr("compactnas.search.bilevel.Architecture", Fond)
    settings = {"epochs": 5, "warmup": 1, "batch_size": 36, "skip_limit": guard, "skip_limit_edges": 1}
    found = search_stage(tiny_config(patches, search=settings, space={"blocks": 1}), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run/search/metrics.jsonl").read_text().splitlines()]
    assert len(rows) == epochs
    assert {row["guarded_edges"] for row in rows} == {5}
    assert SkipLimit((SKIP,), 1).count(found) == (5 if guard == "log" else 1)


def test_pools_can_be_guarded_too(patches: Path) -> None:
    weightless = (SKIP, "avg_pool_3x3", "max_pool_3x3")
    search = new_search(patches, skip_limit="limit", skip_limit_operations=weightless, skip_limit_edges=0)
    assert SkipLimit(weightless, 0).count(search.derive().genotype) == 0


@pytest.mark.parametrize("strategy", ["uniform", "evolution", "effects"])
def test_candidates_and_effects_keep_to_the_limit(patches: Path, strategy: str) -> None:
    weightless = (SKIP, "avg_pool_3x3", "max_pool_3x3")
    search = new_search(patches, strategy=strategy, candidates=4, skip_limit_operations=weightless, skip_limit="limit",
                        skip_limit_edges=1, space={"blocks": 1})  # fmt: skip
    assert SkipLimit(weightless, 1).count(search.conclude().genotype) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip_limit_operations": ("skip",)}, "search.skip_limit_operations: unknown operation 'skip'"),
        ({"skip_limit_edges": -1}, "skip_limit_edges: -1 is negative"),
        ({"skip_limit": "stop", "strategy": "uniform"}, "skip_limit: uniform does not train the architecture"),
    ],
)
def test_a_guard_that_is_none_is_refused(patches: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny_config(patches, search=settings)
