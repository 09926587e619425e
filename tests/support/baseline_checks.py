"""Conformance checks for baselines; a failed check raises an `AssertionError`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from compactnas.nn.baselines import Baseline
from compactnas.nn.normalise import Normalise

BANDS, CLASSES, SIDE = 3, 5, 16
MEAN, STD = (0.2, 3.0, -1.0), (0.5, 2.0, 4.0)


def patches(count: int = 8) -> Tensor:
    return torch.randn(count, BANDS, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def trained(baseline: Baseline) -> nn.Module:
    """Build the network in eval mode, after some passes that set its running averages."""
    torch.manual_seed(0)
    network = baseline.build(BANDS, CLASSES).train()
    for _ in range(5):
        network(patches())
    return network.eval()


def check_normalises_once(baseline: Baseline) -> None:
    """Check that `normalise` is applied once, to the raw values."""
    network, x = trained(baseline), patches()
    layer = getattr(network, "normalise", None)
    assert isinstance(layer, Normalise), "a baseline has a `Normalise` in its attribute `normalise`"
    raw = x * torch.tensor(STD).view(-1, 1, 1) + torch.tensor(MEAN).view(-1, 1, 1)
    with torch.no_grad():
        expected, without = network(x), network(raw)
        layer.set(MEAN, STD)
        found = network(raw)
    assert not torch.allclose(without, expected, rtol=0.01), "the answer does not depend on the pixels"
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, msg="pixels are not normalised exactly once")


def check_patches_alone(baseline: Baseline) -> None:
    """Check that the output for a patch does not depend on the rest of its batch, and differs between patches."""
    network, x = trained(baseline), patches()
    with torch.no_grad():
        whole, alone = network(x), network(x[:1])
    torch.testing.assert_close(whole[:1], alone, rtol=1e-3, atol=1e-4, msg="a patch's answer depends on its batch")
    assert not torch.allclose(whole[:1], whole[1:2], rtol=0.001), "two patches have the same answer"


def check_head(baseline: Baseline) -> None:
    """Check that `head` computes the logits: those of half its weights are half as large, if it is the only head."""
    network, x = trained(baseline), patches()
    head = getattr(network, "head", None)
    assert isinstance(head, nn.Linear), "a baseline has a linear layer in its attribute `head`"
    with torch.no_grad():
        whole = network(x)
        for values in head.parameters():
            values.div_(2)
        halved = network(x)
    assert not torch.allclose(whole, halved), "the answer does not depend on `head`"
    if not len(getattr(network, "early_heads", ())):
        torch.testing.assert_close(halved, whole / 2, msg="`head` is not the last layer")


CHECKS: dict[str, Callable[[Baseline], None]] = {
    name.removeprefix("check_"): check for name, check in globals().copy().items() if name.startswith("check_")
}
