"""Layers and initial weights that the baselines share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Image = Float[Tensor, "batch channels height width"]
Smaller = Float[Tensor, "batch outputs rows columns"]
Logits = Float[Tensor, "batch classes"]


class ConvNorm(nn.Sequential):
    """Convolution with "same" padding, then batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias),
            nn.BatchNorm2d(outputs),
        )


def pooled_logits(head: nn.Module, x: Image) -> Logits:
    logits: Tensor = head(x.mean(dim=(2, 3)))
    return logits


def initialise(network: nn.Module) -> None:
    """He's normal initialisation by fan-out for convolutions; a linear layer keeps torch's own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:  # a network on `meta` is only counted
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.groups > 1:  # torch counts the outputs of all groups
                with torch.no_grad():
                    module.weight.mul_(module.groups**0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
