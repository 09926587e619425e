"""Figures of a search: rows of its metrics and the content of `alpha.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compactnas.io.jsonl import Row
from compactnas.search.architecture import Architecture
from compactnas.search.bilevel import BilevelStep
from compactnas.search.cell_counts import Scores
from compactnas.search.derivation import derive
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.genotype import Genotype


def epoch_figures(bilevel: BilevelStep, genotype: Genotype, limit: SkipLimit) -> Row:
    """Describe a learnt architecture: its entropy, expected cost and the network that it stands for.

    Args:
        bilevel: Holds architecture, costs and objective.
        genotype: Network that would be derived now.
        limit: Gives the operations whose edges are counted.
    """
    architecture, space = bilevel.architecture, bilevel.architecture.space
    p_widths = architecture.width_probabilities()
    table = bilevel.table.at(None if p_widths is None else p_widths.detach())
    expected = table.expected(architecture.probabilities().detach(), architecture.depth_weights())
    row: Row = {
        "entropy": round(architecture.entropy(), 6),
        "expected_macs": round(float(expected)),
        "depths": [round(float(d), 4) for d in architecture.mean_depths()],
        "derived_depths": list(genotype.depths),
        "derived_macs": bilevel.table.total(space, genotype),
        "guarded_edges": limit.count(derive(architecture)),
        "genotype_nodes": [[list(edge) for edge in edges] for edges in genotype.nodes],
    }
    if space.widths:
        row["derived_widths"] = list(genotype.block_channels)
    state = bilevel.objective.state()
    return row | ({"multipliers": [round(m, 6) for m in state]} if state else {})


def uniform_figures(architecture: Architecture) -> Row:
    """Describe an architecture that is not learnt: the mean depth of its uniform draws."""
    space = architecture.space
    mean = (space.min_depth + space.max_depth) / 2
    return {"depths": [float(d) for d in architecture.fixed_depths or (mean,) * space.blocks]}


def same_genotype(rows: Sequence[Row]) -> bool:
    """Check whether these epochs would all derive the same network."""
    keys = ("genotype_nodes", "derived_depths", "derived_widths")
    return all(row.get(key) == rows[0].get(key) for row in rows for key in keys)


def architecture_values(architecture: Architecture, scores: Scores | None = None) -> dict[str, Any]:
    """List the probabilities of operations, depths and widths for `alpha.json`, and the scores of operations."""
    space, others = architecture.space, dict[str, Any]()
    if (p := architecture.width_probabilities()) is not None:
        others["widths"] = [list(row) for row in space.block_widths]
        others["width_probabilities"] = [[round(float(v), 6) for v in row] for row in p.detach()]
    if scores is not None:
        others["scores"] = [[round(float(v), 4) for v in row] for row in scores]
    return others | {
        "operations": list(space.operations),
        "edges": [list(edge) for edge in space.edges],
        "probabilities": [[round(float(v), 6) for v in row] for row in architecture.probabilities().detach()],
        "depths": list(range(1, max(architecture.built_depths) + 1)),
        "depth_probabilities": [[round(float(v), 6) for v in row] for row in architecture.depth_weights()],
    }
