"""The GDAS that was published for the cell of NAS-Bench-201: the weights of operations not drawn are added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compactnas.config import SearchConfig
from compactnas.search.strategies.gdas import Gdas


@dataclass(frozen=True)
class GdasNasBench201(Gdas):
    """A preset of GDAS.

    In AutoDL-Projects, `NAS201SearchCell.forward_gdas` adds the weights of the operations that were not drawn, whose
    value is zero, to the map, so their alpha gets the sum of the node's gradient. `zero_grad` of the torch of that time
    left zeros, so momentum and weight decay went on for weights that did not run.
    """

    options: ClassVar[tuple[str, ...]] = ("beta_decay", "sampled_inputs")
    decays_unsampled: ClassVar[bool] = True

    @classmethod
    def build(cls, config: SearchConfig) -> GdasNasBench201:
        """Build the strategy from the options of a search."""
        return cls("published", config.depth_mode, config.sampled_inputs, config.beta_decay)


STRATEGY = GdasNasBench201
