"""The fast gradients of depthwise convolutions are the library's own."""

import pytest
import torch
from torch.nn import functional as F

from compactnas.depthwise import DepthwiseConv


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 12), (9, 7), (4, 4), (1, 1), (2, 2)])
def test_gradients_equal_the_librarys(size: int, dilation: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    convolution = DepthwiseConv(6, size, dilation).double()
    x = torch.randn(3, 6, height, width, dtype=torch.float64).to(memory_format=torch.channels_last)
    grad = torch.randn_like(x)
    x.requires_grad_()
    y = convolution(x)
    y.backward(grad)
    weight = convolution.weight.detach().clone().requires_grad_()
    plain = x.detach().clone().requires_grad_()
    expected = F.conv2d(plain, weight, padding=dilation * (size // 2), dilation=dilation, groups=6)
    expected.backward(grad)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, plain.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(convolution.weight.grad, weight.grad, rtol=1e-12, atol=1e-12)


def test_frozen_weights_get_no_gradient() -> None:
    convolution = DepthwiseConv(4, 5).requires_grad_(False)
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    convolution(x).sum().backward()
    assert x.grad is not None
    assert convolution.weight.grad is None
