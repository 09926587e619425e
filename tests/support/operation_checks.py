"""Conformance checks for candidate operations; a failed check raises an `AssertionError`."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from compactnas.cost.counter import count
from compactnas.nn.norms import Norm, candidate_norm, final_norm
from compactnas.nn.state import EdgeWeight, OnMap, State
from compactnas.space.operation_specs import Operation

CHANNELS = (2, 3, 8)
SIZES = ((4, 4), (5, 7), (6, 5))
"""Heights and widths, even and odd."""
MORE = 2
"""Additional channels of a reduction."""


def made(operation: Operation, channels: int, norm: Norm = candidate_norm) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = operation.build(channels, norm)
    return module


def reduction(operation: Operation, channels: int, norm: Norm = candidate_norm) -> list[nn.Module]:
    """Build the operation at stride 2, with `MORE` channels more in the result; empty if it cannot be a reduction."""
    if operation.build_reduction is None:
        return []
    torch.manual_seed(0)
    return [operation.build_reduction(channels, channels + MORE, norm)]


def forms(operation: Operation, channels: int, norm: Norm = candidate_norm) -> list[nn.Module]:
    """Build the operation at stride 1 and, if it can be a reduction, at stride 2."""
    return [made(operation, channels, norm), *reduction(operation, channels, norm)]


def map_of(channels: int, height: int = 6, width: int = 5) -> Tensor:
    return torch.randn(4, channels, height, width, generator=torch.Generator().manual_seed(channels))


def check_shape(operation: Operation) -> None:
    """Check that the operation keeps the shape and dtype of a map, and does not write into it."""
    for norm in (candidate_norm, final_norm):
        for channels in CHANNELS:
            module = made(operation, channels, norm)
            for size in SIZES:
                check_result(module, map_of(channels, *size), (channels, *size))


def check_reduction(operation: Operation) -> None:
    """Check that the operation at stride 2 halves the side, rounded up, and gives the channels that it is asked for."""
    for norm in (candidate_norm, final_norm):
        for module in reduction(operation, 3, norm):
            for height, width in SIZES:
                check_result(module, map_of(3, height, width), (3 + MORE, -(-height // 2), -(-width // 2)))


def check_result(module: nn.Module, x: Tensor, shape: tuple[int, int, int]) -> None:
    """Check the shape and dtype of the map that a module makes, and that it does not write into its input."""
    before = x.clone()
    y = module(State(x))
    assert y.shape == (len(x), *shape) and y.dtype == x.dtype, f"{tuple(x.shape)} became {tuple(y.shape)}"
    assert bool(y.isfinite().all())
    assert torch.equal(x, before), "the operation writes into its input"


def check_weight_of_edge(operation: Operation) -> None:
    """Check that the edge's weight multiplies the output, and that its gradient is right."""
    x = map_of(4)
    for module in forms(operation, 4):
        plain = module(State(x)).detach()
        gradient = torch.randn(plain.shape, generator=torch.Generator().manual_seed(1))
        for value, is_one in ((1.0, True), (1.0, False), (0.3, False), (0.0, False)):
            weight = torch.tensor(value, requires_grad=True)
            y = module(State(x), EdgeWeight(weight, is_one))
            torch.testing.assert_close(y.detach(), value * plain)
            assert y.requires_grad, "nothing leads from the output to the edge's weight"
            (found,) = torch.autograd.grad(y, weight, gradient, allow_unused=True)
            assert found is not None, "the edge's weight gets no gradient"
            torch.testing.assert_close(found, (gradient * plain).sum(), rtol=1e-4, atol=1e-4)


def check_gradients(operation: Operation) -> None:
    """Check that the input and each trained weight get a nonzero gradient."""
    for norm in (candidate_norm, final_norm):
        for module in forms(operation, 4, norm):
            x = map_of(4).requires_grad_()
            y = module(State(x))
            (y.square() * torch.randn(y.shape, generator=torch.Generator().manual_seed(4))).sum().backward()
            for name, tensor in (("the input", x), *module.named_parameters()):
                assert tensor.grad is not None and bool(tensor.grad.abs().sum() > 0), f"{name} gets no gradient"


def check_cost(operation: Operation) -> None:
    """Check that the declared MACs and parameters are those of the module."""
    for channels in CHANNELS:
        for side in (4, 7):
            counted = count(OnMap(made(operation, channels, final_norm)), channels, side)
            declared = operation.macs(channels, side, side), operation.parameters(channels)
            assert (counted.macs, counted.parameters) == declared, f"counted {counted}, declared {declared}"


def check_has_weights(operation: Operation) -> None:
    """Check that `has_weights` is true if and only if the module has weights."""
    assert operation.has_weights == any(True for _ in made(operation, 4, final_norm).parameters())


def check_patches_alone(operation: Operation) -> None:
    """Check that, in a trained network, the output for a patch does not depend on the rest of its batch."""
    for module in forms(operation, 4, final_norm):
        x = map_of(4)
        module(State(x))  # update the running averages
        module.eval()
        with torch.no_grad():
            whole, alone = module(State(x)), module(State(x[:1]))
        message = "a patch's output depends on the batch: use `norm` for every norm"
        torch.testing.assert_close(whole[:1], alone, msg=message)


def check_narrow(operation: Operation) -> None:
    """Check that on fewer channels, the operation computes the same as a narrow one with the first weights."""
    x, some = map_of(3), {"channels": 3 + MORE}
    for wide, narrow, how in zip(forms(operation, 8), forms(operation, 3), ({}, some), strict=False):
        first = {
            name: wide.state_dict()[name][tuple(slice(size) for size in value.shape)]
            for name, value in narrow.state_dict().items()
        }
        narrow.load_state_dict(first)
        torch.testing.assert_close(wide(State(x), **how), narrow(State(x)))


def check_export(operation: Operation) -> None:
    """Check that `torch.export` accepts the operation, and that the exported program computes the same."""
    for form in forms(operation, 4, final_norm):
        module, x = OnMap(form).eval(), map_of(4)
        with torch.no_grad():
            exported = torch.export.export(module, (x,), strict=False)
            torch.testing.assert_close(exported.module()(x), module(x))


def check_drawing(operation: Operation) -> None:
    """Check the label, the colour on each background, and the SVG declarations of the line, if any."""
    assert re.fullmatch(r"[\w .-]{1,20}", operation.label), f"label {operation.label!r}"
    assert len(operation.colours) == 2
    for colour in operation.colours:
        assert re.fullmatch(r"#[0-9a-f]{6}", colour), f"colour {colour!r}"
    assert re.fullmatch(r"(stroke[a-z-]*: [\w. ]+; ?)*", operation.line), f"line {operation.line!r}"


CHECKS = (
    check_shape,
    check_reduction,
    check_weight_of_edge,
    check_gradients,
    check_cost,
    check_has_weights,
    check_patches_alone,
    check_narrow,
    check_export,
    check_drawing,
)
NOT_RUN = (check_weight_of_edge, check_gradients)
"""Checks that do not hold for `none`: a cell never runs it."""
