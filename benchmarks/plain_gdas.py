"""GDAS's step as it is published, on the weights of our supernet: the yardstick of the search's speed.

It keeps the published order of operations and makes no avoidable copies: NCHW, the library's own
convolutions, every edge multiplied by its weight, `none` computed, gradients of weights and of alpha in
both half-steps. It shares the supernet's modules and parameters but no code of the forward pass, so
that it is also the independent half of the test that the fast step computes the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.nn.cell import Cell
from compactnas.nn.layer import Layer, SearchedReduction
from compactnas.nn.operations._inverted import InvertedResidual
from compactnas.nn.operations._separable import Separable, Unit
from compactnas.nn.operations._weightless import AveragePool, MaxPool, Skip, Zero
from compactnas.nn.reductions import BasicReduction, FactorizedReduction
from compactnas.nn.separable import DepthwiseConv
from compactnas.nn.supernet import SuperNet
from compactnas.search.architecture import Architecture


def _plain_operation(operation: nn.Module) -> nn.Module:
    """The same operation of the library's parts, with the same parameters, on a map."""
    if isinstance(operation, Separable):
        return nn.Sequential(*(part for unit in operation.units for part in _plain_unit(unit)))
    if isinstance(operation, InvertedResidual):
        return nn.Sequential(*map(_plain_convolution, operation.body), operation.project, operation.norm)
    if isinstance(operation, AveragePool):
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    if isinstance(operation, MaxPool):
        return nn.MaxPool2d(3, stride=1, padding=1)
    return {Zero: _PlainZero, Skip: nn.Identity}[type(operation)]()


def _plain_unit(unit: Unit) -> list[nn.Module]:
    convolution = unit.convolution
    channels, _, size, _ = convolution.depthwise.shape
    pad = convolution.dilation * (size // 2)
    depthwise = nn.Conv2d(channels, channels, size, 1, pad, convolution.dilation, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    depthwise.weight, pointwise.weight = convolution.depthwise, convolution.pointwise
    return [nn.ReLU(), depthwise, pointwise, unit.norm]


def _plain_convolution(layer: nn.Module) -> nn.Module:
    """The library's depthwise convolution in the place of ours, any other layer as it is."""
    if not isinstance(layer, DepthwiseConv):
        return layer
    channels, sizes = layer.in_channels, (layer.kernel_size, layer.stride, layer.padding)
    plain = nn.Conv2d(channels, channels, *sizes, groups=channels, bias=False)
    plain.weight = layer.weight
    return plain


class _PlainZero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


class PlainGdas(nn.Module):
    """A copy of a supernet and of its architecture, with the published forward pass and step.

    Args:
        supernet: whose weights and shape are taken.
        architecture: whose alpha is taken; every block runs all of its cells.
        learning_rate: of the weights.
        published: whether the weights of the operations that do not run, all zero, are added to the node, as the
            published code has it.
    """

    def __init__(
        self,
        supernet: SuperNet,
        architecture: Architecture,
        learning_rate: float = 0.025,
        *,
        published: bool = False,
    ) -> None:
        super().__init__()
        self.published = published
        self.autocast: Callable[[], AbstractContextManager[object]] = nullcontext
        self.net = copy.deepcopy(supernet.backbone).to(memory_format=torch.contiguous_format)
        for cell in (*(cell for cells in self.net.blocks for cell in cells), *self.net.reductions):
            if isinstance(cell, Layer | SearchedReduction):
                cell.operations = nn.ModuleList(map(_plain_operation, cell.operations))
            elif isinstance(cell, Cell):
                plain = (nn.ModuleList(map(_plain_operation, candidates)) for candidates in cell.edges)
                cell.edges = nn.ModuleList(plain)
        self.alpha = nn.Parameter(architecture.alpha.detach().clone())
        self.weights = torch.optim.SGD(
            self.net.parameters(), lr=learning_rate, momentum=0.9, weight_decay=3e-4, nesterov=True
        )
        self.alphas = torch.optim.Adam([self.alpha], lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def draw(self, noise: Tensor, tau: float) -> tuple[Tensor, list[int]]:
        """Straight-through weights and the chosen operations for this Gumbel noise."""
        p = ((self.alpha.log_softmax(dim=-1) + noise) / tau).softmax(dim=-1)
        index = p.argmax(dim=-1, keepdim=True)
        hard = torch.zeros_like(p).scatter_(-1, index, 1.0)
        return hard - p.detach() + p, index.flatten().tolist()

    def forward(self, x: Tensor, weights: Tensor, index: Sequence[int]) -> Tensor:
        """Logits with the sampled operation of every edge, multiplied by its weight."""
        net = self.net
        x = net.stem(net.normalise(x))
        states = [x, x] if net.pair else [x]
        for block, cells in enumerate(net.blocks):
            if block:
                states = [*states[1:], self._reduced(net.reductions[block - 1], states, weights, index)]
            for cell in cells:
                states = [*states[1:], self._cell(cell, states, weights, index)]
        return net.head(states[-1])

    def _reduced(self, module: nn.Module, states: Sequence[Tensor], weights: Tensor, index: Sequence[int]) -> Tensor:
        if isinstance(module, SearchedReduction):
            return self._row(module, states[0], weights, index)
        return _reduction(module, states)

    def _row(self, layer: nn.Module, x: Tensor, weights: Tensor, index: Sequence[int]) -> Tensor:
        """The sampled operation of one row of alpha."""
        row, chosen = layer.row, index[layer.row]
        y = layer.operations[chosen](x) * weights[row, chosen]
        return y + weights[row].sum() - weights[row, chosen] if self.published else y

    def _cell(self, cell: nn.Module, inputs: Sequence[Tensor], weights: Tensor, index: Sequence[int]) -> Tensor:
        if isinstance(cell, Layer):
            return inputs[0] + self._row(cell, inputs[0], weights, index)
        states = list(inputs)
        if cell.preprocess is not None:
            states = [_preprocess(module, x) for module, x in zip(cell.preprocess, inputs, strict=True)]
        first = len(states)
        for incoming in cell.incoming:
            terms = [cell.edges[e][index[e]](states[source]) * weights[e, index[e]] for e, source in incoming]
            if self.published:
                terms += [weights[e].sum() - weights[e, index[e]] for e, _ in incoming]
            states.append(sum(terms))
        return torch.cat(states[first:], dim=1) if cell.concat else states[-1]

    def weight_step(self, batch: Sequence[Tensor], noise: Tensor, tau: float) -> Tensor:
        """A step of the weights on a batch of D_T; gives the loss."""
        loss = self._backward(batch, noise, tau)
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.weights.step()
        return loss

    def alpha_step(self, batch: Sequence[Tensor], noise: Tensor, tau: float) -> Tensor:
        """A step of alpha on a batch of D_V; gives the loss."""
        loss = self._backward(batch, noise, tau)
        self.alphas.step()
        return loss

    def _backward(self, batch: Sequence[Tensor], noise: Tensor, tau: float) -> Tensor:
        weights, index = self.draw(noise, tau)
        with self.autocast():
            logits = self(batch[0], weights, index)
        loss = F.cross_entropy(logits.to(weights.dtype), batch[1])
        self.weights.zero_grad()
        self.alphas.zero_grad()
        loss.backward()
        return loss.detach()


def _preprocess(module: nn.Module, x: Tensor) -> Tensor:
    x = F.relu(x)
    if isinstance(module, FactorizedReduction):
        shifted = F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        grids = [F.conv2d(grid, part.weight, stride=2) for grid, part in ((x, module.even), (shifted, module.odd))]
        return module.norm(torch.cat(grids, dim=1))
    return module.norm(module.convolution(x))


def _reduction(module: nn.Module, states: Sequence[Tensor]) -> Tensor:
    if isinstance(module, BasicReduction):
        return module.body(F.relu(states[0])) + module.shortcut(states[0])
    inputs = [_preprocess(part, x) for part, x in zip(module.preprocess, states, strict=True)]
    groups = (module.convolve, module.pool)
    return torch.cat([part(x) for group in groups for part, x in zip(group, inputs, strict=True)], dim=1)
