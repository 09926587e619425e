"""Average the weights after every step of the last epochs of a training.

Source: SWAD (Cha et al. 2021), which averages densely and takes the start of the average from the validation loss. Here
the last epochs are cut into parts, and the average begins with one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_swa_multi_avg_fn

PARTS = 4
"""Number of parts of the averaged epochs; the average may begin with each of them."""


class DenseAverage:
    """Mean of a network's weights over the steps of the last epochs, one for each part of them.

    Args:
        network: Network in training.
        epochs: Number of epochs of the training.
        share: Share of the epochs, counted from the end, whose steps are averaged.
    """

    def __init__(self, network: nn.Module, epochs: int, share: float) -> None:
        length = max(1, min(epochs, round(share * epochs)))
        parts = min(PARTS, length)
        first = epochs - length
        self.starts = [first + part * length // parts for part in range(parts)]
        self.epochs = epochs
        average = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]  # absent from torch's stubs
        self._means = [AveragedModel(network, multi_avg_fn=average) for _ in self.starts]
        self.chosen = -1
        self.network: nn.Module | None = None

    def update(self, network: nn.Module, epoch: int) -> None:
        """Add the weights after a step of an epoch; epochs before the first start do not count."""
        part = sum(start <= epoch for start in self.starts) - 1
        if part >= 0:
            self._means[part].update_parameters(network)

    def choose(self, calibrate: Callable[[nn.Module], None], loss: Callable[[nn.Module], float] | None) -> int:
        """Choose the start of the average, build the averaged network, and return the epoch of the start, from 0.

        Args:
            calibrate: Sets the running statistics of a network's normalisation, which belong to other weights.
            loss: Loss of a network on the validation part; None takes all averaged epochs.
        """
        best = (float("inf"), 0)
        for number in range(len(self.starts)) if loss else ():
            network = self._averaged(number)
            calibrate(network)
            assert loss is not None
            best = min(best, (loss(network), number))
        self.chosen = best[1]
        self.network = self._averaged(self.chosen)
        calibrate(self.network)
        return self.starts[self.chosen]

    def _averaged(self, first: int) -> nn.Module:
        """Build the network with the mean weights of all steps from a part on."""
        network: nn.Module = deepcopy(self._means[-1].module)
        total = sum(float(mean.n_averaged) for mean in self._means[first:])
        with torch.no_grad():
            for place, parameter in enumerate(network.parameters()):
                parameter.zero_()
                for mean in self._means[first:]:
                    parameter.add_(list(mean.module.parameters())[place], alpha=float(mean.n_averaged) / total)
        return network

    def state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        means: list[dict[str, Tensor]] = [dict(mean.state_dict()) for mean in self._means]
        network = None if self.network is None else self.network.state_dict()
        return {"starts": [*self.starts, self.epochs], "means": means, "chosen": self.chosen, "network": network}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Restore such a state. The state of a training of another length is left out: its epochs lie further back."""
        if state is None or state["starts"] != [*self.starts, self.epochs]:
            return
        for mean, before in zip(self._means, state["means"], strict=True):
            mean.load_state_dict(before)
        self.chosen = int(state["chosen"])
        if state["network"] is not None:
            self.network = deepcopy(self._means[-1].module)
            self.network.load_state_dict(state["network"])
