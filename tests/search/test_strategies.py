"""What every strategy promises, asked of all in one suite; and the laws that tie one to another."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
import torch
from support.tiny import BANDS, CLASSES, SIDE, Killed, Killer, new_search, tiny_config, write_patches
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from compactnas.config import MachineConfig, RunConfig, SearchConfig
from compactnas.cost.table import CostTable
from compactnas.distributed.process_group import SINGLE_PROCESS
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.operations._weightless import Zero
from compactnas.nn.sample import Sample
from compactnas.nn.supernet import SuperNet
from compactnas.pipeline.running import search_stage
from compactnas.search.architecture import Architecture
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.random_genotype import random_genotype
from compactnas.search.sampling import Draw
from compactnas.search.searcher import Searcher
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategies.darts import Darts
from compactnas.search.strategies.gdas import Gdas
from compactnas.search.strategies.proxyless import Proxyless
from compactnas.search.strategies.snas import Snas
from compactnas.search.unrolled import leave_unrolled_gradient
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space

EVERY = tuple(STRATEGIES)
LEARNING = tuple(name for name in EVERY if STRATEGIES[name].learns_alpha)
SMALL: dict[str, object] = {"nodes": 3, "blocks": 2}
"""What `all operations run` costs is what these tests take."""

KINDS = ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")
"""An operation of each kind, for tests in which their number does not matter."""
FEW = SMALL | {"operations": KINDS}

OUTPUTS = ("search/metrics.jsonl", "search/alpha.json", "genotype.json")
Layout = Literal["paper", "nasnet"]


def operations_run(name: str) -> tuple[int, int]:
    """The most operations of an edge in a step of the weights, and in one of the architecture."""
    strategy = STRATEGIES[name]
    weights = 1 if strategy.single_path else len(Space().operations) - 1  # `none` never runs
    return weights, max(weights, strategy.least_operations) if strategy.learns_alpha else 0


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def step_of_alpha(search: Searcher) -> None:
    """One step of the architecture on the first batches."""
    (x, y), (x_t, y_t) = next(iter(search.alpha_batches.epoch(0))), next(iter(search.train_batches.epoch(0)))
    search.bilevel.alpha_step(x, y, 1.0, len(y), (x_t, y_t, len(y_t)))


def tiny_net(layout: str = "paper", **changes: object) -> tuple[Architecture, SuperNet]:
    """An architecture of fixed depth 2 with decided opinions, and its supernet, in double precision."""
    space = Space(layout=layout, channels=4, blocks=2, max_depth=2, **changes)  # type: ignore[arg-type]
    architecture = Architecture(space, False, 2, 1.0, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        architecture.alpha.mul_(500)
    torch.manual_seed(0)
    return architecture, SuperNet(space, (2, 2), 3, 5).double()


def test_the_paper_strategy_is_the_default() -> None:
    assert EVERY[0] == SearchConfig().strategy == "gdas"


@pytest.mark.parametrize("strategy", EVERY)
def test_the_same_seed_gives_the_same_bytes_and_so_does_a_resume(patches: Path, tmp_path: Path, strategy: str) -> None:
    config = tiny_config(patches, space=FEW, search={"strategy": strategy, "batch_size": 15, "candidates": 5})
    found = search_stage(config, tmp_path / "whole")
    assert found == Genotype.load(tmp_path / "whole") and found.is_connected
    assert Network(found, BANDS, CLASSES)(torch.randn(2, BANDS, SIDE, SIDE)).shape == (2, CLASSES)
    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(3))  # in the second epoch
    search_stage(config, tmp_path / "cut", resume=True)
    assert outputs(tmp_path / "cut") == outputs(tmp_path / "whole")
    assert search_stage(config, tmp_path / "cut", resume=True) == found  # of what is done already


@pytest.mark.parametrize(("layout", "depth_mode"), [("paper", "mixture"), ("nasnet", "sample")])
@pytest.mark.parametrize("strategy", LEARNING)
def test_gradients_reach_alpha_and_the_depth_and_leave_the_weights(
    patches: Path, strategy: str, layout: Layout, depth_mode: str
) -> None:
    space = {"layout": layout, "blocks": 1, "operations": KINDS[1:]}
    search = new_search(patches, space=space, strategy=strategy, depth_mode=depth_mode, complexity=False)
    before = [p.detach().clone() for p in search.bilevel.parameters]
    choices = [p.detach().clone() for p in search.bilevel.choices]
    step_of_alpha(search)
    for now, start in zip(search.bilevel.choices, choices, strict=True):
        assert now.grad is not None and now.grad.abs().sum() > 0
        assert not torch.equal(now, start)
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, search.bilevel.parameters, strict=True))
    assert all(p.requires_grad for p in search.bilevel.parameters)


@pytest.mark.parametrize("strategy", LEARNING)
def test_the_complexity_loss_moves_alpha_of_its_own(patches: Path, strategy: str) -> None:
    """With nothing but the cost to learn, cheap networks become likelier."""
    search = new_search(patches, space=FEW, strategy=strategy, complexity_weight=1e4, search_depth=False)
    before = search.describe()["expected_macs"]
    for _ in range(4):
        step_of_alpha(search)
    assert search.describe()["expected_macs"] < before


@pytest.mark.parametrize("strategy", EVERY)
def test_as_many_operations_of_an_edge_run_as_promised(patches: Path, strategy: str) -> None:
    search = new_search(patches, space=SMALL, strategy=strategy, search_depth=False)
    ran: Counter[int] = Counter()
    cell = search.supernet.backbone.blocks[0][0]
    for edge, candidates in enumerate(cell.edges):
        for operation in candidates:
            assert isinstance(operation, nn.Module)
            operation.register_forward_hook(lambda *_, edge=edge: ran.update([edge]))
    none = search.space.operations.index("none")
    for gradient, most in zip((False, True), operations_run(strategy), strict=True):
        if not most:
            continue
        ran.clear()
        draw = search.bilevel.draw(1.0, gradient=gradient)
        search.supernet(torch.randn(2, BANDS, SIDE, SIDE), draw.sample)
        mixture, path = draw.sample.mixture, draw.sample.path
        for edge, index in enumerate(path):
            asked = {index} if mixture is None else set(mixture.candidates[edge])
            assert ran[edge] == len(asked - {none, -1})  # `none` never runs
        assert most - 1 <= max(ran.values()) <= most


@pytest.mark.parametrize("strategy", ["gdas", "darts", "snas", "proxyless"])
def test_the_forward_pass_costs_the_sum_of_what_runs(strategy: str) -> None:
    architecture, supernet = tiny_net()
    built = STRATEGIES[strategy].build(SearchConfig(strategy=strategy))
    draw = built.draw(architecture, 1.0, torch.Generator().manual_seed(3), gradient=True)
    run = torch.zeros_like(architecture.alpha).detach()
    for edge, index in enumerate(draw.sample.path):
        run[edge, list((index,) if draw.sample.mixture is None else draw.sample.mixture.candidates[edge])] = 1
    table = CostTable.of(architecture.space, 2, 3, 5, 8)
    macs = float(torch.einsum("eo,bo->b", run, table.operations).sum() * 2 + table.fixed)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():  # to train, average pooling is a convolution
        supernet.float()(torch.randn(1, 3, 8, 8), _in_float(draw.sample))
    assert counter.get_total_flops() / 2 == macs


def _in_float(sample: Sample) -> Sample:
    if sample.mixture is not None:
        sample = sample._replace(mixture=sample.mixture._replace(weights=sample.mixture.weights.float()))
    return sample._replace(weights=None if sample.weights is None else sample.weights.float())


def test_memory_grows_with_what_runs(patches: Path) -> None:
    """Of what a step of the architecture keeps for its backward pass: a gate costs one map, a mixture all of them."""
    kept = {}
    for strategy in ("gdas", "proxyless", "snas", "darts"):
        search = new_search(patches, space=SMALL, strategy=strategy, search_depth=False)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, to=sizes: to.append(t.numel()) or t, lambda t: t):
            for _ in range(6):  # draws differ
                step_of_alpha(search)
        kept[strategy] = sum(sizes)
    assert kept["gdas"] < kept["proxyless"] < 2 * kept["gdas"]
    assert 3 * kept["gdas"] < kept["darts"] < 8 * kept["gdas"]
    assert kept["snas"] == pytest.approx(kept["darts"], rel=0.02)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mixture_beyond_doubt_is_the_single_path(layout: str) -> None:
    architecture, supernet = tiny_net(layout)
    path = torch.arange(len(architecture.alpha)) % 8
    with torch.no_grad():
        architecture.alpha.copy_(200.0 * F.one_hot(path, 8))
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    draw = Darts().draw(architecture, 1.0, torch.Generator(), gradient=True)
    single = supernet(x, Sample(tuple(path.tolist()), (2, 2)))
    torch.testing.assert_close(supernet(x, draw.sample), single, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_snas_at_no_temperature_is_gdas_with_the_same_noise(layout: str) -> None:
    architecture, supernet = tiny_net(layout)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for seed in range(3):
        draws = [
            strategy.draw(architecture, 1e-6, torch.Generator().manual_seed(seed), gradient=False)
            for strategy in (Snas(), Gdas())
        ]
        assert draws[0].sample.path == draws[1].sample.path
        torch.testing.assert_close(supernet(x, draws[0].sample), supernet(x, draws[1].sample), rtol=1e-9, atol=1e-9)


def test_a_mixture_is_the_weighted_sum_and_so_is_its_gradient() -> None:
    """On one edge, against the sum written out."""
    space = Space(channels=4, nodes=2, blocks=1)
    architecture = Architecture(space, False, 1, 1.0, torch.Generator().manual_seed(1)).double()
    supernet = SuperNet(space, (1,), 3, 5).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    draw = Darts().draw(architecture, 1.0, torch.Generator(), gradient=True)
    parameters = [architecture.alpha, *supernet.parameters()]
    ours = torch.autograd.grad(supernet(x, draw.sample).square().sum(), parameters, allow_unused=True)
    backbone = supernet.backbone
    stem, p = backbone.stem(x), architecture.alpha.softmax(-1)[0]
    single = [Sample((index,), (1,)) for index in range(8)]
    cell = backbone.blocks[0][0]
    from compactnas.nn.state import State

    node = sum(p[index] * cell([State(stem)], one).x for index, one in enumerate(single))
    plain = torch.autograd.grad(backbone.head(node).square().sum(), parameters, allow_unused=True)
    for one, other in zip(ours, plain, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_proxyless_moves_two_logits_of_an_edge_and_no_other_probability(patches: Path) -> None:
    search = new_search(patches, space=SMALL, strategy="proxyless", search_depth=False)
    alpha, seen = search.architecture.alpha, list[Draw]()
    draw_of = search.bilevel.draw
    search.bilevel.draw = lambda tau, gradient: seen.append(draw_of(tau, gradient=gradient)) or seen[-1]  # type: ignore[method-assign, func-returns-value]
    for _ in range(3):
        before, p = alpha.detach().clone(), search.architecture.probabilities().detach()
        step_of_alpha(search)
        mixture = seen[-1].sample.mixture
        assert mixture is not None and mixture.weights.sum(-1).tolist() == [1.0] * len(alpha)
        drawn = torch.zeros_like(alpha, dtype=torch.bool).scatter(-1, torch.tensor(mixture.candidates), True)
        assert torch.equal((alpha != before), drawn)
        now = search.architecture.probabilities().detach()
        torch.testing.assert_close(now[~drawn], p[~drawn], rtol=1e-5, atol=1e-6)
        assert (now[drawn] - p[drawn]).abs().max() > 1e-3  # two that want the same stay where they are


def test_proxyless_gradient_is_that_of_the_two_gates() -> None:
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i) over the two (eq. 4 of the paper), zero for the others."""
    architecture, supernet = tiny_net()
    x, alpha = torch.randn(4, 3, 8, 8, dtype=torch.float64), architecture.alpha
    draw = Proxyless().draw(architecture, 1.0, torch.Generator().manual_seed(0), gradient=True)
    mixture = draw.sample.mixture
    assert mixture is not None
    (gradient,) = torch.autograd.grad(supernet(x, draw.sample).square().sum(), alpha)
    gates = mixture.weights.detach().clone().requires_grad_()
    # The same sum with both operations in full: gates are all that is differentiated.
    sample = draw.sample._replace(mixture=mixture._replace(weights=gates, gates=False))
    (of_gates,) = torch.autograd.grad(supernet(x, sample).square().sum(), gates)
    for edge, pair in enumerate(mixture.candidates):
        both = torch.tensor(pair)
        p = alpha[edge, both].softmax(-1).detach()
        expected = (torch.diag(p) - torch.outer(p, p)) @ of_gates[edge, both]
        torch.testing.assert_close(gradient[edge, both], expected, rtol=1e-8, atol=1e-12)
        others = [index for index in range(8) if index not in pair]
        assert gradient[edge, others].abs().sum() == 0
    assert any(isinstance(op, Zero) for op in supernet.backbone.blocks[0][0].edges[0])


def test_the_second_order_gradient_is_that_of_the_unrolled_loss() -> None:
    """Against finite differences of L_V(w - xi (grad L_T + momentum and decay), alpha) in double precision."""
    architecture, supernet = tiny_net(nodes=3, operations=("skip_connect", "sep_conv_3x3", "avg_pool_3x3"))
    alpha, weights = architecture.alpha, list(supernet.parameters())
    generator = torch.Generator().manual_seed(0)
    x, x_t = (torch.randn(16, 3, 8, 8, dtype=torch.float64, generator=generator) for _ in range(2))
    y, y_t = torch.arange(16) % 5, torch.arange(16) % 3
    optimizer = torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=3e-4)

    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        draw = Darts().draw(architecture, 1.0, generator, gradient=True)
        return F.cross_entropy(supernet(images, draw.sample), labels)

    loss_of(x_t, y_t).backward()
    optimizer.step()  # so that there is a momentum
    optimizer.zero_grad()
    alpha.grad = None
    start = [w.detach().clone() for w in weights]
    leave_unrolled_gradient(
        lambda: loss_of(x_t, y_t), lambda: loss_of(x, y), optimizer, weights, [alpha], SINGLE_PROCESS, epsilon=1e-5
    )
    assert alpha.grad is not None and all(torch.equal(a, b) for a, b in zip(start, weights, strict=True))

    def unrolled() -> float:
        gradients = torch.autograd.grad(loss_of(x_t, y_t), weights)
        with torch.no_grad():
            for w, s, g in zip(weights, start, gradients, strict=True):
                buffer = optimizer.state[w]["momentum_buffer"]
                w.copy_(s - 0.05 * (g + 3e-4 * s + 0.9 * buffer))
        value = float(loss_of(x, y).detach())
        with torch.no_grad():
            for w, s in zip(weights, start, strict=True):
                w.copy_(s)
        return value

    brute, flat = torch.zeros_like(alpha), alpha.detach().view(-1)
    for place in range(alpha.numel()):
        ends = []
        for by in (1e-5, -1e-5):
            flat[place] += by
            ends.append(unrolled())
            flat[place] -= by
        brute.view(-1)[place] = (ends[0] - ends[1]) / 2e-5
    torch.testing.assert_close(alpha.grad, brute, rtol=1e-3, atol=1e-3 * float(brute.abs().max()))
    (first,) = torch.autograd.grad(loss_of(x, y), alpha)
    assert (first - brute).norm() > 20 * (alpha.grad - brute).norm()  # the first order alone would fail


@pytest.mark.parametrize("strategy", ["uniform", "evolution"])
def test_what_learns_no_alpha_takes_the_best_of_its_candidates(
    patches: Path, tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is killed among them; what is measured is not measured again."""
    monkeypatch.setattr("compactnas.search.supernet_candidates.SAVE_EVERY", 4)
    settings = {"strategy": strategy, "epochs": 1, "candidates": 60, "complexity_weight": 10.0}
    config = tiny_config(patches, space=SMALL, search=settings)
    found = search_stage(config, tmp_path / "whole")
    rows = [json.loads(line) for line in (tmp_path / "whole/search/candidates.jsonl").read_text().splitlines()]
    assert len(rows) == len({json.dumps(row["genotype"]) for row in rows}) == 60
    best = max(rows, key=lambda row: row["score"])
    assert Genotype.from_json(json.dumps(best["genotype"])) == found
    fixed = CostTable.of(config.space, 2, BANDS, CLASSES, SIDE).fixed
    for row in rows:  # C_cpl (MACs of the cells) / (N_ops x 1e6)
        assert row["accuracy"] - row["score"] == pytest.approx(10 * (row["macs"] - fixed) / 8e6, abs=2e-6)
    assert len({row["score"] for row in rows}) > 5
    last = json.loads((tmp_path / "whole/search/metrics.jsonl").read_text().splitlines()[-1])
    assert (last["accuracy_alpha"], last["derived_macs"]) == (best["accuracy"], best["macs"])
    assert "loss_alpha" not in last and last["depths"] == [1.5, 1.5]
    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(1 + 57))
    kept = (tmp_path / "cut/search/candidates.jsonl").read_text().splitlines()
    assert len(kept) == 56 and not (tmp_path / "cut/genotype.json").exists()
    measured: list[Genotype] = []
    accuracy = Searcher.accuracy
    monkeypatch.setattr(Searcher, "accuracy", lambda self, one: measured.append(one) or accuracy(self, one))  # type: ignore[func-returns-value]
    search_stage(config, tmp_path / "cut", resume=True)
    assert len(measured) == 4
    assert outputs(tmp_path / "cut") == outputs(tmp_path / "whole")
    table = "search/candidates.jsonl"
    assert (tmp_path / "cut" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_a_uniform_path_does_not_move_alpha_and_is_of_what_a_derivation_gives(patches: Path) -> None:
    search = new_search(patches, space={"layout": "nasnet", "blocks": 2}, strategy="uniform")
    alpha, draws = search.architecture.alpha.detach().clone(), list[Draw]()
    list(search.run_epoch(0))
    assert torch.equal(alpha, search.architecture.alpha)
    for _ in range(300):
        draws.append(search.bilevel.draw(1.0, gradient=False))
    assert {len([index for index in draw.sample.path if index >= 0]) for draw in draws} == {8}  # two of each node
    assert all(search.space.operations.index("none") not in draw.sample.path for draw in draws)
    assert {depths for draw in draws for depths in draw.sample.depths} == {1, 2}


@pytest.mark.parametrize("inputs_per_node", [0, 1, 2])
@pytest.mark.parametrize("depths", [None, (1, 2)])
def test_a_row_of_choices_is_a_genotype_and_every_genotype_has_one(
    inputs_per_node: int, depths: tuple[int, ...] | None
) -> None:
    operations = ("none", "skip_connect", "sep_conv_3x3")
    space = Space(channels=4, blocks=2, nodes=3, max_depth=2, operations=operations, inputs_per_node=inputs_per_node)
    genotypes = GenotypeChoices(space, depths)
    made = [genotypes.genotype(row) for row in product(*map(range, genotypes.choices().options))]
    connected = [one for row, one in zip(product(*map(range, genotypes.choices().options)), made, strict=True)
                 if genotypes.choices().admits(row)]  # fmt: skip
    assert len(set(made)) == len(made)
    assert all(one.is_connected for one in connected) and any(not one.is_connected for one in made) == (
        not inputs_per_node
    )
    generator = torch.Generator().manual_seed(0)
    drawn = [random_genotype(space, generator, depths) for _ in range(1500)]
    assert set(drawn) == set(made)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strategy": "darts", "sampled_inputs": 2}, r"search\.sampled_inputs: darts does not have this option"),
        ({"strategy": "snas", "unsampled_gradient": "published"}, r"search\.unsampled_gradient: snas does not have"),
        ({"strategy": "uniform", "stop_after": 2}, r"search\.stop_after: uniform does not train the architecture"),
        ({"strategy": "evolution", "candidates": 0}, r"search\.candidates: 0 is less than 1"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        SearchConfig(**settings)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


def test_what_the_space_or_the_machine_cannot_is_told_in_one_line() -> None:
    one = Space(operations=("skip_connect",))
    with pytest.raises(UserError, match=r"space\.operations: search\.strategy=proxyless needs at least 2"):
        RunConfig(space=one, search=SearchConfig(strategy="proxyless"))
    with pytest.raises(UserError, match=r"machine\.precision: search\.strategy=darts_second_order cannot use"):
        RunConfig(search=SearchConfig(strategy="darts_second_order"), machine=MachineConfig(precision="16-mixed"))
