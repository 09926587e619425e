"""The GDAS that was published for the NASNet-like cell: only the drawn operation has a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compactnas.config import SearchConfig
from compactnas.search.strategies.gdas import Gdas


@dataclass(frozen=True)
class GdasNasnet(Gdas):
    """A preset of GDAS.

    In AutoDL-Projects, `MixedOp.forward_gdas` multiplies the drawn operation by its weight, and no more. `zero_grad` of
    the torch of that time left zeros, so momentum and weight decay went on for weights that did not run.
    """

    options: ClassVar[tuple[str, ...]] = ("beta_decay", "sampled_inputs")
    decays_unsampled: ClassVar[bool] = True

    @classmethod
    def build(cls, config: SearchConfig) -> GdasNasnet:
        """Build the strategy from the options of a search."""
        return cls("none", config.depth_mode, config.sampled_inputs, config.beta_decay)


STRATEGY = GdasNasnet
