"""Selection: each ranking against a closed form or a law, and a whole selection that goes on to the same bytes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny import Killed, Killer, tiny_config, write_patches
from torch import nn

from compactnas.cli import main
from compactnas.config import DataConfig, RunConfig
from compactnas.cost.constraints import Budget
from compactnas.cost.counter import genotype_cost
from compactnas.cost.table import CostTable
from compactnas.data import ArraySource, open_dataset
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.supernet import certain_sample, copy_weights
from compactnas.pipeline.running import search_stage
from compactnas.runs.checkpoints import PATTERN
from compactnas.selection.agreement import agreements, kendall_tau
from compactnas.selection.candidates import make_candidates
from compactnas.selection.config import NAMES, SelectConfig
from compactnas.selection.halving import goes_on, rungs_of
from compactnas.selection.holdout import HoldOut
from compactnas.selection.proxies import gradnorm, naswot, synflow
from compactnas.selection.rankings import RANKINGS, supernet_accuracy
from compactnas.selection.run import Selected, select_stage
from compactnas.selection.searches import FinishedSearch, read_searches
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import DARTS_OPERATIONS
from compactnas.training.norm_statistics import recalibrate
from compactnas.training.runtime import Silent

SMALL: dict[str, object] = {"nodes": 3, "blocks": 2}
QUICK = SelectConfig(candidates=5, initialisations=1, epochs=1, eta=2, rungs=2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches, and three searches of them: two seeds, and one by uniform sampling."""
    home = tmp_path_factory.mktemp("select")
    data = write_patches(home / "patches.npz")
    for seed in (0, 1):
        search_stage(config_of(data, seed), home / f"seed{seed}")
    search_stage(config_of(data, 0, strategy="uniform", candidates=5), home / "uniform")
    return home


def config_of(data: Path, seed: int, **search: object) -> RunConfig:
    setting: dict[str, object] = {"epochs": 4, "alpha_learning_rate": 0.3}
    return tiny_config(data, space=SMALL, search=setting | search, seed=seed)


def config_in(home: Path) -> RunConfig:
    return config_of(home / "patches.npz", 0)


def held_out_of(home: Path, choice: SelectConfig = QUICK, names: tuple[str, ...] = ("seed0", "seed1")) -> HoldOut:
    config = config_in(home)
    return HoldOut.of(open_dataset(config.data), read_searches([home / name for name in names]), config, choice)


def select(home: Path, out: Path, choice: SelectConfig = QUICK, **how: Any) -> Selected:
    return select_stage(config_in(home), choice, [home / "seed0", home / "seed1"], out, **how)


# Proxies


def test_synflow_of_a_linear_network_is_its_flow_for_each_layer() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 5, bias=False), nn.Linear(5, 2, bias=False))
    first, second = network[1].weight.detach().double(), network[2].weight.detach().double()
    flow = float((second.abs() @ first.abs()).sum())
    found = synflow(network, torch.randn(4, 3, 1, 1), torch.zeros(4, dtype=torch.int64))
    assert found == pytest.approx(2 * flow)
    # Signs do not matter, and each layer scales it.
    with torch.no_grad():
        network[1].weight.mul_(-3)
    assert synflow(network, torch.randn(4, 3, 1, 1), torch.zeros(4, dtype=torch.int64)) == pytest.approx(6 * flow)


def test_synflow_looks_through_normalisation_and_leaves_the_network_as_it_is() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = synflow(network, torch.randn(4, 2, 2, 2), torch.zeros(4, dtype=torch.int64))
    assert found == pytest.approx(4 * float(network[0].weight.detach().double().abs().sum()))  # type: ignore[union-attr]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Given(nn.Module):
    """ReLUs whose inputs are the patches themselves, as functions and in place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return torch.cat([nn.functional.relu(flat[:, :2]), nn.functional.relu(flat[:, 2:].clone(), inplace=True)], 1)


def test_naswot_is_the_determinant_of_the_kernel_of_known_codes() -> None:
    codes = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]])
    images = (2.0 * codes - 1).view(3, 4, 1, 1)
    # Codes in common: 2 of the first two, 1 of first and third, 1 of second and third.
    kernel = np.array([[4, 2, 1], [2, 4, 1], [1, 1, 4]], float)
    found = naswot(Given(), images, torch.zeros(3, dtype=torch.int64))
    assert found == pytest.approx(log(np.linalg.det(kernel)), rel=1e-6)
    assert np.linalg.det(kernel) == pytest.approx(44)


def test_gradnorm_of_a_linear_classifier_is_the_norm_of_its_errors_times_its_inputs() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    x, y = torch.randn(5, 3, 1, 1), torch.tensor([0, 1, 1, 0, 1])
    errors = network(x).softmax(-1).detach() - nn.functional.one_hot(y, 2)
    assert gradnorm(network, x, y) == pytest.approx(float((errors.T @ x.flatten(1) / 5).norm()), rel=1e-5)


CELL = Genotype(((("sep_conv_5x5", 0),), (("avg_pool_3x3", 0), ("dil_conv_3x3", 1))), (1, 2), channels=4)


@pytest.mark.parametrize("operation", DARTS_OPERATIONS[1:])
def test_every_operation_has_a_synflow_that_counts_its_layers(operation: str) -> None:
    """R is homogeneous in each layer's weights on the one path, so that synflow is R times the layers."""
    genotype = Genotype((((operation, 0),),), (1,), channels=4)
    torch.manual_seed(0)
    network = Network(genotype, 3, 5)
    with torch.no_grad():
        network.backbone.head[-1].bias.zero_()  # type: ignore[union-attr, operator]
    found = synflow(network, torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
    layers = {"sep": 4, "dil": 2}.get(operation[:3], 0) + 2  # of the operation, and stem and classifier
    from compactnas.selection.proxies import _without_norms

    plain = _without_norms(network).double().eval()
    with torch.no_grad():
        for weight in plain.parameters():
            weight.abs_()
        flow = float(plain(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum())
    assert found == pytest.approx(layers * flow, rel=1e-9)


def test_no_normalisation_is_left_in_a_lean_network() -> None:
    from compactnas.selection.proxies import _without_norms

    plain = _without_norms(Network(replace(CELL, layout="lean"), 3, 5))
    assert not [one for one in plain.modules() if isinstance(one, nn.BatchNorm2d | nn.InstanceNorm2d)]
    assert plain(torch.ones(1, 3, 8, 8)).shape == (1, 5)


def test_the_rankings_are_those_that_can_be_named() -> None:
    assert tuple(RANKINGS) == NAMES
    assert [name for name, ranking in RANKINGS.items() if ranking.score is None] == ["halving"]


# The supernet


def test_a_supernets_candidate_has_its_weights_and_the_mean_statistics_of_its_batches(home: Path) -> None:
    """In one batch, eval mode with recalibrated statistics is batch mode, but for the variance's n - 1."""
    held_out = held_out_of(home)
    search, supernet = held_out.searches[0], held_out.supernets[0]
    network = held_out.network(search.found, 0, normalised=False)
    copy_weights(supernet, network)
    from compactnas.data.batches import Batches

    rows = search.weights_rows
    batches = Batches(held_out.source, rows, len(rows), seed=0, stream=0)
    recalibrate(network, batches, 1, held_out.fabric.device, held_out.memory)
    x = torch.from_numpy(np.asarray(held_out.source.batch(rows)[0], np.float32))
    with torch.no_grad():
        own, supers = network(x), supernet(x, certain_sample(search.space, search.found))
    assert torch.allclose(own, supers, atol=0.05)
    assert not torch.equal(own.argmax(-1), torch.zeros(len(rows), dtype=torch.int64))


def test_supernet_accuracy_is_of_patches_that_its_weights_have_not_seen(home: Path, monkeypatch: Any) -> None:
    read: list[int] = []
    original = ArraySource.batch

    def batch(self: ArraySource, indices: Any) -> Any:
        read.extend(indices.tolist())
        return original(self, indices)

    for choice in (QUICK, replace(QUICK, holdout="random")):
        held_out = held_out_of(home, choice, ("seed0",))
        assert held_out.normalisation
        read.clear()
        monkeypatch.setattr(ArraySource, "batch", batch)
        found = supernet_accuracy(held_out.searches[0].found, held_out)
        monkeypatch.undo()
        judged = set(read) - set(held_out.searches[0].weights_rows.tolist())
        assert judged == set(held_out.unseen(held_out.searches[0]).tolist())
        assert judged <= set(held_out.rows.tolist())
        assert round(found * len(judged)) == pytest.approx(found * len(judged))


# Halving


def test_halving_keeps_the_best_third_and_of_equals_the_first() -> None:
    scores = dict(enumerate([3.0, 1.0, 9.0, 5.0, 9.0, 2.0, 8.0]))
    assert goes_on(scores, 3) == [2, 4]
    assert goes_on({4: 1.0, 2: 1.0, 7: 1.0}, 3) == [2]
    assert goes_on({4: 0.0, 9: 1.0}, 3) == [9]
    assert rungs_of(3, 3, 3) == [3, 9, 27]


def test_whoever_gets_further_is_better_and_every_rung_goes_on_from_the_one_before(home: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    class Told(Silent):
        def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
            told.append((stage, epochs, done))

    choice = replace(QUICK, by=("halving",), candidates=5, epochs=1, eta=2, rungs=3)
    found = select(home, tmp_path / "out", choice, listener=Told())
    rows = [json.loads(line) for line in (tmp_path / "out" / "select" / "halving.jsonl").read_text().splitlines()]
    assert Counter(row["epochs"] for row in rows) == {1: 5, 2: 2, 4: 1}
    scores = [row["scores"]["halving"] for row in found.rows]
    assert sorted(int(score) for score in scores) == [1, 1, 1, 2, 4]
    assert found.winner == int(np.argmax(scores)) == rows[-1]["candidate"]
    for row in rows[:5]:  # those that went on are the best of the first rung
        assert (scores[row["candidate"]] >= 2) == (
            row["candidate"] in goes_on({r["candidate"]: r["accuracy"] for r in rows[:5]}, 2)
        )
    assert [(epochs, done) for _, epochs, done in told] == [(1, 0)] * 5 + [(2, 1)] * 2 + [(4, 2)]
    metrics = tmp_path / "out" / "select" / "halving" / f"{found.winner:03d}" / "train" / "metrics.jsonl"
    epochs = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [row["epoch"] for row in epochs] == [1, 2, 3, 4]
    assert [row["validation_oa"] is not None for row in epochs] == [True, True, False, True]
    assert not list((tmp_path / "out").rglob(PATTERN))


# Agreement


def test_kendalls_tau_in_closed_form() -> None:
    assert kendall_tau([1, 2, 3, 4], [2, 4, 6, 8]).tau == 1
    assert kendall_tau([1, 2, 3, 4], [8, 6, 4, 2]).tau == -1
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]).tau == pytest.approx(4 / 6)  # one pair of six is turned
    # A tie: 5 pairs of a are told apart, 6 of b; 4 are in the same order and 1 in the reverse.
    assert kendall_tau([1, 1, 2, 3], [1, 2, 4, 3]).tau == pytest.approx((4 - 1) / sqrt(5 * 6))
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, (2, 15))
        assert kendall_tau(a, b, draws=1).tau == pytest.approx(stats.kendalltau(a, b).statistic)


def test_the_interval_is_that_of_resampled_candidates() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=25)
    b = a + rng.normal(size=25)
    found = kendall_tau(a, b, draws=400, seed=3)
    often = np.random.default_rng(3).multinomial(25, np.full(25, 1 / 25), size=400)
    by_hand = [kendall_tau(np.repeat(a, n), np.repeat(b, n), draws=1).tau for n in often]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(by_hand, (2.5, 97.5))))
    assert found.low < found.tau < found.high
    assert found.evidence and "no evidence" not in str(found)


def test_chance_is_no_evidence_and_a_ranking_of_one_value_is_none() -> None:
    rng = np.random.default_rng(0)
    verdicts = [kendall_tau(*rng.normal(size=(2, 24)), draws=300).evidence for _ in range(60)]
    assert sum(verdicts) <= 9  # about one in twenty; more than 9 of 60 has a chance of 1e-3
    assert "no evidence" in str(kendall_tau([1, 2, 3, 4], [2, 1, 4, 3]))
    flat = kendall_tau([1, 1, 1, 1], [1, 2, 3, 4])
    assert flat.to_json() == {"tau": None, "low": None, "high": None, "n": 4, "verdict": "no evidence"}
    assert [(row["a"], row["b"]) for row in agreements({"x": [1.0, 2.0], "y": [2.0, 1.0], "z": [1.0, 2.0]})] == [
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]


# Candidates


def test_candidates_are_different_and_keep_where_they_come_from(home: Path) -> None:
    searches = read_searches([home / "seed0", home / "seed1"])
    found = make_candidates(searches, 12, 0)
    assert len({one.genotype for one in found}) == len(found) == 12
    ends = [one for one in found if one.origin == "end"]
    assert [one.genotype for one in ends] == list(dict.fromkeys(search.found for search in searches))
    kinds = Counter(one.origin.split()[0] for one in found)
    assert kinds["sampled"] >= 5
    by_folder = {str(search.folder): dict(search.after_epochs()) for search in searches}
    for one in found:
        if one.origin.startswith("epoch"):
            assert by_folder[one.search][int(one.origin.split()[1])] == one.genotype
    assert found == make_candidates(searches, 12, 0)
    assert found != make_candidates(searches, 12, 1)


def test_random_candidates_cost_what_the_first_network_does_and_are_heard_whole(home: Path) -> None:
    searches = read_searches([home / "seed0", home / "seed1"])
    found = make_candidates(searches, 10, 0, random=4)
    drawn = [one.genotype for one in found if one.origin == "random"]
    sizes = {"bands": 3, "classes": 3, "patch_px": 8}
    target = genotype_cost(searches[0].found, **sizes).macs
    assert len(drawn) == 4 and len({one.genotype for one in found}) == len(found) == 10
    for genotype in drawn:
        assert abs(genotype_cost(genotype, **sizes).macs - target) <= 0.02 * target
        assert all(genotype.live_nodes)
        searches[0].require_own(genotype, Path("drawn"))


def test_random_candidates_keep_to_the_budget_that_the_first_network_exceeds(home: Path) -> None:
    searches = read_searches([home / "seed0"])
    space, sizes = searches[0].space, {"bands": 3, "classes": 3, "patch_px": 8}
    most = 0.8 * genotype_cost(searches[0].found, **sizes).macs
    budget = Budget("macs", most, CostTable.of(space, space.max_depth, *sizes.values()))
    found = make_candidates(searches, 6, 0, [budget], random=3)
    drawn = [one.genotype for one in found if one.origin == "random"]
    assert len(drawn) == 3 and all(genotype_cost(one, **sizes).macs <= most for one in drawn)
    with pytest.raises(
        UserError, match=r"^random: only \d+ of 400 different random cells .*; give --random \d+ or fewer"
    ):
        make_candidates(searches, 1000, 0, [budget], random=400)


def test_random_candidates_are_as_deep_as_a_search_that_did_not_search_for_depths(home: Path, tmp_path: Path) -> None:
    search_stage(config_of(home / "patches.npz", 0, search_depth=False, initial_depth=2), tmp_path / "two")
    found = make_candidates(read_searches([tmp_path / "two"]), 6, 0, random=5)
    assert {one.genotype.depths for one in found} == {(2, 2)}


def test_what_a_strategy_measured_comes_first_by_its_score(home: Path) -> None:
    (search,) = read_searches([home / "uniform"])
    lines = (home / "uniform" / "search" / "candidates.jsonl").read_text().splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: -row["score"])
    found = make_candidates([search], 4, 0)
    best = [Genotype.from_json(json.dumps(row["genotype"])) for row in rows]
    assert [one.genotype for one in found] == list(dict.fromkeys([search.found, *best]))[:4]
    assert [one.origin.split()[0] for one in found] == ["end", "measured", "measured", "measured"]


def test_a_search_is_sampled_by_what_it_believes(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(home / "seed0", folder)
    file = folder / "search" / "alpha.json"
    raw = json.loads(file.read_text())
    row = [0.0] * len(DARTS_OPERATIONS)
    row[DARTS_OPERATIONS.index("skip_connect")], row[DARTS_OPERATIONS.index("sep_conv_3x3")] = 0.25, 0.75
    raw["probabilities"] = [row] * len(raw["edges"])
    raw["depth_probabilities"] = [[0.9, 0.1], [0.0, 1.0]]
    file.write_text(json.dumps(raw))
    search, generator = FinishedSearch.read(folder), torch.Generator().manual_seed(0)
    drawn = [search.sample(generator) for _ in range(600)]
    # The first node has one edge, so that nothing is chosen among its edges.
    names = Counter(genotype.nodes[0][0][0] for genotype in drawn)
    assert set(names) == {"skip_connect", "sep_conv_3x3"}
    assert names["sep_conv_3x3"] / 600 == pytest.approx(0.75, abs=0.06)
    depths = Counter(genotype.depths for genotype in drawn)
    assert depths[1, 2] / 600 == pytest.approx(0.9, abs=0.05)
    assert depths[1, 2] + depths[2, 2] == 600
    guarded = replace(search.config.search, skip_limit="limit", skip_limit_edges=0)
    search = FinishedSearch(folder, replace(search.config, search=guarded), search.found)
    assert {name for _ in range(20) for edges in search.sample(generator).nodes for name, _ in edges} == {
        "sep_conv_3x3"
    }


def test_budgets_hold_for_every_candidate(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.selection.candidates.TRIES", 20)
    choice, folders = replace(QUICK, by=("parameters", "macs")), [home / "seed0", home / "seed1"]

    def within(most: float, name: str) -> list[dict[str, Any]]:
        config = config_in(home)
        limited = replace(config, search=replace(config.search, max_macs=most))
        return select_stage(limited, choice, folders, tmp_path / name).rows

    every = sorted(row["macs"] for row in within(0.0, "all"))
    limit = float(every[2])
    rows = within(limit, "some")
    assert max(row["macs"] for row in rows) <= limit < every[-1]
    for row in rows:
        genotype = Genotype.load(tmp_path / "some" / "select" / "genotypes" / f"{row['candidate']:03d}.json")
        cost = genotype_cost(genotype, 4, 3, 8)
        assert (cost.macs, cost.parameters) == (row["scores"]["macs"], row["scores"]["parameters"])
        if row["origin"] == "sampled":
            assert row["macs"] >= 0.95 * limit
    with pytest.raises(UserError, match="raise the limit"):
        within(10.0, "none")
    assert not (tmp_path / "none").exists()


# The whole


FILES = ("genotype.json", "select/table.jsonl", "select/ranks.json", "select/halving.jsonl")


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A selection by all rankings."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    select(home, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_whole_selection_has_every_score_and_takes_the_best_by_the_last(home: Path, whole: Path) -> None:
    rows = [json.loads(line) for line in (whole / "select" / "table.jsonl").read_text().splitlines()]
    assert [row["candidate"] for row in rows] == list(range(5))
    assert all(tuple(row["scores"]) == NAMES for row in rows)
    best = max(rows, key=lambda row: row["scores"]["halving"])
    assert json.loads((whole / "genotype.json").read_text()) == best["genotype"]
    ranks = json.loads((whole / "select" / "ranks.json").read_text())
    assert (ranks["holdout"], ranks["patches"], ranks["winner"]) == ("validation", 12, best["candidate"])
    assert len(ranks["agreements"]) == 21
    by_hand = kendall_tau([row["scores"]["macs"] for row in rows], [row["scores"]["halving"] for row in rows])
    assert {"a": "macs", "b": "halving"} | by_hand.to_json() in ranks["agreements"]
    assert {entry["verdict"] for entry in ranks["agreements"]} <= {"evidence", "no evidence"}


def test_a_selection_that_is_killed_goes_on_to_the_same_bytes(home: Path, whole: Path, tmp_path: Path) -> None:
    """Three times: while candidates are scored, and in both rungs."""
    for steps in (3, 32, 18):
        with pytest.raises(Killed):
            select(home, tmp_path / "out", resume=True, listener=Killer(steps))
        assert not (tmp_path / "out" / "genotype.json").exists()
    select(home, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(whole)


def test_what_is_scored_is_not_scored_again_and_rankings_can_be_added(home: Path, whole: Path, tmp_path: Path) -> None:
    class Refusing(Silent):
        def step(self, metrics: dict[str, float]) -> None:
            raise AssertionError("scored again")

    folder = tmp_path / "out"
    select(home, folder, replace(QUICK, by=("macs",)))
    select(home, folder, replace(QUICK, by=("macs",)), resume=True, listener=Refusing())
    both = ("macs", "synflow")
    found = select(home, folder, replace(QUICK, by=both), resume=True).rows
    before = [json.loads(line) for line in (whole / "select" / "table.jsonl").read_text().splitlines()]
    assert found == [row | {"scores": {name: row["scores"][name] for name in both}} for row in before]


def test_the_test_part_is_never_read(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = set(open_dataset(config_in(home).data).parts["test"].tolist())
    read: set[int] = set()
    original = ArraySource.batch

    def batch(self: ArraySource, indices: Any) -> Any:
        read.update(indices.tolist())
        return original(self, indices)

    monkeypatch.setattr(ArraySource, "batch", batch)
    select(home, tmp_path / "a", replace(QUICK, candidates=2, rungs=1))
    select(home, tmp_path / "b", replace(QUICK, candidates=2, rungs=1, holdout="random"))
    assert len(read) > 50 and not read & test


def test_a_random_holdout_is_cut_from_the_training_part(home: Path) -> None:
    held_out = held_out_of(home, replace(QUICK, holdout="random", holdout_fraction=0.25))
    train = held_out.data.parts["train"]
    assert len(held_out.rows) == round(0.25 * len(train))
    assert sorted([*held_out.rows, *held_out.train]) == sorted(train)
    assert set(held_out_of(home).rows) == set(held_out.data.parts["validation"])


MISTAKES: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("no search", {}, ["nowhere"], "nowhere: holds no search; name the folder of a finished"),
    ("twice", {}, ["seed0", "seed0"], "seed0: is named twice"),
    ("other space", {}, ["seed0", "wide"], "wide: differs from .*seed0 in space.channels"),
    ("other depths", {}, ["seed0", "shallow"], "leave `supernet` out of --by"),
    ("unfinished", {}, ["unfinished"], "its search has not ended"),
    ("no checkpoint", {}, ["bare"], "holds no checkpoint"),
    ("damaged table", {}, ["damaged"], "metrics.jsonl: line 1 is not a JSON object"),
    ("strange probabilities", {}, ["strange"], "alpha.json: not the probabilities of this search"),
    ("strange halves", {}, ["halved"], "splits.npz: not the rows of `weights`"),
    ("foreign genotype", {}, ["foreign"], "genotype.json: the network is outside the search space"),
]


@pytest.fixture(scope="module")
def broken(home: Path) -> Path:
    """Searches with something wrong about each."""
    for name in ("unfinished", "bare", "damaged", "strange", "halved", "foreign"):
        shutil.copytree(home / "seed0", home / name)
    (home / "unfinished" / "genotype.json").unlink()
    for file in (home / "bare" / "search").glob(PATTERN):
        file.unlink()
    (home / "damaged" / "search" / "metrics.jsonl").write_text("{\n")
    (home / "strange" / "search" / "alpha.json").write_text('{"probabilities": [[1]], "depth_probabilities": [[1]]}')
    np.savez(home / "halved" / "search" / "splits.npz", weights=np.array([0.5]))
    (home / "foreign" / "genotype.json").write_text(replace(CELL, channels=8).to_json())
    data = home / "patches.npz"
    search_stage(tiny_config(data, space=SMALL | {"channels": 6}, search={"epochs": 1}), home / "wide")
    search_stage(config_of(data, 0, epochs=1, search_depth=False, initial_depth=1), home / "shallow")
    return home


DAMAGED = [
    ("search/metrics.jsonl", "[1]", "line 1 is not a JSON object"),
    ("search/metrics.jsonl", '{"epoch": 1, "genotype_nodes": [], "derived_depths": [1, 1]}', "0 nodes"),
    (
        "search/metrics.jsonl",
        '{"epoch": "x", "genotype_nodes": NODES, "derived_depths": [1, 1]}',
        "`epoch` is missing in a row or not a whole number",
    ),
    ("search/metrics.jsonl", '{"epoch": 1, "genotype_nodes": NODES, "derived_depths": [9, 1]}', "a block has 9 cells"),
    ("search/candidates.jsonl", '{"candidate": 0, "genotype": {}}', "a score is missing"),
    ("search/candidates.jsonl", '{"candidate": 0, "score": 1, "genotype": {}}', "not a genotype"),
    ("search/alpha.json", '{"probabilities": [[NaN]]}', "not the probabilities"),
    ("search/alpha.json", "[", "not JSON"),
    ("search/splits.npz", "no archive", "not the rows of"),
    ("genotype.json", "{}", "not a genotype"),
    ("task.json", "{}", "must have the keys"),
]


@pytest.mark.parametrize(("name", "text", "said"), DAMAGED)
def test_a_damaged_search_is_one_line(name: str, text: str, said: str, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(home / "seed0", folder)
    nodes = json.dumps(json.loads((home / "seed0" / "genotype.json").read_text())["nodes"])
    (folder / name).write_text(text.replace("NODES", nodes))
    with pytest.raises(UserError, match=said) as told:
        select_stage(config_in(home), QUICK, [folder], tmp_path / "out")
    assert name in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("what", "choice", "names", "said"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_told_before_anything_is_written(
    what: str, choice: dict[str, Any], names: list[str], said: str, broken: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=said):
        select_stage(config_in(broken), replace(QUICK, **choice), [broken / name for name in names], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_searches_of_other_depths_can_be_ranked_without_the_supernet(broken: Path, tmp_path: Path) -> None:
    choice = replace(QUICK, by=("macs",))
    found = select_stage(config_in(broken), choice, [broken / "seed0", broken / "shallow"], tmp_path / "out")
    assert {Path(row["search"]).name for row in found.rows} == {"seed0", "shallow"}


def test_data_that_does_not_go_with_the_searches_is_refused(home: Path, tmp_path: Path) -> None:
    config, folders = config_in(home), [home / "seed0"]
    other = replace(config, data=replace(config.data, split="random"))
    with pytest.raises(UserError, match="trained on patches of this test part"):
        select_stage(other, QUICK, folders, tmp_path / "out")
    fewer = replace(config, data=replace(config.data, bands=("band1", "band2")))
    with pytest.raises(UserError, match="other bands or classes"):
        select_stage(fewer, QUICK, folders, tmp_path / "out")
    with np.load(home / "patches.npz") as arrays:
        kept = dict(arrays)
    kept["split"] = np.where(kept["split"] == "validation", "train", kept["split"])
    np.savez(tmp_path / "whole.npz", **kept)
    with pytest.raises(UserError, match=r"the validation part is empty; give data\.validation_fraction, or --holdout"):
        select_stage(
            replace(config, data=DataConfig(path=str(tmp_path / "whole.npz"))), QUICK, folders, tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_a_resumed_selection_asks_for_the_same(home: Path, tmp_path: Path) -> None:
    choice = replace(QUICK, by=("macs",))
    select(home, tmp_path / "out", choice)
    with pytest.raises(UserError, match="already has a select; resume it with --resume"):
        select(home, tmp_path / "out", choice)
    with pytest.raises(UserError, match="differs from the given options in candidates"):
        select(home, tmp_path / "out", replace(choice, candidates=4), resume=True)
    with pytest.raises(UserError, match="holds a search; name a new folder"):
        select(home, home / "seed0", choice)
    table = tmp_path / "out" / "select" / "table.jsonl"
    table.write_text(table.read_text().replace("sep_conv", "dil_conv"))
    with pytest.raises(UserError, match="in it is another network; name a new folder"):
        select(home, tmp_path / "out", choice, resume=True)


# The command


def test_the_command_selects_and_its_folder_can_be_trained(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = [str(home / "seed0"), str(home / "seed1")], str(tmp_path / "out")
    words = "--by synflow,macs --candidates 4 --initialisations 1 --max-macs 1G".split()
    assert main(["select", *runs, "--output", out, *words]) == 0
    said = capsys.readouterr().out
    assert "12 patches held out" in said
    assert max(map(len, said.splitlines()[:-1])) <= 80
    macs = [line.split()[-1] for line in said.splitlines() if " seed" in line]
    assert len(macs) == 4 and macs == sorted(macs, key=float, reverse=True)
    assert "synflow with macs: tau" in said
    assert f"selected: {out}/genotype.json" in said.replace("\n", "")
    assert main(["select", *runs, "--output", out, *words, "--resume", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["winner"]["scores"]["macs"] == found["winner"]["macs"]
    tiny = "--machine.device cpu --machine.threads 1 --train.epochs 1 --train.batch_size 16".split()
    data = ["--data.path", str(home / "patches.npz")]
    assert main(["train", "--model", out, *data, "--output", str(tmp_path / "trained"), *tiny]) == 0
    assert (tmp_path / "trained" / "genotype.json").read_bytes() == (tmp_path / "out" / "genotype.json").read_bytes()


def test_options_of_rankings_that_are_left_out_are_named_once(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(home / "seed0", tmp_path / "run")
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("complexity_weight: 0.01", "complexity_weight: 0.5"))
    words = ["select", str(run), "-o", str(tmp_path / "out"), *"--by macs --candidates 3 --max-macs 1G".split()]
    assert main([*words, *"--train.momentum 0.8 --epochs 2 --initialisations 2".split()]) == 0
    (said,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("note: "))
    assert said.startswith(
        "note: epochs, train.momentum: no effect, because only `halving` trains candidates, and --by"
    )
    assert "; initialisations: no effect, because only `synflow`, `naswot` and `gradnorm`" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("RUN", "name one with --output"),
        ("RUN --output OUT --by synflow,luck", "by: 'luck' is unknown; use some of supernet, synflow"),
        ("RUN --output OUT --by macs,macs", "name each ranking only once"),
        ("RUN --output OUT --eta 1", "eta: 1 is less than 2"),
        ("RUN --output OUT --holdout test", "--holdout"),
        ("RUN --output OUT --holdout-fraction 1", "--holdout-fraction: 1 is outside 0 to 1"),
        ("RUN --output OUT --holdout-fraction 0.3", "--holdout-fraction: has no effect, because the whole validation"),
        ("RUN --output OUT --train.epochs 3", "--train.epochs: has no effect, because `halving` sets the epochs"),
        ("RUN --output OUT --max-macs -1", "is not a budget"),
        ("nowhere --output OUT", "nowhere"),
        ("RUN --output OUT --machine.devices 2", "one device"),
    ],
)
def test_a_mistake_in_the_words_is_one_line(
    words: str, said: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(home / "seed0"), "OUT": str(tmp_path / "out")}
    assert main(["select", *(places.get(word, word) for word in words.split())]) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.out == "" and len(output.err.splitlines()) == 1, output.err
    assert not (tmp_path / "out").exists()
