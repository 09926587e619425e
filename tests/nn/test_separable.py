"""The fast gradients of separable convolutions and average pooling are the library's own."""

import pytest
import torch
from torch.nn import functional as F

from compactnas.nn.separable import HalvingConv, SeparableConv, average_pool

SIDES = [(8, 8), (16, 12), (9, 7), (4, 4), (1, 1), (2, 2)]


def gradients(result: torch.Tensor, *of: torch.Tensor) -> list[torch.Tensor]:
    grad = torch.randn(result.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(result.dtype)
    return [result.detach(), *torch.autograd.grad(result, of, grad)]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("height", "width"), SIDES)
def test_gradients_equal_the_librarys(size: int, dilation: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    ours = SeparableConv(6, size, dilation).double()
    x = torch.randn(3, 6, height, width, dtype=torch.float64, requires_grad=True)
    last = x.contiguous(memory_format=torch.channels_last)
    between = F.conv2d(x, ours.depthwise, padding=dilation * (size // 2), dilation=dilation, groups=6)
    leaves = (x, ours.depthwise, ours.pointwise)
    expected = gradients(F.conv2d(between, ours.pointwise), *leaves)
    torch.testing.assert_close(gradients(ours(last), *leaves), expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), expected[0], rtol=1e-12, atol=1e-12)


def test_frozen_weights_get_no_gradient_and_keep_no_map() -> None:
    convolution = SeparableConv(4, 5).requires_grad_(False)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    y = convolution(x)
    assert not any(saved is not None and saved.shape == x.shape for saved in y.grad_fn.saved_tensors)
    y.sum().backward()
    assert x.grad is not None
    assert convolution.depthwise.grad is None and convolution.pointwise.grad is None


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("height", "width"), [*SIDES, (32, 32), (33, 31)])
def test_gradients_in_bfloat16_are_those_of_32_bits(size: int, dilation: int, height: int, width: int) -> None:
    """Also where the library's are not: PyTorch 2.13, a dilated kernel on 32 x 32 pixels."""
    torch.manual_seed(0)
    ours = SeparableConv(16, size, dilation)
    x = torch.randn(20, 16, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    leaves = (x, ours.depthwise, ours.pointwise)
    expected = gradients(ours(x), *leaves)
    with torch.autocast("cpu", torch.bfloat16):
        result = ours(x)
    assert result.dtype == torch.bfloat16
    for found, exact in zip(gradients(result, *leaves), expected, strict=True):
        assert (found.float() - exact).norm() < 0.02 * exact.norm()


def test_halving_in_bfloat16_is_that_of_32_bits() -> None:
    halving = HalvingConv(6)
    x = torch.randn(3, 6, 9, 12, requires_grad=True)
    expected = gradients(halving(x), x, halving.weight)
    with torch.autocast("cpu", torch.bfloat16):
        result = halving(x.bfloat16())
    assert result.dtype == torch.bfloat16 and result.shape == (3, 6, 5, 6)
    for found, exact in zip(gradients(result, x, halving.weight), expected, strict=True):
        assert (found.float() - exact).norm() < 0.02 * exact.norm()


def test_float16_goes_by_the_library() -> None:
    convolution = SeparableConv(4, 3)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        y = average_pool(convolution(x))
    assert y.dtype == torch.float16 and "Separable" not in y.grad_fn.next_functions[0][0].name()


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_average_pooling_in_bfloat16_is_that_of_32_bits(height: int, width: int) -> None:
    x = torch.randn(3, 6, height, width).bfloat16().requires_grad_()
    found, expected = gradients(average_pool(x), x), gradients(average_pool(x.float()), x)
    for one, exact in zip(found, expected, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one.float() - exact.float()).norm() <= 0.01 * exact.float().norm()


@pytest.mark.parametrize(("height", "width"), SIDES)
def test_average_pooling_equals_the_librarys(height: int, width: int) -> None:
    x = torch.randn(3, 6, height, width, dtype=torch.float64, requires_grad=True)
    expected = gradients(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False), x)
    torch.testing.assert_close(gradients(average_pool(x), x), expected, rtol=1e-12, atol=1e-12)
