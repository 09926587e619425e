"""One architecture drawn from the space: the argument of a supernet's forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.state import EdgeWeight


def moved(values: Tensor, device: torch.device) -> Tensor:
    """Copy a few values to a device; on a GPU the copy waits for its turn, and the program does not wait for it."""
    return values.to(device, non_blocking=device.type == "cuda")


@runtime_checkable
class Mix(Protocol):
    """Function from the outputs of a block's cells that ran, and the block's index, to the block's output."""

    def __call__(self, outputs: Sequence[Tensor], block: int) -> Tensor:
        """Compute the block's output."""
        ...

    def to(self, device: torch.device) -> Mix:
        """Return the same function with its weights on a device."""
        ...


class Mixture(NamedTuple):
    """Several candidates of each edge that run side by side.

    Attributes:
        candidates: Indices of the candidates that run, for each edge.
        weights: Weight of each candidate, with a path to alpha.
        gates: Whether the weights are gates: one for the candidate of the sample's path and zero for the others, which
            then run for the gradient of their gate alone.
    """

    candidates: tuple[tuple[int, ...], ...]
    weights: Float[Tensor, "edges operations"]
    gates: bool = False


class Sample(NamedTuple):
    """One architecture drawn from the space: what a forward pass runs.

    Attributes:
        path: Index of the candidate that runs on each edge; -1 if none does.
        depths: Number of cells that run in each block.
        weights: Weight of each edge's operation: one in value, with a path to alpha. None if nothing leads back to
            alpha.
        silent: Sum of the weights of the operations that do not run, for each edge: zero in value, added to the node
            that the edge leads to. None if these operations get no gradient.
        mix: Function of the outputs of a block's cells and the block's number that makes the block's output; None takes
            the last cell's.
        mixture: Candidates that run side by side; None runs the path alone.
        widths: Numbers of channels at which each block runs, one after the other; None runs all its channels.
        width_weights: Weight of the block's result at each of these widths; None if there is one width.
    """

    path: tuple[int, ...]
    depths: tuple[int, ...]
    weights: Float[Tensor, "edges"] | None = None
    silent: Float[Tensor, "edges"] | None = None
    mix: Mix | None = None
    mixture: Mixture | None = None
    widths: tuple[tuple[int, ...], ...] | None = None
    width_weights: Float[Tensor, "blocks drawn"] | None = None

    def to(self, device: torch.device) -> Sample:
        """Move all weights to a device."""

        def on_device(values: Tensor | None) -> Tensor | None:
            return None if values is None else moved(values, device)

        return self._replace(
            weights=on_device(self.weights),
            silent=on_device(self.silent),
            mix=self.mix and self.mix.to(device),
            mixture=self.mixture and self.mixture._replace(weights=moved(self.mixture.weights, device)),
            width_weights=on_device(self.width_weights),
        )

    def candidates(self, edge: int) -> tuple[int, ...]:
        """Indices of the candidates of an edge that run."""
        if self.mixture is not None:
            return self.mixture.candidates[edge]
        return () if self.path[edge] < 0 else (self.path[edge],)

    def weight(self, edge: int, index: int) -> EdgeWeight | None:
        """Weight of a candidate of an edge; None if nothing leads back to alpha."""
        if self.mixture is not None:
            return EdgeWeight(self.mixture.weights[edge, index], is_one=self.mixture.gates)
        return None if self.weights is None else EdgeWeight(self.weights[edge], is_one=True)

    def is_closed(self, edge: int, index: int) -> bool:
        """Check whether a candidate runs behind a closed gate: for the gradient of the gate alone."""
        return self.mixture is not None and self.mixture.gates and index != self.path[edge]
