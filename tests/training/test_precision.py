"""Mixed precision: what computes in 16 bits, what must not, and that fp16's scale reaches no result.

bf16 runs here on the CPU. fp16 is for CUDA; its logic is tested on the CPU with fabric's own plugin and a scaler.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from safetensors.torch import load_file
from support.ddp_worker import FOUND
from support.tiny import tiny_config, write_patches

from compactnas.config import MachineConfig, RunConfig
from compactnas.data import halves, measure_normalization, open_dataset
from compactnas.distributed.process_group import SINGLE_PROCESS
from compactnas.distributed.sync_layers import GlobalBatchNorm
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.registry import normalise_of
from compactnas.pipeline.running import run
from compactnas.runs.checkpoints import Checkpoints
from compactnas.search.searcher import SearchData, Searcher
from compactnas.training.runtime import make_fabric
from compactnas.training.trainer import Training

FIRST, NEAR = 0.01, 0.2
"""Of the first loss, and of the first few, relative, against 32 bits: bf16 has 8 bits of a number, and each step's
rounding is part of the next."""

ALONG = {"bf16-mixed": 0.8, "16-mixed": 0.97}
"""Cosine between alpha's gradients: each is a difference of large sums that nearly cancel, behind a batch norm."""


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def fabric_of(precision: str, scale: float = 2.0**10) -> Fabric:
    """A machine on the CPU, also for fp16."""
    if precision != "16-mixed":
        return make_fabric(MachineConfig(device="cpu", threads=1, precision=precision))  # type: ignore[arg-type]
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])


def new_search(patches: Path, fabric: Fabric, layout: str = "paper", **settings: object) -> Searcher:
    search = {"batch_size": 8} | settings
    config = tiny_config(patches, layout=layout, space={"blocks": 2}, search=search)  # type: ignore[arg-type]
    data = open_dataset(config.data)
    normalisation = measure_normalization(data.source, data.parts["train"])
    parts = halves(data.parts["train"], 0)
    searched = SearchData(data.source, parts, normalisation)
    return Searcher(config.space, config.search, searched, fabric, seed=0, channels_last=True)


def new_training(patches: Path, fabric: Fabric, **settings: object) -> Training:
    config = tiny_config(patches, train=settings)
    data = open_dataset(config.data)
    torch.manual_seed(0)
    network = Network(FOUND, len(data.source.facts.bands), len(data.source.facts.classes))
    normalisation = measure_normalization(data.source, data.parts["train"])
    normalise_of(network).set(normalisation.mean, normalisation.std)
    parts = data.parts["train"], data.parts["validation"]
    return Training(network, config.train, data.source, *parts, 0, fabric, channels_last=True)


def losses(stage: Searcher | Training) -> list[float]:
    return [result.shown["loss"] for result in stage.run_epoch(0)]


def require_near(narrow: list[float], wide: list[float]) -> None:
    assert narrow[0] == pytest.approx(wide[0], rel=FIRST)
    assert narrow == pytest.approx(wide, rel=NEAR)


@pytest.mark.parametrize(("layout", "depth_mode"), [("paper", "sample"), ("nasnet", "mixture")])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_search_in_16_bits_is_near_to_32(patches: Path, layout: str, depth_mode: str, precision: str) -> None:
    settings: dict[str, object] = {"depth_mode": depth_mode, "learning_rate": 0.005, "batch_size": 15}
    wide = new_search(patches, fabric_of("32-true"), layout, **settings)
    narrow = new_search(patches, fabric_of(precision), layout, **settings)
    before = wide.architecture.alpha.detach().clone()
    require_near(losses(narrow), losses(wide))
    assert not torch.equal(before, narrow.architecture.alpha)
    for p in (*narrow.supernet.parameters(), *narrow.architecture.parameters()):
        assert p.dtype == torch.float32 and bool(p.isfinite().all())


@pytest.mark.parametrize("layout", ["paper", "nasnet"])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_alphas_gradient_in_16_bits_points_where_it_points_in_32(patches: Path, layout: str, precision: str) -> None:
    gradients = []
    for one in ("32-true", precision):
        search = new_search(patches, fabric_of(one, scale=2.0**12), layout, complexity=False, batch_size=30)
        x, y = next(iter(search.alpha_batches.epoch(0)))
        search.bilevel.alpha_step(x, y, 5.0)
        gradient = torch.cat([p.grad.flatten() for p in search.bilevel.choices if p.grad is not None])
        gradients.append(gradient)  # after the step it is unscaled
    assert torch.cosine_similarity(*gradients, dim=0) > ALONG[precision]
    assert float(gradients[1].norm() / gradients[0].norm()) == pytest.approx(1, abs=0.3)


# Nadam's first steps are as long for a gradient of rounding alone as for any other: shorter ones keep both together.
@pytest.mark.parametrize(("optimizer", "learning_rate"), [("sgd", 0.002), ("nadam", 0.001)])
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_a_training_in_16_bits_is_near_to_32(
    patches: Path, precision: str, optimizer: str, learning_rate: float
) -> None:
    settings: dict[str, object] = {"learning_rate": learning_rate, "optimizer": optimizer}
    wide, narrow = (new_training(patches, fabric_of(one), **settings) for one in ("32-true", precision))
    require_near(losses(narrow), losses(wide))
    for ours, theirs in zip(narrow.network.buffers(), wide.network.buffers(), strict=True):
        if ours.is_floating_point():
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.02)


def test_raw_values_keep_their_digits_and_losses_are_32_bits_wide(patches: Path) -> None:
    """Reflectances of Sentinel-2 are stored up to 65535, more than fp16 holds: they are normalised first."""
    search = new_search(patches, fabric_of("bf16-mixed"))
    seen: dict[str, torch.Tensor] = {}
    search.supernet.normalise.register_forward_hook(
        lambda module, inputs, output: seen.update(raw=inputs[0], to=output)
    )
    x, y = next(iter(search.train_batches.epoch(0)))
    loss, hits = search.bilevel.weight_step(x, y, 5.0, 0.01)
    assert seen["raw"] is x and seen["to"].dtype == torch.float32
    assert loss.dtype == hits.dtype == torch.float32
    gradients = [p.grad for p in search.bilevel.parameters if p.grad is not None]
    assert gradients and all(g.dtype == torch.float32 for g in gradients)


def test_gradients_are_clipped_at_their_true_size(patches: Path) -> None:
    """Scaled, each gradient is above every limit."""
    norms = []
    for precision in ("32-true", "16-mixed"):
        training = new_training(patches, fabric_of(precision), gradient_clip=0.5)
        before = [p.detach().clone() for p in training.parameters]
        next(training.run_epoch(0))
        grad = torch.stack([p.grad.norm() for p in training.parameters if p.grad is not None]).norm()
        moved = torch.stack([(a - b.detach()).norm() for a, b in zip(before, training.parameters, strict=True)]).norm()
        assert float(grad) == pytest.approx(0.5, rel=1e-3)
        norms.append(float(moved))
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


def test_a_step_that_overflows_is_left_out_and_the_scale_falls(patches: Path) -> None:
    search = new_search(patches, fabric_of("16-mixed", scale=2.0**40))
    x, y = next(iter(search.train_batches.epoch(0)))
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    search.bilevel.weight_step(x, y, 5.0, 0.01)
    assert all(torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True))
    scaler: Any = search.fabric.strategy.precision
    assert scaler.state_dict()["scale"] == 2.0**39
    state = search.state()
    assert state["scaler"]["scale"] == 2.0**39
    other = new_search(patches, fabric_of("16-mixed"))
    other.restore(state)
    assert other.fabric.strategy.precision.state_dict()["scale"] == 2.0**39


def with_precision(patches: Path, precision: str, **train: object) -> RunConfig:
    config = tiny_config(patches, space={"nodes": 3, "blocks": 2}, train=train)
    return replace(config, machine=replace(config.machine, precision=precision))


def test_a_whole_run_in_bf16_writes_32_bits(patches: Path, tmp_path: Path) -> None:
    evaluation = run(with_precision(patches, "bf16-mixed", epochs=12), tmp_path / "run")
    assert evaluation.measures.oa > 0.5  # chance is 0.33
    weights = load_file(tmp_path / "run" / "model.safetensors")
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float32}
    saved, _ = Checkpoints(tmp_path / "run" / "search", 2).newest()
    assert saved is not None and saved["state"]["architecture"]["alpha"].dtype == torch.float32
    rows = [json.loads(line) for line in (tmp_path / "run/train/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_fp16_without_cuda_is_one_line(patches: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="16-mixed needs CUDA, not cpu; use bf16-mixed or 32-true"):
        run(with_precision(patches, "16-mixed"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_batch_norm_over_processes_sums_in_32_bits(dtype: torch.dtype) -> None:
    """4096 values of one and a little: a sum in 16 bits would stop growing at 256."""
    x = (1 + 0.1 * torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))).to(dtype)
    norm = torch.nn.BatchNorm2d(3)
    ours = GlobalBatchNorm(torch.nn.BatchNorm2d(3), SINGLE_PROCESS)
    found, wanted = (module(x.clone().requires_grad_()) for module in (ours, norm))
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02)
    torch.testing.assert_close(ours.running_var, norm.running_var, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fp16: needs CUDA")
def test_a_whole_run_in_fp16(patches: Path, tmp_path: Path) -> None:
    config = with_precision(patches, "16-mixed", epochs=12)
    evaluation = run(replace(config, machine=replace(config.machine, device="cuda")), tmp_path / "run")
    assert evaluation.measures.oa > 0.5
