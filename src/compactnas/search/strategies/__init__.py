"""How a search chooses: a strategy is a sampler and a loss on the same supernet, in the same loop.

To add one, write a sampler (`search.sampling.Sampler`), name it in `STRATEGIES` and in `config.StrategyName`;
`tests/search/test_strategies.py` then asks of it what it asks of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.search.sampling import Architecture, Draw, Sampler
from compactnas.search.strategies import proxyless
from compactnas.search.strategies.gdas import Gdas
from compactnas.search.strategies.mixtures import Darts, Snas
from compactnas.search.strategies.proxyless import Proxyless
from compactnas.search.strategies.trials import Chooser, evolution, random_search
from compactnas.search.strategies.uniform import Uniform

Settle = Callable[[Architecture, Draw, Float[Tensor, "edges operations"]], None]
"""Called after a step of the architecture with the draw of the step and the alpha before it."""


@dataclass(frozen=True)
class Strategy:
    """What tells one strategy from another.

    Attributes:
        sampler: draws what the supernet runs in each half-step.
        betas: of Adam on the architecture, as its authors have them.
        unrolled: whether the architecture's gradient looks through a step of the weights.
        settle: what is done with alpha after its step.
        choose: makes the candidates of which the best on the trained supernet is taken; alpha does not move then. None:
            alpha is learnt, and the derivation says what was found.
    """

    sampler: Sampler
    betas: tuple[float, float] = (0.5, 0.999)
    unrolled: bool = False
    settle: Settle | None = None
    choose: Chooser | None = None


STRATEGIES: dict[str, Callable[[SearchConfig], Strategy]] = {
    "gdas": lambda config: Strategy(Gdas(config.unsampled_gradient, config.depth_mode, config.sampled_inputs)),
    "darts": lambda config: Strategy(Darts(config.depth_mode)),
    "darts_second_order": lambda config: Strategy(Darts(config.depth_mode), unrolled=True),
    "snas": lambda config: Strategy(Snas(config.depth_mode)),
    "proxyless": lambda config: Strategy(Proxyless(config.depth_mode), betas=(0.0, 0.999), settle=proxyless.settle),
    "uniform": lambda config: Strategy(Uniform(), choose=random_search),
    "evolution": lambda config: Strategy(Uniform(), choose=evolution),
}
"""By the name that `search.strategy` gives."""
