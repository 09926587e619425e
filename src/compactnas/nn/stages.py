"""A network cut where its maps get smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.normalise import Normalise
from compactnas.nn.state import State

Stage = Callable[[list[State]], list[State]]


class Stages(NamedTuple):
    """A network cut where its maps get smaller.

    Attributes:
        normalise: Normalisation of the input; its `mean` is the mean of each band.
        enter: Function from raw pixels to the states that enter the first stage.
        stages: Functions from states to states; each one but the first halves the side first.
        leave: Function that is applied to each pixel of the last map before pooling.
        linear: Layer from pooled features to logits.
    """

    normalise: Normalise
    enter: Callable[[Tensor], list[State]]
    stages: tuple[Stage, ...]
    leave: Callable[[Tensor], Tensor]
    linear: nn.Linear


@runtime_checkable
class StagedNetwork(Protocol):
    """A network with access to its last map and its stages."""

    def forward_features(self, x: Tensor, /) -> Float[Tensor, "batch features rows columns"]:
        """Compute the map of the last stage, before pooling."""
        ...

    def stages(self) -> Stages:
        """Cut the network where its maps get smaller."""
        ...
