"""The search for widths (TAS): a narrow network is a part of the wide one, in what it answers and in what it costs."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import BANDS, CLASSES, SIDE, Killed, Killer, new_search, tiny_config, write_patches
from torch import nn
from torch.nn import functional as F

from compactnas.cost.constraints import USED, Budget
from compactnas.cost.counter import genotype_cost
from compactnas.cost.table import CostTable
from compactnas.distributed.process_group import SINGLE_PROCESS
from compactnas.distributed.sync_layers import GlobalBatchNorm
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.norms import final_norm
from compactnas.nn.slimmable import combined, interpolated, narrowed
from compactnas.nn.supernet import SuperNet, certain_sample, copy_weights
from compactnas.pipeline.running import search_stage, train_stage
from compactnas.reporting.run.page import write_report
from compactnas.runs.folder import read_config
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive, derive_within
from compactnas.search.random_genotype import random_genotype
from compactnas.search.strategies.gdas import Gdas
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

SHARES = (0.25, 0.5, 1.0)
SPACE = Space(channels=4, max_depth=2, widths=SHARES)
SPACES = (SPACE, Space(layout="lean", channels=12, max_depth=2, widths=SHARES))
SIZES = {"bands": 10, "classes": 17, "patch_px": 32}
NODES = ((("skip_connect", 0),), (("sep_conv_3x3", 0), ("dil_conv_5x5", 1)), (("max_pool_3x3", 1), ("sep_conv_5x5", 2)))


def of_seed(space: Space, seed: int) -> Genotype:
    generator = torch.Generator().manual_seed(seed)
    while not (found := random_genotype(space, generator)).is_connected:
        pass
    return found


def opinions(space: Space, seed: int) -> Architecture:
    """An architecture that has made up its mind."""
    generator = torch.Generator().manual_seed(seed)
    architecture = Architecture(space, True, space.min_depth, 0.0, generator)
    with torch.no_grad():
        for logits in architecture.parameters():
            logits.copy_(2 * torch.randn(logits.shape, generator=generator))
    return architecture


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.fixture(scope="module", params=SPACES, ids=["paper", "lean"])
def supernet(request: pytest.FixtureRequest) -> SuperNet:
    torch.manual_seed(0)
    supernet = SuperNet(request.param, (2, 2, 2), BANDS, CLASSES).double()
    with torch.no_grad():
        for p in supernet.parameters():
            p.add_(torch.randn_like(p) / 10)  # normalisation that does something
    return supernet


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_supernet_at_a_networks_widths_answers_as_that_network(supernet: SuperNet, seed: int) -> None:
    space = supernet.space
    genotype = of_seed(space, seed)
    torch.manual_seed(seed)
    network = Network(genotype, BANDS, CLASSES).double().train()
    copy_weights(supernet, network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    x = torch.randn(3, BANDS, SIDE, SIDE, dtype=torch.float64)
    torch.testing.assert_close(supernet(x, certain_sample(space, genotype)), network(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", ["paper", "lean"])
@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize("measure", ["macs", "parameters"])
def test_the_table_has_the_cost_of_every_network(measure: str, blocks: int, layout: str) -> None:
    space = replace(SPACE, blocks=blocks, channels=8, layout=layout)
    table = CostTable.of(space, space.max_depth, **SIZES, measure=measure)
    for seed in range(4):
        genotype = of_seed(space, seed)
        assert table.total(space, genotype) == getattr(genotype_cost(genotype, **SIZES), measure)
        certain = F.one_hot(torch.tensor(space.widths_of(genotype)), len(SHARES)).double()
        at = table.at(certain)
        torch.testing.assert_close(at.operations, table.of_widths(space.widths_of(genotype)).operations)
        bare = replace(genotype, nodes=((("none", 0),),) * 3)
        assert float(at.fixed) == pytest.approx(getattr(genotype_cost(bare, **SIZES), measure))


def test_the_expected_cost_is_the_mean_over_all_widths() -> None:
    table = CostTable.of(SPACE, 2, **SIZES)
    p = opinions(SPACE, 0).width_probabilities()
    assert p is not None
    p = p.detach().double()
    mean = sum(
        float(p[range(3), places].prod()) * float(table.of_widths(places).fixed)
        for places in itertools.product(range(3), repeat=3)
    )
    assert float(table.at(p).fixed) == pytest.approx(mean)


@pytest.mark.parametrize("channels", [(3, 8), (8, 3), (5, 5), (4, 2)])
def test_interpolation_is_adaptive_pooling_along_the_channels(channels: tuple[int, int]) -> None:
    own, to = channels
    x = torch.randn(2, own, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(interpolated(x, to), F.adaptive_avg_pool3d(x[:, None], (to, 4, 5))[:, 0])


def test_two_maps_are_added_at_the_wider_one() -> None:
    x, y = torch.randn(2, 2, 4, 4), torch.randn(2, 4, 4, 4)
    found = combined([x, y], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(found, 0.25 * interpolated(x, 4) + 0.75 * y)


def test_narrowed_layers_are_their_first_weights_in_several_processes_too() -> None:
    torch.manual_seed(0)
    norm = final_norm(8)
    layers = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), norm, nn.ReLU())
    with torch.no_grad():
        norm.weight.uniform_()
        norm.bias.uniform_()
    x = torch.randn(4, 3, 8, 8)
    y = F.conv2d(x, layers[0].weight[:5, :3], stride=2, padding=1)
    expected = F.relu(F.batch_norm(y, None, None, norm.weight[:5], norm.bias[:5], training=True))
    torch.testing.assert_close(narrowed(layers, x, 5), expected)
    fixed = nn.BatchNorm2d(8, track_running_stats=False)
    fixed.load_state_dict({"weight": norm.weight, "bias": norm.bias})
    spread = nn.Sequential(layers[0], GlobalBatchNorm(fixed, SINGLE_PROCESS), nn.ReLU())
    torch.testing.assert_close(narrowed(spread, x, 5), expected)


def test_a_draw_runs_two_widths_of_each_block_and_both_learn() -> None:
    architecture = Architecture(SPACE, False, 2, 1.0, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    sample = Gdas().draw(architecture, 1.0, generator, gradient=True).sample
    assert sample.widths is not None and sample.width_weights is not None
    assert all(
        len(set(two)) == 2 and set(two) <= set(row) for two, row in zip(sample.widths, SPACE.block_widths, strict=True)
    )
    torch.testing.assert_close(sample.width_weights.sum(dim=1), torch.ones(3))
    supernet = SuperNet(SPACE, (2, 2, 2), BANDS, CLASSES)
    F.cross_entropy(supernet(torch.randn(8, BANDS, SIDE, SIDE), sample), torch.arange(8) % CLASSES).backward()
    assert architecture.width_logits is not None and architecture.width_logits.grad is not None
    drawn = torch.tensor(
        [[width in two for width in row] for two, row in zip(sample.widths, SPACE.block_widths, strict=True)]
    )
    assert bool((architecture.width_logits.grad[drawn].abs() > 0).all())
    without = Gdas().draw(architecture, 1.0, generator, gradient=False).sample
    assert without.width_weights is not None and not without.width_weights.requires_grad


FEW = Space(
    channels=8,
    nodes=3,
    blocks=2,
    max_depth=2,
    widths=SHARES,
    operations=("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3"),
    inputs_per_node=1,
)
"""A space whose networks can be tried one by one."""


@cache
def each_of_few(measure: Literal["macs", "parameters"]) -> list[tuple[Genotype, int]]:
    """Every network of the space, with its cost."""
    names, table = FEW.operations[1:], CostTable.of(FEW, 2, **SIZES, measure=measure)
    edges = [[(0, name) for name in names], [(source, name) for source in (0, 1) for name in names]]
    found = []
    for cell in itertools.product(*edges):
        for deep, wide in itertools.product(itertools.product((1, 2), repeat=2), itertools.product(*FEW.block_widths)):
            genotype = Genotype(tuple(((name, source),) for source, name in cell), deep, 8, "paper", wide)
            found.append((genotype, table.total(FEW, genotype)))
    return found


@pytest.mark.parametrize("measure", ["macs", "parameters"])
@pytest.mark.parametrize("seed", range(3))
def test_within_a_budget_it_is_the_most_probable_of_all_networks(
    measure: Literal["macs", "parameters"], seed: int
) -> None:
    """Every cell of 2 nodes, depth and width, tried one by one."""
    space, names = FEW, FEW.operations
    architecture = opinions(space, seed)
    table = CostTable.of(space, 2, **SIZES, measure=measure)
    most = 0.5 * table.total(space, Genotype(((("sep_conv_3x3", 0),),) * 2, (2, 2), 8))
    found = derive_within(architecture, [Budget(measure, most, table)])
    assert architecture.width_logits is not None
    rows = architecture.probabilities(), architecture.depth_probabilities(), architecture.width_logits.softmax(dim=-1)
    p, depths, widths = (row.detach().double().log().tolist() for row in rows)
    best = (-float("inf"), derive(architecture))
    for genotype, cost in each_of_few(measure):
        if all(genotype.live_nodes) and USED * most <= cost <= most:
            cell = [(node, *edge) for node, (edge,) in enumerate(genotype.nodes)]
            score = sum(p[space.edges.index((node, source))][names.index(name)] for node, name, source in cell)
            score += sum(depths[block][deep - 1] for block, deep in enumerate(genotype.depths))
            score += sum(widths[block][wide] for block, wide in enumerate(space.widths_of(genotype)))
            best = max(best, (score, genotype), key=lambda pair: pair[0])
    assert found.genotype == best[1] and not found.unused


def test_the_cost_makes_networks_narrower(patches: Path) -> None:
    space = {"widths": SHARES, "nodes": 3}
    search = new_search(patches, space=space, complexity_weight=50.0, alpha_learning_rate=0.1)
    x, y = next(iter(search.alpha_batches.epoch(0)))
    for _ in range(12):
        search.bilevel.alpha_step(x, y, 1.0, len(y))
    assert search.architecture.derived_widths() == (1, 2, 4)


@pytest.mark.parametrize("strategy", ["gdas", "darts", "uniform"])
def test_a_search_goes_on_to_the_same_bytes(patches: Path, tmp_path: Path, strategy: str) -> None:
    settings = {"strategy": strategy, "batch_size": 15, "candidates": 5, "max_parameters": 500.0}
    operations = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
    space = {"widths": SHARES, "nodes": 3, "blocks": 2, "operations": operations}
    config = tiny_config(patches, space=space, search=settings)
    found = search_stage(config, tmp_path / "whole")
    assert genotype_cost(found, BANDS, CLASSES, SIDE).parameters <= 500
    assert Network(found, BANDS, CLASSES)(torch.randn(2, BANDS, SIDE, SIDE)).shape == (2, CLASSES)
    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(3))
    search_stage(config, tmp_path / "cut", resume=True)
    for name in ("search/metrics.jsonl", "search/alpha.json", "genotype.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_what_reads_a_search_knows_its_widths(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, space={"widths": SHARES}, search={"complexity_weight": 50.0})
    found = search_stage(config, tmp_path)
    assert read_config(tmp_path).space == config.space
    search = FinishedSearch.read(tmp_path)
    assert search.derive() == found and search.after_epochs()[-1][1] == found
    drawn = [search.sample(torch.Generator().manual_seed(seed)) for seed in range(10)]
    assert len({genotype.block_channels for genotype in drawn}) > 1
    page = write_report([tmp_path], tmp_path / "report.html").read_text()
    assert "Probability of each width of each block" in page


def test_a_random_cell_like_a_narrow_network_is_narrow_too(patches: Path, tmp_path: Path) -> None:
    twin = Genotype(NODES, (1, 1, 1), 4, "paper", (2, 4, 8))
    file = tmp_path / "twin.json"
    file.write_text(twin.to_json())
    train_stage(tiny_config(patches, train={"epochs": 1}), tmp_path / "run", "random", like=str(file))
    found = Genotype.load(tmp_path / "run")
    macs = [genotype_cost(one, BANDS, CLASSES, SIDE).macs for one in (found, twin)]
    assert found.widths and abs(macs[0] - macs[1]) <= 0.02 * macs[1]


def test_a_genotype_with_widths_is_written_and_read() -> None:
    narrow = Genotype(NODES, (1, 2, 1), 16, "paper", (4, 20, 64))
    assert Genotype.from_json(narrow.to_json()) == narrow and narrow.block_channels == (4, 20, 64)
    full = Genotype(NODES, (1, 2, 1), 16, "paper", (16, 32, 64))
    assert full == Genotype(NODES, (1, 2, 1), 16) and "widths" not in json.loads(full.to_json())


@pytest.mark.parametrize(
    ("widths", "layout", "said"),
    [
        ((0.5, 1.0), "nasnet", "paper, lean and mobile"),
        ((0.25, 1.0), "lean", "two halves, needs at least 2"),
        ((0.5,), "paper", "rise to 1"),
        ((1.0, 0.5), "paper", "rise to 1"),
        ((-0.5, 1.0), "paper", "numbers of channels"),
        ((0.9, 1.0), "paper", "numbers of channels"),
        ((0.01, 1.0), "paper", "numbers of channels"),
    ],
)
def test_odd_shares_are_refused(widths: tuple[float, ...], layout: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Space(channels=4, widths=widths, layout=layout)


@pytest.mark.parametrize(
    ("widths", "layout", "said"),
    [
        ((4, 4), "paper", "2 widths for 3 blocks"),
        ((0, 8, 8), "paper", "width 0 of block 1"),
        ((4, 9, 8), "paper", "width 9"),
        ((4, 8, 8), "nasnet", "paper, lean and mobile"),
        ((1, 8, 8), "lean", "width 1 of block 1 is outside 2 to 4"),
    ],
)
def test_odd_widths_of_a_genotype_are_refused(widths: tuple[int, ...], layout: str, said: str) -> None:
    nodes = NODES if layout == "paper" else (*NODES, (("skip_connect", 0),))
    with pytest.raises(UserError, match=said):
        Genotype(nodes, (1, 1, 1), 4, layout, widths)


def test_a_table_of_latencies_and_another_space_are_refused() -> None:
    from compactnas.exporting.latency import measure_latency

    with pytest.raises(UserError, match=r"space\.widths"):
        measure_latency(SPACE, **SIZES, engine="torch")
    with pytest.raises(UserError, match="3 channels in block 1"):
        SPACE.widths_of(Genotype(NODES, (1, 1, 1), 4, "paper", (3, 8, 16)))
