"""Random search with the work of a search, as a control that shows whether the search was worth its time.

It draws candidates with the cost of the searched network, trains them for a few epochs on D_T and measures them on D_V,
until it has done as much work as the searches. The best on D_V is selected, as the best search is. Work is counted in
multiply-accumulates and elements of maps, not timed, so that a busy machine does not change the result. The seconds of
both are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from compactnas.config import RunConfig, SearchConfig
from compactnas.cost.counter import ELEMENT_MACS, count, count_elements, genotype_cost, work
from compactnas.cost.layer_costs import LayerCosts
from compactnas.cost.table import CostTable, each_operation, measure_bare
from compactnas.data import Dataset, cut_halves, measure_normalization
from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.runs.checkpoints import remove_checkpoints
from compactnas.runs.folder import start, write_splits
from compactnas.runs.seconds import FILE as SECONDS
from compactnas.runs.seconds import add_seconds, read_seconds
from compactnas.search.perturbation import mixture_passes
from compactnas.search.random_genotype import random_like
from compactnas.search.sampling import DRAWN_WIDTHS
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategy import BACKWARD_TO_MAPS, BACKWARD_TO_WEIGHTS, FORWARD
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space
from compactnas.training.runtime import Listener, make_fabric
from compactnas.training.trainer import Training

TRAINING = FORWARD + BACKWARD_TO_WEIGHTS + BACKWARD_TO_MAPS
"""Number of passes over a network in a step that trains its weights."""

REDRAWS = 50
"""Number of draws in a row without a new candidate after which the space counts as exhausted."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data that a network's cost depends on."""

    bands: int
    classes: int
    patch_px: int


def search_work(rows: Sequence[Row], config: SearchConfig, space: Space, sizes: Sizes, patches: int) -> float:
    """Compute the work that a search did from its metrics, in the unit of `compactnas.cost.counter.work`.

    A mixture of depths runs all built cells. The expected MACs of a sampled path are therefore scaled from the expected
    depths to the built ones, as if the cells of all blocks cost the same. The elements that an edge writes are the mean
    over the operations if one of them runs, else the sum. Searched widths count as equally likely.

    Args:
        rows: Metrics of the search, one row for each epoch.
        config: Config of the search.
        space: Space of the search.
        sizes: Sizes of the data.
        patches: Number of patches in the half of the training part that a search steps through.
    """
    once, given = (1,) * space.blocks, (sizes.bands, sizes.classes, sizes.patch_px)
    fixed = measure_bare(space, given, lambda module, bands, px: count(module, bands, px).macs, once)
    fixed_elements = measure_bare(space, given, count_elements, once)
    inputs = space.edges_into
    strategy = STRATEGIES[config.strategy]
    single, selects = strategy.single_path and strategy.learns_alpha, not strategy.learns_alpha
    kept = (space.inputs_per_node if selects else config.sampled_inputs) or max(inputs)
    residual = space.layout_of.residual  # a layer runs one row of alpha, a cell all of them
    edges, rows_of_alpha = (1, 1) if residual else (sum(min(number, kept) for number in inputs), len(space.edges))
    run = 1.0 if single or selects else float(len(space.operations))
    elements_of = each_operation(space, sizes.patch_px, count_elements)
    if not single and NONE in space.operations:  # `none` writes nothing in a mixture, and paths of kept edges lack it
        elements_of[:, space.operations.index(NONE)] = 0
        if selects and space.inputs_per_node:
            run = len(space.operations) / (len(space.operations) - 1)
    cell_elements = edges * run * elements_of.mean(dim=1)
    if residual:
        reductions = LayerCosts.of(space, sizes.patch_px, count_elements).reductions
        fixed_elements += run * float(reductions.mean(dim=1).sum())
    built = [float(space.max_depth if config.search_depth else config.initial_depth)] * space.blocks
    size = min(config.batch_size, patches)
    table = CostTable.of(space, int(max(built)), sizes.bands, sizes.classes, sizes.patch_px)
    widths = 1.0
    if space.widths:
        table = table.at(torch.full((space.blocks, len(space.widths)), 1 / len(space.widths), dtype=torch.float64))
        fixed, widths = float(table.fixed), 1.0 if selects else float(DRAWN_WIDTHS)
        share = sum(space.widths) / len(space.widths)  # mean share of the elements of a map
        fixed_elements, cell_elements = round(share * fixed_elements), share * cell_elements
    total = 0.0
    for row in rows:
        depths = built if config.depth_mode == "mixture" and not selects else row["depths"]
        if single:
            macs = fixed + (row["expected_macs"] - fixed) * edges / rows_of_alpha * sum(depths) / sum(row["depths"])
        else:
            macs = fixed + _evenly(table, edges * run, depths)
        elements = fixed_elements + float(cell_elements @ torch.tensor(depths, dtype=torch.float64))
        alpha = strategy.alpha_passes if row["epoch"] > config.warmup else 0
        total += (TRAINING + alpha) * widths * (macs + ELEMENT_MACS * elements) * size * max(1, patches // size)
    batches = max(1, patches // size)
    measured = strategy.measured_batches(config.candidates, batches)  # each costs as much as what a step runs
    measured += mixture_passes(config, space) * batches
    if measured:
        total += FORWARD * measured * (macs + ELEMENT_MACS * elements) * size
    return total


def _evenly(table: CostTable, operations: float, depths: Sequence[float]) -> float:
    """Compute the MACs of all cells if each runs this number of operations, all kinds equally often."""
    cells = float(operations * table.operations.mean(dim=1) @ torch.tensor(depths, dtype=torch.float64))
    if table.layers is not None:
        cells += operations * float(table.layers.reductions.mean(dim=1).sum())
    known = range(1, table.overhead.shape[1] + 1)
    return cells + sum(float(np.interp(d, known, row)) for d, row in zip(depths, table.overhead.numpy(), strict=True))


def random_search_stage(
    config: RunConfig, folder: Path, like: Genotype, budget: float, *, listener: Listener, data: Dataset
) -> Genotype:
    """Draw, train and measure candidates until the budget is spent. Writes `genotype.json` and `search/`.

    An interrupted random search continues at the last whole epoch of its candidate.

    Args:
        config: Config of the run; `train` is the short training of a candidate, `space` the space to draw from.
        folder: Folder of the run.
        like: Genotype whose cost the candidates have.
        budget: Work to spend, in the unit of `search_work`; at least one candidate is trained.
        listener: Receives the progress.
        data: Open data of the config.
    """
    fabric = make_fabric(config.machine)
    parts = cut_halves(data, config.search.halves, config.seed)
    facts = data.source.facts
    sizes = Sizes(len(facts.bands), len(facts.classes), facts.patch_px)
    normalisation = measure_normalization(data.source, data.parts["train"])
    start(folder, config, data, resume=True, stage="search")
    write_splits(folder / "search", {"weights": parts[0], "architecture": parts[1]})
    table = folder / "search" / "candidates.jsonl"
    rows = read_rows(table, "remove the folder to search again") if table.exists() else []
    if rows:
        remove_checkpoints(_candidate(folder, len(rows) - 1) / "train")  # a kill may have come before it
    while (genotype := _draw(config, like, sizes, rows)) is not None:
        macs = genotype_cost(genotype, sizes.bands, sizes.classes, sizes.patch_px).macs
        seed = _seed(config.seed, len(rows))
        torch.manual_seed(seed)
        network = build(ModelSpec(SEARCHED, sizes.bands, sizes.classes, sizes.patch_px, genotype))
        passes = TRAINING * config.train.epochs * len(parts[0]) + FORWARD * len(parts[1])
        price = passes * work(network, sizes.bands, sizes.patch_px)
        if rows and sum(row["work"] for row in rows) + price > budget:
            break
        normalise_of(network).set(normalisation.mean, normalisation.std)
        training = Training(
            network,
            replace(config.train, teachers=()),
            data.source,
            *parts,
            seed,
            fabric,
            channels_last=config.machine.channels_last,
        )
        own = _candidate(folder, len(rows))
        last = training.run(own, listener, resume=True, name=f"candidate {len(rows) + 1}")[-1]
        if not rows:
            (folder / "search" / SECONDS).unlink(missing_ok=True)
        add_seconds(folder / "search", read_seconds(own / "train"))
        rows.append(
            {"candidate": len(rows), "macs": macs, "accuracy": last["validation_oa"], "work": price}
            | {"genotype": genotype.to_values()}
        )
        write_rows(table, rows)
        remove_checkpoints(own / "train")
    best = max(rows, key=lambda row: float(row["accuracy"]))
    found = Genotype.from_values(best["genotype"], str(table))
    write_bytes(folder / "genotype.json", found.to_json().encode())
    return found


def _candidate(folder: Path, number: int) -> Path:
    return folder / "search" / "candidates" / f"{number:04d}"


def _draw(config: RunConfig, like: Genotype, sizes: Sizes, rows: Sequence[Row]) -> Genotype | None:
    """Draw the next candidate, which depends only on the seed and its number; None if no new one is found."""
    space, known = config.space, [row["genotype"] for row in rows]
    target = genotype_cost(like, sizes.bands, sizes.classes, sizes.patch_px).macs
    generator = torch.Generator().manual_seed(_seed(config.seed, len(rows)))
    for _ in range(REDRAWS):
        try:
            genotype = random_like(
                space, target, generator, bands=sizes.bands, classes=sizes.classes, patch_px=sizes.patch_px
            )
        except UserError:
            if rows:
                return None
            raise
        if genotype.to_values() not in known:
            return genotype
    return None


def _seed(seed: int, candidate: int) -> int:
    return int(np.random.SeedSequence((seed, candidate)).generate_state(1)[0])
