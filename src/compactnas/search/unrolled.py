"""DARTS's second-order gradient of the architecture (Liu et al. 2019, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from compactnas.distributed.process_group import ProcessGroup

EPSILON = 0.01
"""Length of the step of the finite difference (section 2.3)."""


def leave_unrolled_gradient(
    training_loss: Callable[[], Tensor],
    loss: Callable[[], Tensor],
    optimizer: torch.optim.SGD,
    weights: Sequence[nn.Parameter],
    choices: Sequence[nn.Parameter],
    processes: ProcessGroup,
    epsilon: float = EPSILON,
) -> None:
    """Compute the second-order gradient of the loss on D_V in the `grad` of ``choices`` (eq. 7 and 8).

    With w' = w - xi (grad_w L_T + momentum and decay, as in the published code), the gradient is
    grad_alpha L_V(w', alpha) - xi (grad_alpha L_T(w+, alpha) - grad_alpha L_T(w-, alpha)) / (2 e), where
    w+- = w +- e grad_w' L_V(w', alpha). The weights are the same afterwards. With several processes, the gradient is
    the part of this process.

    Args:
        training_loss: Computes L_T at the current weights; each call must use the same draw.
        loss: Computes L_V in the same way.
        optimizer: Optimizer of the weights, which gives xi, momentum and decay.
        weights: w.
        choices: Alpha and the logits of depths and widths.
        processes: Processes of the run.
        epsilon: e times the norm of the gradient of the weights.
    """
    start = [w.detach().clone() for w in weights]
    settings = optimizer.param_groups[0]
    rate, decay, momentum = settings["lr"], settings["weight_decay"], settings["momentum"]
    step = _gradients(training_loss(), weights)
    processes.sum(step)
    for place, w in enumerate(weights):
        step[place] = step[place] + decay * start[place]
        velocity = optimizer.state.get(w, {}).get("momentum_buffer")
        if velocity is not None:
            step[place] = step[place] + momentum * velocity
    try:
        _move(weights, start, step, -rate)
        found = _gradients(loss(), [*weights, *choices])
        direction, direct = found[: len(weights)], found[len(weights) :]
        processes.sum(direction)
        norm = float(torch.linalg.vector_norm(torch.stack([g.norm() for g in direction])))
        size = epsilon / norm if norm else 0.0
        sides = []
        with frozen(weights):
            for signed in (size, -size):
                _move(weights, start, direction, signed)
                sides.append(_gradients(training_loss(), choices))
    finally:
        _move(weights, start, step, 0.0)
    for choice, gradient, plus, minus in zip(choices, direct, *sides, strict=True):
        choice.grad = gradient - rate * (plus - minus) / (2 * size) if size else gradient


@contextmanager
def frozen(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Compute no gradients of these weights inside the block."""
    for w in weights:
        w.requires_grad_(False)
    try:
        yield
    finally:
        for w in weights:
            w.requires_grad_(True)


def _gradients(loss: Tensor, of: Sequence[nn.Parameter]) -> list[Tensor]:
    """Compute gradients; zero for parameters that the loss does not depend on."""
    found = torch.autograd.grad(loss, of, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, of, strict=True)]


@torch.no_grad()
def _move(weights: Sequence[nn.Parameter], start: Sequence[Tensor], direction: Sequence[Tensor], by: float) -> None:
    """Set each weight to its start plus ``by`` times the direction."""
    for w, origin, d in zip(weights, start, direction, strict=True):
        w.copy_(torch.add(origin, d, alpha=by) if by else origin)
