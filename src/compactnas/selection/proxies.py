"""Proxies: scores of an untrained network that predict the trained one. A larger score is better."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from compactnas.nn.norms import HalfInstanceNorm

Images = Float[Tensor, "batch bands height width"]
Labels = Int64[Tensor, " batch"]

NORMS = (nn.BatchNorm2d, HalfInstanceNorm)


def synflow(network: nn.Module, images: Images, labels: Labels) -> float:
    """Compute synaptic flow: the sum of w dR/dw over all weights (Tanaka et al. 2020; Abdelfattah et al. 2021).

    R is the sum of the outputs for an image of ones, with |w| instead of w and without normalisation. It is computed
    in float64, because it grows with the product of the layers. Only the shape of the images is used.

    Args:
        network: Untrained network that does not normalise its input.
        images: Patches.
        labels: Classes of the patches; not used.
    """
    network = _without_norms(deepcopy(network)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    weights = _weights(network)
    flow = network(torch.ones_like(images[:1], dtype=torch.float64)).sum()
    gradients = torch.autograd.grad(flow, weights, allow_unused=True)
    return float(sum((w.detach() * g).sum() for w, g in zip(weights, gradients, strict=True) if g is not None))


def naswot(network: nn.Module, images: Images, labels: Labels) -> float:
    """Compute log |det K|; K_ij counts the ReLUs in the same state for patches i and j (Mellor et al. 2021).

    The score is larger if the ReLUs tell more patches apart. Batch norm uses the statistics of the batch.

    Args:
        network: Untrained network.
        images: Patches.
        labels: Classes of the patches; not used.
    """
    network.train()
    with torch.no_grad(), _Codes() as codes:
        network(images)
    assert codes.kernel is not None, "the network has no ReLU"
    return float(torch.linalg.slogdet(codes.kernel).logabsdet)


def gradnorm(network: nn.Module, images: Images, labels: Labels) -> float:
    """Sum the gradient norms of all weight tensors for one batch (Abdelfattah et al. 2021).

    Args:
        network: Untrained network.
        images: Patches.
        labels: Classes of the patches.
    """
    network.train()
    loss = F.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, _weights(network), allow_unused=True)
    return float(sum(g.norm() for g in gradients if g is not None))


def _weights(network: nn.Module) -> list[nn.Parameter]:
    """List the weights of convolutions and linear layers; biases and the weights of normalisations are vectors."""
    return [parameter for parameter in network.parameters() if parameter.ndim > 1]


def _without_norms(network: nn.Module) -> nn.Module:
    """Replace each normalisation of a network by the identity."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NORMS):
                setattr(parent, name, nn.Identity())
    return network


class _Codes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no hints for it
    """Sum K of `naswot` over all ReLUs that run, functions as well as modules."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no hints for it
        self.kernel: Float[Tensor, "batch batch"] | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten.relu.default, torch.ops.aten.relu_.default):
            on = (result > 0).reshape(len(result), -1).to(torch.float32)
            same = (on @ on.T + (1 - on) @ (1 - on).T).double()
            self.kernel = same if self.kernel is None else self.kernel + same
        return result
