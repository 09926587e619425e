"""The network that a genotype describes."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.backbone import Backbone
from compactnas.nn.cell import CellPlan
from compactnas.nn.normalise import Normalise
from compactnas.nn.norms import final_norm
from compactnas.nn.sample import Sample
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE

Patches = Float[Tensor, "batch bands height width"]

Logits = Float[Tensor, "batch classes"]


class Network(nn.Module):
    """The network that a genotype describes, to be trained and used.

    Takes raw patches (batch, bands, height, width) and returns logits (batch, classes).

    Raises:
        UserError: The network would be too large.
    """

    def __init__(self, genotype: Genotype, bands: int, classes: int) -> None:
        super().__init__()
        genotype.require_size()
        self.genotype = genotype
        edges = [
            (node, source, name)
            for node, incoming in enumerate(genotype.nodes)
            for name, source in incoming
            if name != NONE
        ]
        plan = CellPlan(
            genotype.layout_of,
            [(node, source) for node, source, _ in edges],
            [(name,) for _, _, name in edges],
            len(genotype.nodes),
            norm=final_norm,
            fixed=final_norm,
            layers=genotype.rows if genotype.layout_of.residual else None,
        )
        self.backbone = Backbone(plan, genotype.depths, genotype.block_channels, bands, classes)
        self.sample = Sample(path=(0,) * len(edges), depths=genotype.depths)

    @property
    def normalise(self) -> Normalise:
        """Normalisation of the input."""
        return self.backbone.normalise

    @property
    def head(self) -> nn.Linear:
        """Layer from pooled features to logits."""
        linear = self.backbone.head[-1]
        assert isinstance(linear, nn.Linear)
        return linear

    def forward(self, x: Patches) -> Logits:
        logits: Tensor = self.backbone(x, self.sample)
        return logits
