"""A search that is loaded from its folder, and strategies and objectives that Python adds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import tiny_config, write_patches

import compactnas as cn
from compactnas.data import open_dataset
from compactnas.pipeline.running import search_stage
from compactnas.search.sampling import Draw


@pytest.mark.parametrize("strategy", ["gdas", "uniform"])
def test_a_loaded_search_concludes_what_it_found(tmp_path: Path, strategy: str) -> None:
    data = write_patches(tmp_path / "patches.npz")
    settings = {"strategy": strategy, "batch_size": 36, "candidates": 3}
    found = search_stage(tiny_config(data, space={"blocks": 1}, search=settings), tmp_path / "run")
    search = cn.load_search(tmp_path / "run")
    files = sorted(tmp_path.rglob("*"))
    assert cn.conclude(search) == found
    assert sorted(tmp_path.rglob("*")) == files


def test_a_loaded_search_has_the_halves_that_it_has_used(tmp_path: Path) -> None:
    """The data of a search may be a part of what its config opens: a find holds out a fold."""
    data = write_patches(tmp_path / "patches.npz")
    config = tiny_config(data, space={"blocks": 1}, search={"batch_size": 8})
    whole = open_dataset(config.data)
    few = replace(whole, parts={**whole.parts, "train": whole.parts["train"][::2]})
    search_stage(config, tmp_path / "run", data=few)
    loaded = cn.load_search(tmp_path / "run")
    used = np.concatenate([loaded.train_batches.indices, loaded.alpha_batches.indices])
    assert set(used.tolist()) <= set(few.parts["train"].tolist())
    fewer = write_patches(tmp_path / "fewer.npz", 24)
    with pytest.raises(cn.UserError, match=r"has 24 patches, but the search in .* read \d+ or more"):
        cn.load_search(tmp_path / "run", replace(config.data, path=str(fewer)))


def test_a_folder_without_a_search_is_an_error(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches.npz")
    search_stage(tiny_config(data, space={"blocks": 1}, search={"batch_size": 36}), tmp_path / "run")
    for file in (tmp_path / "run" / "search").glob("checkpoint-*"):
        file.unlink()
    with pytest.raises(cn.UserError, match="holds no checkpoint of a search"):
        cn.load_search(tmp_path / "run")


@dataclass(frozen=True)
class BetaDarts(cn.Strategy):
    """The mixture of DARTS with a loss of its own (Ye et al. 2022)."""

    def draw(self, architecture: cn.Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        return cn.Darts().draw(architecture, tau, generator, gradient=gradient)

    def penalty(self, architecture: cn.Architecture, draw: Draw, progress: float) -> torch.Tensor:
        return 50 * progress * architecture.alpha.logsumexp(dim=-1).mean()


def test_a_strategy_with_a_loss_of_its_own_is_added_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cn.STRATEGIES, "_entries", dict(cn.STRATEGIES._entries))
    cn.STRATEGIES.add("beta_darts_of_a_test", BetaDarts)
    data = write_patches(tmp_path / "patches.npz")
    settings = {"strategy": "beta_darts_of_a_test", "batch_size": 12, "depth_mode": "sample"}
    assert search_stage(tiny_config(data, space={"blocks": 1}, search=settings), tmp_path / "run").is_connected
    rows = [json.loads(line) for line in (tmp_path / "run/search/metrics.jsonl").read_text().splitlines()]
    assert 0 < rows[0]["penalty"] < rows[1]["penalty"]
