"""Latency as a cost: what is fitted, what a table says, and a search under it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compactnas.cost.constraints import Budget, require_possible
from compactnas.cost.latency_table import LatencyTable
from compactnas.errors import UserError
from compactnas.exporting.latency import Call, OperationChain, make_call, measure_latency, timed
from compactnas.exporting.latency_fit import fit
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive_within
from compactnas.search.random_genotype import random_connected, random_genotype
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

SPACE = Space(channels=4, blocks=2, max_depth=2)
SIZES = {"bands": 4, "classes": 3, "patch_px": 8}


def made_table(space: Space = SPACE) -> LatencyTable:
    """Costs that tell operation and block apart."""
    return LatencyTable(
        device="made",
        engine="torch",
        threads=1,
        batch=1,
        layout=space.layout,
        channels=space.channels,
        blocks=space.blocks,
        nodes=space.nodes,
        operations=space.operations,
        operations_ns=tuple(
            tuple(1000 * (place + 1) * (block + 1) for place in range(len(space.operations)))
            for block in range(space.blocks)
        ),
        overhead_ns=((0,) * space.max_depth,) * space.blocks,
        fixed_ns=50_000,
        **SIZES,
    )


def test_a_table_comes_back_as_it_was_and_prices_a_network(tmp_path: Path) -> None:
    table = made_table()
    table.write(tmp_path / "t.json")
    assert LatencyTable.read(tmp_path / "t.json") == table
    fewer = replace(SPACE, operations=("skip_connect", "sep_conv_5x5"))
    costs = table.cost_table(fewer, 1, **SIZES)
    place = SPACE.operations.index("sep_conv_5x5")
    assert costs.operations[1, 1] == 2000 * (place + 1)
    assert costs.fixed == 50_000 and costs.overhead.shape == (2, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"operations": ["none", "rm -rf"]}, "operations: unknown operation 'rm -rf'"),
        ({"operations_ns": [[1]]}, "operations_ns: expected 2 rows of 8 values"),
        ({"overhead_ns": [[], []]}, "overhead_ns: expected 2 rows"),
        ({"fixed_ns": -1}, "outside 0 to"),
        ({"fixed_ns": "much"}, "fixed_ns"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(tmp_path: Path, values: dict[str, object], message: str) -> None:
    file = tmp_path / "t.json"
    made_table().write(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    with pytest.raises(UserError, match=message) as caught:
        LatencyTable.read(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "sizes", "message"),
    [
        (replace(SPACE, channels=8), SIZES, "measured for channels=4, but the search has 8"),
        (replace(SPACE, nodes=5), SIZES, rf"measured for nodes={SPACE.nodes}, but the search has 5"),
        (SPACE, SIZES | {"bands": 10}, "measured for bands=4, but the search has 10"),
        (replace(SPACE, max_depth=3), SIZES, "no depth 3"),
    ],
)
def test_a_table_of_another_space_is_refused(space: Space, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        made_table().cost_table(space, space.max_depth, **sizes)


def test_the_network_is_within_the_milliseconds() -> None:
    """Each operation has a price of its own here, as in no other measure."""
    table = made_table()
    costs = table.cost_table(SPACE, 2, **SIZES)
    generator = torch.Generator().manual_seed(0)
    for most in (85e3, 120e3, 200e3):
        architecture = Architecture(SPACE, True, 1, 0.0, generator)
        with torch.no_grad():
            architecture.alpha.normal_(generator=generator)
        budget = Budget("latency", most, costs)
        found = derive_within(architecture, [budget])
        assert 0.95 * most <= costs.total(SPACE, found.genotype) <= most or found.unused
        assert budget.describe(most).endswith(" ms")


def test_what_the_output_does_not_hear_costs_nothing_once_compiled() -> None:
    """The third node takes the first and the input: nobody hears the second."""
    unheard = Genotype(
        (
            (("skip_connect", 0),),
            (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
            (("skip_connect", 0), ("skip_connect", 1)),
        ),
        (1, 2),
        4,
    )
    assert unheard.live_nodes == (True, False, True)
    assert replace(unheard, nodes=(*unheard.nodes[:2], (("none", 1), ("skip_connect", 2)))).live_nodes == (
        True,
        True,
        True,
    )
    costs = made_table().cost_table(SPACE, 2, **SIZES)
    skip, convolution = (1000 * (SPACE.operations.index(name) + 1) for name in ("skip_connect", "sep_conv_3x3"))
    assert costs.total(SPACE, unheard) == 50_000 + 5 * (3 * skip + 2 * convolution)
    assert costs.total(SPACE, unheard, live_only=True) == 50_000 + 5 * 3 * skip
    assert made_table().compiled is False and replace(made_table(), engine="onnx").compiled is True


def test_a_limit_that_a_network_with_dead_nodes_meets_is_possible() -> None:
    """The last node may read the input and the first node alone."""
    costs = made_table().cost_table(SPACE, 2, **SIZES)
    generator = torch.Generator().manual_seed(0)
    drawn = [random_genotype(SPACE, generator, (1, 1)) for _ in range(300)]
    budget = Budget("latency", 1.0, costs, live_only=True)
    least = min(budget.cost_of(SPACE, one) for one in drawn)
    require_possible([replace(budget, most=float(least))], SPACE, (1, 1))
    with pytest.raises(UserError, match="the smallest network of the space needs at least "):
        require_possible([replace(budget, most=40_000.0)], SPACE, (1, 1))


def test_a_compiled_network_uses_its_milliseconds_by_what_is_heard() -> None:
    costs = made_table().cost_table(SPACE, 2, **SIZES)
    generator = torch.Generator().manual_seed(1)
    for _ in range(12):
        architecture = Architecture(SPACE, True, 1, 0.0, generator)
        with torch.no_grad():
            architecture.alpha.normal_(generator=generator)
        budget = Budget("latency", 150e3, costs, live_only=True)
        found = derive_within(architecture, [budget])
        assert 0.95 * 150e3 <= budget.cost_of(SPACE, found.genotype) <= 150e3 and not found.unused
        assert all(found.genotype.live_nodes)


def test_the_fit_finds_what_whole_networks_are_made_of() -> None:
    rng = np.random.default_rng(0)
    sums = rng.random((12, 2))
    whole = 0.3 + sums @ [0.8, 2.0]
    assert fit(sums, whole) == pytest.approx([0.3, 0.8, 2.0])
    assert fit(sums * [1, 0], 0.3 + 0.8 * sums[:, 0]) == pytest.approx([0.3, 0.8, 0.0])
    assert fit(sums, 1.0 - 0.5 * sums[:, 0])[1] == 0.0  # nothing is negative


def test_a_call_that_takes_longer_is_measured_so() -> None:
    few, many = torch.rand(64, 64), torch.rand(512, 512)
    short, long = timed([lambda: few @ few, lambda: many @ many], 3, lambda done: None)
    assert 0 < short < long


def test_a_row_adds_each_result() -> None:
    x = torch.ones(1, 2, 4, 4)
    assert torch.equal(OperationChain("skip_connect", 2, 3)(x), 8 * x)


def test_both_engines_compute_the_same_row() -> None:
    pytest.importorskip("onnxscript")
    row = OperationChain("sep_conv_3x3", 2, 1)
    answers = [make_call(row, (1, 2, 4, 4), engine, 1)() for engine in ("torch", "onnx")]
    assert isinstance(answers[0], torch.Tensor) and isinstance(answers[1], list)
    np.testing.assert_allclose(answers[0].numpy(), answers[1][0], atol=1e-5)


def test_a_table_is_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call really runs; in the place of its time stands what a device would take whose parts just add up."""
    space = replace(SPACE, blocks=1, operations=("none", "skip_connect", "sep_conv_3x3"))
    price = {"skip_connect": 1e-6, "sep_conv_3x3": 1e-5}
    generator = torch.Generator().manual_seed(0)
    genotypes = [random_connected(space, generator) for _ in range(12)]
    whole = [
        1e-4 + 0.8 * genotype.depths[0] * sum(price[name] for edges in genotype.nodes for name, _ in edges)
        for genotype in genotypes
    ]

    def made(calls: Sequence[Call], rounds: int, tell: object) -> NDArray[np.float64]:
        for call in calls:
            call()
        return np.array([1.5e-6, *(0.5e-6 + 5 * price[name] for name in ("skip_connect", "sep_conv_3x3")), *whole])

    monkeypatch.setattr("compactnas.exporting.latency.timed", made)
    said: list[str] = []
    table = measure_latency(
        space, **SIZES, engine="torch", networks=12, tell=lambda what, done, of: said.append(f"{what} {done}/{of}")
    )
    assert table.operations_ns == ((0, 800, 8000),)
    assert table.fixed_ns == 100_000 and table.networks == 12 and table.worst_error < 1e-3
    assert said[-1] == "building 15/15"


def test_a_device_on_which_operations_cost_nothing_is_too_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    space = replace(SPACE, blocks=1, operations=("skip_connect", "sep_conv_3x3"))
    monkeypatch.setattr("compactnas.exporting.latency.timed", lambda calls, rounds, tell: np.full(len(calls), 1e-3))
    with pytest.raises(UserError, match="repeat on an idle machine"):
        measure_latency(space, **SIZES, engine="torch", networks=6)


def test_the_fit_finds_the_optimum_that_dropping_columns_one_by_one_misses() -> None:
    """Non-negative least squares: no other non-negative solution is nearer (checked against a fine search)."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        sums, whole = rng.random((8, 3)), rng.random(8) + 0.1
        found = fit(sums, whole)
        assert (found >= 0).all()
        columns = np.column_stack([np.ones(len(sums)), sums]) / whole[:, None]
        gradient = columns.T @ (columns @ found - 1)  # Karush-Kuhn-Tucker conditions of the optimum
        assert np.allclose(gradient[found > 0], 0, atol=1e-9)
        assert (gradient[found == 0] >= -1e-9).all()
