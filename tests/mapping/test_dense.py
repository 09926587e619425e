"""The dense mode of maps: shared features, what is learnt of them, and the cells that are judged alone after all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compactnas.errors import UserError
from compactnas.exporting.engines import TorchEngine
from compactnas.mapping import dense, levels
from compactnas.mapping.blocks import Block
from compactnas.mapping.boundary_correction import learn
from compactnas.mapping.exact import Exact
from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.levels import FRAMES, LevelMap, levels_of, window_means
from compactnas.mapping.shared_maps import Shared
from compactnas.nn.baselines import BASELINES
from compactnas.nn.network import Network
from compactnas.nn.normalise import Normalise
from compactnas.nn.stages import Stages
from compactnas.nn.state import State
from compactnas.runs.task import Task
from compactnas.space.genotype import Genotype

BANDS, CLASSES, WINDOW, STEP = 4, 3, 32, 10
CELL = ((("sep_conv_3x3", 0),), (("avg_pool_3x3", 0), ("max_pool_3x3", 1)), (("dil_conv_3x3", 2), ("skip_connect", 0)))
PAIR = tuple((("sep_conv_3x3", 0), ("max_pool_3x3", 1)) for _ in range(4))
CHAIN = ((("mb_k3_e2", 0),), (("mb_k5_e1", 1),), (("fused_k3_e2", 2),))
SHALLOW = Genotype(((("skip_connect", 0),),), (1, 1), channels=4)  # an output pixel depends on 4 px around


def network_of(name: str) -> nn.Module:
    """A network with weights and running averages that are not those of a fresh one."""
    torch.manual_seed(1)
    genotypes = {
        "paper": Genotype(CELL, (1, 2, 1), channels=4),
        "lean": Genotype(CELL, (1, 2, 1), channels=4, layout="lean"),
        "nasnet": Genotype(PAIR, (1, 1, 2), channels=4, layout="nasnet"),
        "mobile": Genotype(CHAIN, (1, 1, 1), channels=4, layout="mobile"),
        "shallow": SHALLOW,
    }
    network = Network(genotypes[name], BANDS, CLASSES) if name in genotypes else BASELINES[name].build(BANDS, CLASSES)
    with torch.no_grad():
        network.train()
        for _ in range(5):
            network(torch.rand(16, BANDS, WINDOW, WINDOW))
    return network.eval()


def scene(rows: int, columns: int) -> np.ndarray:
    """Pixels in which neighbouring windows are alike and distant ones are not."""
    down, across = np.mgrid[:rows, :columns]
    waves = [np.sin(down / (9 + 5 * band)) * np.cos(across / (31 - 6 * band)) for band in range(BANDS)]
    noise = np.random.default_rng(0).normal(0, 0.05, (BANDS, rows, columns))
    return (0.5 + 0.4 * np.stack(waves) + noise).astype(np.float32)


def block_of(pixels: np.ndarray, valid: np.ndarray | None = None) -> Block:
    shape = tuple((side - WINDOW) // STEP + 1 for side in pixels.shape[1:])
    valid = np.ones(pixels.shape[1:], np.bool_) if valid is None else valid
    return Block(pixels, valid, np.ones(shape, np.bool_), STEP, WINDOW)


def tiles_from(pixels: np.ndarray) -> list[Block]:
    """Tiles of a sample, from the whole scene."""
    places = [(row * STEP, column * STEP) for row in range(0, 25, 6) for column in range(0, 25, 4)]
    side = (dense.TILE - 1) * STEP + WINDOW
    return [block_of(np.ascontiguousarray(pixels[:, top : top + side, left : left + side])) for top, left in places]


def exact_of(network: nn.Module) -> Exact:
    names = tuple(f"band {i}" for i in range(BANDS)), tuple(f"class {i}" for i in range(CLASSES))
    return Exact(TorchEngine(Task(*names, WINDOW, False), network), 64)


@pytest.mark.parametrize("name", ["paper", "nasnet", "mobile", "resnet8", "resnet20"])
def test_a_window_that_is_the_whole_strip_gets_the_networks_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "FRAMES", (0,))  # there are no pixels around
    network, pixels = network_of(name), scene(WINDOW, WINDOW)
    shared, corner = Shared.of(network), np.zeros(1)
    found = shared.own_logits(window_means(shared.maps(pixels), corner, corner, WINDOW))
    with torch.inference_mode():
        wanted = network(torch.from_numpy(pixels)[None]).numpy()
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_means_are_those_of_the_pixels_with_shares_of_those_that_are_cut(stride: int) -> None:
    """Against plain means over a map in which each pixel is repeated, so that no window cuts one."""
    values = np.random.default_rng(0).random((3, 128 // stride, 160 // stride)).astype(np.float32)
    rows, columns = np.array([16.0, 26, 36]), np.array([16.0, 26, 86])
    found = window_means([LevelMap(values, stride)], rows, columns, WINDOW)
    large = values.repeat(stride, axis=1).repeat(stride, axis=2).astype(np.float64)
    for i, row in enumerate(rows.astype(int)):
        for j, column in enumerate(columns.astype(int)):
            wanted = [
                large[:, row + f : row + WINDOW - f, column + f : column + WINDOW - f].mean((1, 2))
                for f in (frame * stride for frame in FRAMES)
            ]
            np.testing.assert_allclose(found[i, j], np.concatenate(wanted), rtol=1e-5)


def test_parts_of_a_block_have_the_features_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, block = Shared.of(network_of("shallow")), block_of(scene(62, 232))
    whole = dense.features(shared, block)
    monkeypatch.setattr(dense, "COLUMNS", 4)
    parts = dense.features(shared, block)
    lower = dense.features(shared, block_of(block.pixels[:, 20:]))
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(lower[1:], whole[3:], rtol=1e-4, atol=1e-5)  # a first row stands at the mirrored border


class Pointwise(nn.Module):
    """A network of 1x1 convolutions, which sees no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise(BANDS)
        self.convolutions = nn.Sequential(nn.Conv2d(BANDS, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU())
        self.linear = nn.Linear(8, CLASSES)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.convolutions(self.normalise(x))
        return found

    def stages(self) -> Stages:
        def enter(x: torch.Tensor) -> list[State]:
            return [State(self.forward_features(x))]

        return Stages(self.normalise, enter, (lambda states: states,), lambda x: x, self.linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(self.forward_features(x).mean((2, 3)))
        return found


def test_a_network_without_padding_gets_the_exact_map_without_doubt() -> None:
    torch.manual_seed(2)
    network, pixels = Pointwise().eval(), scene(332, 332)
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels).unfold(1, 32, 50).unfold(2, 32, 50).flatten(1, 2).transpose(0, 1))
        network.linear.bias -= logits.mean(dim=0)
        for parameter in network.linear.parameters():
            parameter *= 5 / logits.std()
    shared, exact = Shared.of(network), exact_of(network)
    correction = dense.learn_correction(shared, exact, tiles_from(pixels))
    assert correction is not None and correction.alone == 0 and correction.agreement == 1
    block = block_of(pixels)
    found, wanted = dense.Dense(shared, exact, correction)(block), exact(block)
    assert len(np.unique(wanted.argmax(-1))) == CLASSES
    np.testing.assert_array_equal(found.argmax(-1), wanted.argmax(-1))
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_network_that_is_no_map_of_maps_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="--mode dense: Sen2LCZ-Net-MF classifies the maps of several levels"):
        levels_of(BASELINES["sen2lcz_mf"].build(BANDS, CLASSES))
    with pytest.raises(UserError, match="--mode dense: the poolings of Sen2LCZ-Net drop"):
        levels_of(BASELINES["sen2lcz"].build(BANDS, CLASSES))
    with pytest.raises(UserError, match="--mode dense: this network normalises each window by itself"):
        levels_of(network_of("lean"))


def test_doubt_is_as_wide_as_the_agreement_needs() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3000, 6, generator=generator)
    logits = features @ torch.randn(6, CLASSES, generator=generator)
    noisy = features + 0.2 * torch.randn(3000, 6, generator=generator)
    own = 0.5 * logits + torch.randn(1, CLASSES, generator=generator)
    learnt, unseen = slice(0, 1500), slice(1500, 3000)
    shares = []
    for agreement in (0.5, 0.95, 0.99):
        correction = learn(noisy[learnt], logits[learnt], own[learnt], torch.arange(1500) // 25, agreement)
        probabilities, doubt = correction(noisy[unseen], own[unseen])
        same = probabilities.argmax(dim=-1) == logits[unseen].argmax(dim=-1)
        assert correction.agreement >= agreement
        assert float((same | doubt).float().mean()) > agreement - 0.01
        shares.append(float(doubt.float().mean()))
    assert shares[0] == 0 and 0 < shares[1] < shares[2] < 0.5
    clean = learn(features[learnt], logits[learnt], own[learnt], torch.arange(1500) // 25, 0.99)
    assert clean.alone == 0 and clean.agreement > 0.99


@pytest.fixture(scope="module")
def learnt() -> tuple[dense.Dense, Exact]:
    """A dense mode that learnt from a made scene."""
    network, pixels = network_of("resnet8"), scene(332, 332)
    shared, exact = Shared.of(network), exact_of(network)
    with torch.no_grad():  # classes about as frequent, and far apart
        logits = network(torch.from_numpy(pixels).unfold(1, 32, 50).unfold(2, 32, 50).flatten(1, 2).transpose(0, 1))
        network.head.bias -= logits.mean(dim=0)
        for parameter in network.head.parameters():
            parameter *= 5 / logits.std()
    tiles = tiles_from(pixels)
    correction = dense.learn_correction(shared, exact, tiles)
    assert correction is not None
    assert dense.learn_correction(shared, exact, tiles[:3]) is None
    return dense.Dense(shared, exact, correction), exact


def test_most_cells_get_the_class_of_the_exact_mode(learnt: tuple[dense.Dense, Exact]) -> None:
    mode, exact = learnt
    block = block_of(np.ascontiguousarray(scene(332, 332)[:, 100:262, 30:292]))
    found, wanted = mode(block), exact(block)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-4)
    assert len(np.unique(wanted.argmax(-1))) > 1
    assert (found.argmax(-1) == wanted.argmax(-1)).mean() > 0.97


def test_cells_in_doubt_and_those_with_pixels_that_are_not_valid_are_judged_alone(
    learnt: tuple[dense.Dense, Exact],
) -> None:
    mode, exact = learnt
    pixels = scene(92, 92)
    valid = np.ones(pixels.shape[1:], np.bool_)
    valid[40:44, 50:60] = False
    pixels[:, ~valid] = np.nan
    block = block_of(pixels, valid)
    touched = ~block.valid_windows().all(axis=(2, 3))
    found, wanted = mode(block), exact(block)
    assert touched.any() and not touched.all()
    np.testing.assert_array_equal(found[touched], wanted[touched])
    assert np.isfinite(found).all()
    wary = replace(mode, correction=replace(mode.correction, least_margin=2.0))
    np.testing.assert_array_equal(wary(block), wanted)


def test_tiles_of_the_sample_lie_inside_and_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "USUAL_TILES", 48)

    def asked(grid: Grid) -> list[CellRectangle]:
        cells: list[CellRectangle] = []

        def read(wanted: CellRectangle) -> Block:
            cells.append(wanted)
            side, holes = (dense.TILE - 1) * STEP + WINDOW, wanted.column < 30
            return block_of(np.zeros((1, side, side), np.float32), np.full((side, side), not holes))

        tiles = list(dense.sample(read, grid))
        assert all(tile.valid.all() for tile in tiles)
        assert len(tiles) == sum(wanted.column >= 30 for wanted in cells) <= dense.USUAL_TILES
        return cells

    grid = Grid(60, 90, STEP, WINDOW, 0)
    cells = asked(grid)
    assert sum(wanted.column >= 30 for wanted in cells) == dense.USUAL_TILES < len(cells) == len(set(cells))
    assert all(one.row + one.rows <= grid.rows and one.column + one.columns <= grid.columns for one in cells)
    assert asked(grid) == cells
    assert not asked(Grid(6, 90, STEP, WINDOW, 0))


def test_a_map_is_made_in_the_dense_mode(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    from support.map_files import job, numbers, read_map, write_model, write_scene

    from compactnas.mapping.config import MapConfig, Outputs
    from compactnas.mapping.mapping import make_map

    model, warned = write_model(tmp_path / "run"), []
    for name, side in (("large", 400), ("small", 96)):
        file = write_scene(tmp_path / f"{name}.tif", numbers(side, side))
        for mode in ("exact", "dense"):
            what = job(model, file, config=MapConfig(mode=mode))
            make_map(what, tmp_path / f"{name} {mode}", Outputs(name="map"), lambda done, total: None, warned.append)
    large = [read_map(tmp_path / f"large {mode}", "map_lcz.tif") for mode in ("exact", "dense")]
    assert large[0].size == 1600 and len(np.unique(large[0])) > 3
    assert (large[0] == large[1]).mean() > 0.94  # a small scene whose character changes from side to side
    small = [read_map(tmp_path / f"small {mode}", "map_lcz.tif") for mode in ("exact", "dense")]
    np.testing.assert_array_equal(*small)
    assert any("will be judged alone" in text for text in warned)
    assert any("too few neighbourhoods" in text for text in warned)
