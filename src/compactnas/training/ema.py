"""Exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class WeightAverage:
    """Exponential moving average of a network's weights and running statistics, updated after each step.

    It starts as a plain mean, so that the initial weights are forgotten: step n has the weight
    max(1 - decay, 1 / n).

    Args:
        network: Network in training.
        decay: Decay of the average, between 0 and 1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        def average(kept: Sequence[Tensor], now: Sequence[Tensor], number: Tensor | int) -> None:
            weight = max(1 - decay, 1 / (int(number) + 1))
            for before, after in zip(kept, now, strict=True):
                before.lerp_(after, weight) if before.is_floating_point() else before.copy_(after)

        self._model = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    @property
    def network(self) -> nn.Module:
        """The network with averaged weights."""
        module: nn.Module = self._model.module
        return module

    def update(self, network: nn.Module) -> None:
        """Add the weights after a step."""
        self._model.update_parameters(network)

    def state(self) -> dict[str, Tensor]:
        """State for a checkpoint."""
        return dict(self._model.state_dict())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore such a state."""
        self._model.load_state_dict(state)
