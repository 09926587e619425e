"""The stem that normalises half of its channels by patch: shares of a batch that are empty, and maps of one pixel."""

from __future__ import annotations

import pytest
import torch

from compactnas.nn.norms import HalfInstanceNorm, final_norm


@pytest.mark.parametrize("shape", [(0, 6, 5, 5), (3, 6, 1, 1), (1, 6, 5, 5)])
@pytest.mark.parametrize("narrow", [False, True])
def test_an_empty_share_and_one_pixel_are_normalised(shape: tuple[int, ...], narrow: bool) -> None:
    """An empty share still gives its parameters gradients: processes add them."""
    norm = HalfInstanceNorm(6, final_norm).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        norm.own.weight.copy_(torch.rand(3))
        norm.own.bias.copy_(torch.rand(3))
    x = torch.randn(*shape)
    if narrow and (not shape[0] or shape[2] == 1):
        x, first = x[:, :4], 2  # batch norm of the other half needs a spread in training
        own = norm.narrowed(x.repeat(1, 1, 1, 1)) if shape[0] > 1 else None
        assert own is None or torch.allclose(own[:, :first, 0, 0], norm.own.bias[:first])
        return
    y = norm(x)
    y.sum().backward()
    assert y.shape == x.shape and norm.own.weight.grad is not None
    if shape[2] == 1:
        assert torch.allclose(y[:, :3, 0, 0], norm.own.bias.expand(3, 3))
    if shape[0] == 1:
        expected = (x[:, :3] - x[:, :3].mean((2, 3), keepdim=True)) / x[:, :3].std((2, 3), correction=0, keepdim=True)
        assert torch.allclose(
            y[:, :3], expected * norm.own.weight[:, None, None] + norm.own.bias[:, None, None], atol=1e-3
        )
