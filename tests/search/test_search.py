"""The search as a whole: every setting, the same bytes twice, and the same bytes after a resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.tiny import Killed, Killer, new_search, tiny_config, write_patches

from compactnas.errors import UserError
from compactnas.pipeline.running import search_stage
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.training.runtime import Silent

OUTPUTS = ("search/metrics.jsonl", "search/alpha.json", "genotype.json", "splits.npz", "search/splits.npz")


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


SMALL: dict[str, object] = {"nodes": 3, "blocks": 2}
SMALL_OF: dict[str, dict[str, object]] = {
    "paper": SMALL,
    "lean": SMALL,
    "nasnet": {"blocks": 2, "operations": ("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3")},
    "mobile": {"blocks": 2},
}
"""Layout -> a space of few operations; settings work alike in spaces of any size."""

SETTINGS: list[dict[str, object]] = [
    {"complexity": False, "search_depth": False},
    {"complexity": True, "search_depth": False},
    {"complexity": False, "search_depth": True},
    {"complexity": True, "search_depth": True},
    {"depth_mode": "sample"},
    {"depth_mode": "sample", "sampled_inputs": 2},
    {"unsampled_gradient": "published", "unsampled_weights": "decay"},
    {"complexity_probability": "gumbel", "complexity_depth": "sampled", "complexity_operations": "cell"},
    {"complexity_probability": "one_hot", "complexity_depth": "derived", "augment": "dihedral"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()))
def test_every_setting_gives_a_genotype_twice_the_same(
    patches: Path, tmp_path: Path, settings: dict[str, object]
) -> None:
    config = tiny_config(patches, space=SMALL, search=settings)
    found = [search_stage(config, tmp_path / name) for name in ("a", "b")]
    assert found[0] == found[1] == Genotype.load(tmp_path / "a")
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    assert search_stage(replace(config, seed=1), tmp_path / "c")
    assert outputs(tmp_path / "c")["search/metrics.jsonl"] != outputs(tmp_path / "a")["search/metrics.jsonl"]
    if not config.search.search_depth:
        assert found[0].depths == (2, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_resumed_search_ends_with_the_same_bytes(patches: Path, tmp_path: Path, layout: str) -> None:
    space = SMALL_OF.get(layout, {})
    config = tiny_config(patches, layout=layout, space=space, search={"epochs": 3, "batch_size": 15})
    search_stage(config, tmp_path / "whole")

    with pytest.raises(Killed):
        search_stage(config, tmp_path / "cut", listener=Killer(3))  # in the middle of the second epoch
    assert not (tmp_path / "cut" / "genotype.json").exists()
    search_stage(config, tmp_path / "cut", resume=True)
    assert outputs(tmp_path / "cut") == outputs(tmp_path / "whole")


def test_the_halves_are_disjoint_and_cover_the_training_part(patches: Path, tmp_path: Path) -> None:
    import numpy as np

    search_stage(tiny_config(patches, space=SMALL, search={"epochs": 1}), tmp_path / "run")
    parts = np.load(tmp_path / "run" / "splits.npz")
    both = np.load(tmp_path / "run" / "search" / "splits.npz")
    rows = np.concatenate([both["weights"], both["architecture"]])
    assert sorted(rows) == sorted(parts["train"])
    assert len(set(rows)) == len(rows)


def test_each_half_step_moves_only_its_own_side(patches: Path) -> None:
    search = new_search(patches)
    x, y = next(iter(search.train_batches.epoch(0)))
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    alpha = search.architecture.alpha.detach().clone()
    search.bilevel.weight_step(x, y, 5.0, 0.025)
    assert torch.equal(alpha, search.architecture.alpha)
    moved = [not torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True)]
    assert any(moved) and not all(moved)  # what did not run stays, without decay
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    search.bilevel.alpha_step(x, y, 5.0)
    assert not torch.equal(alpha, search.architecture.alpha)
    assert all(torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True))
    assert all(p.requires_grad for p in search.bilevel.parameters)


def test_decay_goes_on_for_weights_that_did_not_run_where_asked(patches: Path) -> None:
    search = new_search(patches, unsampled_weights="decay")
    x, y = next(iter(search.train_batches.epoch(0)))
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    search.bilevel.weight_step(x, y, 5.0, 0.025)
    assert all(
        not torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True) if a.abs().sum() > 0
    )


def test_the_temperature_falls_linearly(patches: Path) -> None:
    search = new_search(patches, epochs=10)
    assert [search.tau(epoch) for epoch in (0, 3, 9)] == pytest.approx([10.0, 7.0, 1.0])


def test_the_architecture_stands_still_while_the_weights_warm_up(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, space=SMALL, search={"epochs": 3, "warmup": 2})
    search_stage(config, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run/search/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["entropy"] == rows[1]["entropy"] != rows[2]["entropy"]
    assert "loss_alpha" not in rows[1] and "loss_alpha" in rows[2]
    assert rows[0]["loss_weights"] != rows[1]["loss_weights"]


def test_a_search_that_stands_still_stops(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, space=SMALL, search={"epochs": 9, "alpha_learning_rate": 1e-9, "stop_after": 2})
    search_stage(config, tmp_path / "run")
    assert len((tmp_path / "run/search/metrics.jsonl").read_text().splitlines()) == 3


def test_the_complexity_loss_makes_networks_cheaper(patches: Path, tmp_path: Path) -> None:
    """With a great weight nothing but the cost counts."""
    settings = {"epochs": 12, "complexity_weight": 1000.0, "search_depth": False}
    config = tiny_config(patches, space=SMALL, search=settings)
    search_stage(config, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run/search/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["expected_macs"] < 0.8 * rows[0]["expected_macs"]


def test_a_folder_is_not_searched_twice_nor_resumed_with_another_config(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, space=SMALL)
    search_stage(config, tmp_path / "run")
    with pytest.raises(UserError, match="already has a search; resume it with --resume"):
        search_stage(config, tmp_path / "run")
    with pytest.raises(UserError, match=r"differs from the given config in search\.epochs"):
        search_stage(replace(config, search=replace(config.search, epochs=5)), tmp_path / "run", resume=True)


def test_max_steps_says_what_the_whole_would_take(patches: Path, tmp_path: Path) -> None:
    heard: list[str] = []

    class Ear(Silent):
        def warn(self, text: str) -> None:
            heard.append(text)

    config = tiny_config(patches, space=SMALL, search={"max_steps": 3, "epochs": 100})
    search_stage(config, tmp_path / "run", listener=Ear())
    assert any("after 3 steps" in text and "100 epochs" in text and "GiB" in text for text in heard)
