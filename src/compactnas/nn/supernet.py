"""The supernet: the backbone with every candidate on every edge; a sample chooses those that run."""

from __future__ import annotations

from collections.abc import Collection

from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.backbone import Backbone
from compactnas.nn.cell import CellPlan
from compactnas.nn.network import Network
from compactnas.nn.normalise import Normalise
from compactnas.nn.norms import candidate_norm, fixed_norm
from compactnas.nn.sample import Sample
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space


class SuperNet(nn.Module):
    """All networks of a space with shared weights; `supernet(x, sample)` runs one of them.

    Args:
        space: Search space.
        depths: Number of cells built in each block, the largest depths that a sample can have.
        bands: Number of bands of the patches.
        classes: Number of classes.
        normalized: Names of the operations without weights whose output is normalised like that of the others.

    Raises:
        UserError: An operation to normalise has weights.
    """

    def __init__(
        self, space: Space, depths: tuple[int, ...], bands: int, classes: int, normalized: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.space = space
        candidates = [space.operations] * len(space.edges)
        plan = CellPlan(
            space.layout_of,
            space.edges,
            candidates,
            space.computed,
            norm=candidate_norm,
            fixed=fixed_norm,
            normalized=normalized,
            layers=space.layers if space.layout_of.residual else None,
        )
        self.backbone = Backbone(plan, depths, space.block_channels, bands, classes)

    @property
    def normalise(self) -> Normalise:
        """Normalisation of the input."""
        return self.backbone.normalise

    def forward(self, x: Float[Tensor, "batch bands height width"], sample: Sample) -> Float[Tensor, "batch classes"]:
        logits: Tensor = self.backbone(x, sample.to(x.device))
        return logits


def certain_sample(space: Space, genotype: Genotype) -> Sample:
    """Make the sample that runs exactly a genotype's operations; the other edges run none."""
    chosen = space.operations_of(genotype)
    path = tuple(space.operations.index(chosen[edge]) if edge in chosen else -1 for edge in space.edges)
    widths = tuple((width,) for width in genotype.block_channels) if space.widths else None
    return Sample(path, genotype.depths, widths=widths)


def copy_weights(supernet: SuperNet, network: Network) -> None:
    """Copy the weights of a derived network's operations from the supernet."""
    space, genotype = supernet.space, network.genotype
    sample = certain_sample(space, genotype)
    kept = [e for e, index in enumerate(sample.path) if index >= 0 and space.operations[index] != NONE]
    state = supernet.backbone.state_dict()
    target = network.backbone.state_dict()
    for name in target:
        parts = name.split(".")
        if (row := _row(space, parts)) is not None:  # the one operation of a layer or of a searched reduction
            parts[parts.index("operations") + 1] = str(sample.path[row])
        elif parts[0] == "blocks" and parts[3] == "edges":  # blocks.B.CELL.edges.E.0.…
            edge = kept[int(parts[4])]
            parts[4:6] = [str(edge), str(sample.path[edge])]
        source = ".".join(parts)
        if source in state:
            target[name] = state[source][tuple(slice(size) for size in target[name].shape)]
    network.backbone.load_state_dict(target)


def _row(space: Space, parts: list[str]) -> int | None:
    """Find the row of alpha of a weight with this name in a final network of layers; None for other weights."""
    if not space.layout_of.residual:
        return None
    match parts:
        case ["blocks", block, layer, *_]:
            return space.layers.layer(int(block), int(layer))
        case ["reductions", place, *_]:
            return space.layers.reduction(int(place) + 1)
    return None
