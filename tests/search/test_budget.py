"""Networks within a budget: found by counting, the same as by trying all of them."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.cost.constraints import USED, Budget, require_possible
from compactnas.cost.counter import genotype_cost
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.expected_cost import expected_cost
from compactnas.search.objectives.augmented_lagrangian import AugmentedLagrangian
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space

SIZES = {"bands": 10, "classes": 17, "patch_px": 32}
TABLES: dict[tuple[Space, str], CostTable] = {}


def budget_of(space: Space, measure: str, most: float) -> Budget:
    key = (space, measure)
    if key not in TABLES:
        TABLES[key] = CostTable.of(space, space.max_depth, **SIZES, measure=measure)
    return Budget(measure, float(most), TABLES[key])


def architecture_of(space: Space, seed: int, *, depth: bool = True, spread: float = 2.0) -> Architecture:
    generator = torch.Generator().manual_seed(seed)
    architecture = Architecture(space, depth, space.min_depth, 0.0, generator)
    with torch.no_grad():
        architecture.alpha.copy_(spread * torch.randn(architecture.alpha.shape, generator=generator))
        architecture.depth_logits.copy_(spread * torch.randn(architecture.depth_logits.shape, generator=generator))
    return architecture


@pytest.mark.parametrize("kept", [0, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("depth", [True, False])
def test_a_limit_that_is_in_nobodys_way_changes_nothing(layout: str, kept: int, depth: bool) -> None:
    space = Space(layout=layout, inputs_per_node=kept)
    for seed in range(5):
        architecture = architecture_of(space, seed, depth=depth)
        assert derive_within(architecture, []).genotype == derive(architecture)
        found = derive_within(architecture, [budget_of(space, "macs", 1e12)])
        assert found.genotype == derive(architecture)
        assert "no network of the space uses 95 %" in found.unused


@pytest.mark.parametrize("measure", ["macs", "parameters"])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_most_probable_of_all_networks(measure: str, seed: int) -> None:
    """Every cell of 3 nodes and every depth up to 2, tried one by one."""
    space = Space(
        nodes=3, max_depth=2, inputs_per_node=1, operations=("none", "skip_connect", "sep_conv_3x3", "sep_conv_5x5")
    )
    architecture = architecture_of(space, seed)
    names = space.operations[1:]
    tried: list[tuple[float, float, Genotype]] = []
    p, d = architecture.probabilities().detach().log(), architecture.depth_probabilities().detach().log()
    for first, second, source in itertools.product(names, names, (0, 1)):
        for depths in itertools.product((1, 2), repeat=3):
            genotype = Genotype((((first, 0),), ((second, source),)), depths, space.channels)
            score = p[space.edges.index((0, 0)), space.operations.index(first)]
            score = score + p[space.edges.index((1, source)), space.operations.index(second)]
            score = score + sum(d[block, depth - 1] for block, depth in enumerate(depths))
            cost = budget_of(space, measure, 1.0).table.total(space, genotype)
            tried.append((float(score), cost, genotype))
    costs = sorted(cost for _, cost, _ in tried)
    for most in (costs[len(costs) // 4] + 1, costs[len(costs) // 2], costs[-1] * 2):
        found = derive_within(architecture, [budget_of(space, measure, most)])
        fits = [entry for entry in tried if entry[1] <= most]
        used = [entry for entry in fits if entry[1] >= USED * most]
        whole = [entry for entry in used if all(entry[2].live_nodes)]
        assert found.genotype == max(whole or used or fits, key=lambda entry: entry[0])[2]
        assert bool(found.unused) == (not used)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.15, 1.0),
    measure=st.sampled_from(["macs", "parameters"]),
    layout=st.sampled_from(list(LAYOUTS)),
)
def test_never_above_the_limit_and_at_least_95_percent_of_it_used(
    seed: int, share: float, measure: str, layout: str
) -> None:
    space = Space(layout=layout, max_depth=3)
    name, most_edges = ("mb_k5_e3", 1) if layout == "mobile" else ("sep_conv_5x5", 2)
    nodes = tuple(
        tuple((name, source) for source in range(min(most_edges, node + (2 if layout == "nasnet" else 1))))
        for node in range(space.computed)
    )
    whole = space.genotype(nodes, (3, 3, 3))
    table = budget_of(space, measure, 1.0).table
    most = table.fixed * 1.02 + share * (table.total(space, whole) - table.fixed)
    found = derive_within(architecture_of(space, seed), [budget_of(space, measure, most)])
    cost = table.total(space, found.genotype)
    assert cost <= most
    assert cost >= USED * most or found.unused
    assert all(found.genotype.live_nodes) or found.unused, "a budget is not used by what nobody hears"


def test_two_limits_at_once() -> None:
    space = Space()
    limits = [budget_of(space, "macs", 20e6), budget_of(space, "parameters", 0.11e6)]
    cost = genotype_cost(derive_within(architecture_of(space, 1), limits).genotype, **SIZES)
    assert cost.macs <= 20e6 and cost.parameters <= 0.11e6
    assert cost.macs >= USED * 20e6 or cost.parameters >= USED * 0.11e6


def test_an_impossible_limit_is_refused_with_what_the_fixed_parts_take() -> None:
    space = Space()
    with pytest.raises(
        UserError, match=r"8\.000 M MACs is too small.*stem, reductions and head: 8\.816 M MACs"
    ) as caught:
        require_possible([budget_of(space, "macs", 8e6)], space, None)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="too small"):
        derive_within(architecture_of(space, 0), [budget_of(space, "macs", 8e6)])
    require_possible([budget_of(space, "macs", 8.9e6)], space, None)  # pools and skips cost nothing


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_expected_cost_of_a_certain_architecture_is_that_of_its_network(layout: str) -> None:
    """All edges kept, so that nothing is left out of the sum."""
    space = Space(layout=layout, max_depth=3, inputs_per_node=0, operations=LAYOUTS[layout].operations[1:])
    architecture = architecture_of(space, 3, spread=1e4)
    for measure in ("macs", "parameters"):
        table = budget_of(space, measure, 1.0).table
        assert float(expected_cost(table, architecture).detach()) == pytest.approx(
            table.total(space, derive(architecture)), rel=1e-5
        )


@pytest.mark.parametrize(("most", "depth"), [(12e6, True), (30e6, True), (20e6, False)])
def test_the_multiplier_draws_the_expected_cost_to_the_limit(most: float, depth: bool) -> None:
    """From both sides, with nothing else in the way."""
    space = Space()
    architecture = architecture_of(space, 0, depth=depth, spread=0.1)
    budget = budget_of(space, "macs", most)
    multiplier = AugmentedLagrangian([budget])
    optimizer = torch.optim.Adam([p for p in architecture.parameters() if p.requires_grad], lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        multiplier.loss(architecture).backward()
        multiplier.update(architecture)
        optimizer.step()
    assert float(expected_cost(budget.table, architecture).detach()) == pytest.approx(0.975 * most, rel=0.02)
