"""The supernet: the backbone with every candidate on every edge, of which a sample runs."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.network import Backbone, Network, Normalise, Sample
from compactnas.nn.operations import candidate_norm, fixed_norm
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


class SuperNet(nn.Module):
    """All networks of a space with shared weights; `supernet(x, sample)` runs one of them.

    Args:
        space: what a sample may choose from.
        depths: cells built in each block: the greatest depths that a sample may have.
        bands: of the patches.
        classes: of the answer.
    """

    def __init__(self, space: Space, depths: tuple[int, ...], bands: int, classes: int) -> None:
        super().__init__()
        self.space = space
        self.backbone = Backbone(
            space.layout_of,
            space.edges,
            [space.operations] * len(space.edges),
            space.computed,
            depths,
            space.block_channels,
            bands,
            classes,
            norm=candidate_norm,
            fixed=fixed_norm,
        )

    @property
    def normalise(self) -> Normalise:
        """The input's normalisation."""
        return self.backbone.normalise

    def forward(self, x: Float[Tensor, "batch bands height width"], sample: Sample) -> Float[Tensor, "batch classes"]:
        if sample.weights is not None:
            silent = None if sample.silent is None else sample.silent.to(x.device)
            sample = sample._replace(weights=sample.weights.to(x.device), silent=silent)
        if sample.width_weights is not None:
            sample = sample._replace(width_weights=sample.width_weights.to(x.device))
        if sample.mixture is not None:
            weights = sample.mixture.weights.to(x.device)
            sample = sample._replace(mixture=sample.mixture._replace(weights=weights))
        logits: Tensor = self.backbone(x, sample)
        return logits


def certain_sample(space: Space, genotype: Genotype) -> Sample:
    """The sample that runs exactly this genotype's operations; edges that it lacks run none."""
    chosen = {(node, source): name for node, edges in enumerate(genotype.nodes) for name, source in edges}
    path = tuple(space.operations.index(chosen[edge]) if edge in chosen else -1 for edge in space.edges)
    widths = tuple((width,) for width in genotype.block_channels) if space.widths else None
    return Sample(path, genotype.depths, widths=widths)


def copy_weights(supernet: SuperNet, network: Network) -> None:
    """Give a derived network the weights that its operations have in the supernet."""
    space, genotype = supernet.space, network.genotype
    sample = certain_sample(space, genotype)
    kept = [e for e, index in enumerate(sample.path) if index >= 0 and space.operations[index] != "none"]
    state = supernet.backbone.state_dict()
    target = network.backbone.state_dict()
    for name in target:
        parts = name.split(".")
        if parts[0] == "blocks" and parts[3] == "edges":  # blocks.B.CELL.edges.E.0.…
            edge = kept[int(parts[4])]
            parts[4:6] = [str(edge), str(sample.path[edge])]
        source = ".".join(parts)
        if source in state:
            target[name] = state[source][tuple(slice(size) for size in target[name].shape)]
    network.backbone.load_state_dict(target)
