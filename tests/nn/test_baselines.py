"""Baselines: sizes that the paper prints, and what every network must do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from compactnas.errors import UserError
from compactnas.nn.baselines import BASELINES
from compactnas.nn.baselines._layers import initialise
from compactnas.nn.registry import ModelSpec, build

SIZES = {  # millions of parameters and of MACs with 10 bands, 17 classes, 32 px
    "resnet8": (0.0793, 13.53),
    "resnet20": (0.2737, 41.85),
    "resnet32": (0.468, 70.16),
    "resnet110": (1.732, 254.18),
    "sen2lcz_mf": (0.791, 36.87),
}


def digits(text: float) -> int:
    return len(str(text).split(".")[1])


@pytest.mark.parametrize("name", SIZES)
def test_has_the_printed_size(name: str) -> None:
    with torch.device("meta"):
        network = BASELINES[name].build(10, 17).eval()
        x = torch.empty(1, 10, 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(x)
    parameters, macs = SIZES[name]
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, digits(parameters)) == parameters
    assert round(counter.get_total_flops() / 2 / 1e6, digits(macs)) == macs


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("patch_px", [32, 64, 15])
def test_takes_any_patch(name: str, patch_px: int) -> None:
    network = BASELINES[name].build(3, 5).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 3, patch_px, patch_px))
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", BASELINES)
def test_every_parameter_is_trained_and_a_step_helps(name: str) -> None:
    torch.manual_seed(0)
    network = BASELINES[name].build(4, 3).train()
    x, y = torch.rand(8, 4, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # the same dropout
        return F.cross_entropy(network(x), y)

    before = loss()
    before.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    norm = sum(float(g.square().sum()) for g in gradients.values() if g is not None)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter -= 0.001 / norm * parameter.grad
        assert loss() < before - 0.0005  # first order: 0.001 less


def test_resnet_block_is_its_formula() -> None:
    """A block with its convolutions at zero passes on what its shortcut lets through."""
    network = BASELINES["resnet8"].build(3, 5).eval()
    block = network.get_submodule("blocks.1")
    first = block.get_submodule("second.0")
    torch.nn.init.zeros_(first.get_parameter("weight"))
    x = torch.rand(1, 16, 8, 8)
    weight = block.get_submodule("shortcut.1").get_parameter("weight")
    with torch.no_grad():
        expected = F.relu(F.conv2d(x.reshape(1, 16, 4, 2, 4, 2).mean(dim=(3, 5)), weight))
        torch.testing.assert_close(block(x), expected)


def test_fusion_gives_the_mean_of_four_softmaxes() -> None:
    torch.manual_seed(1)
    network = BASELINES["sen2lcz_mf"].build(3, 5).eval()
    outputs: list[torch.Tensor] = []
    heads = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert len(heads) == 4
    for head in heads:
        head.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        probability = network(torch.rand(2, 3, 32, 32)).softmax(dim=1)
    expected = torch.stack([output.softmax(dim=1) for output in outputs]).mean(dim=0)
    torch.testing.assert_close(probability, expected)


def test_patches_that_are_too_small_for_a_network_are_one_line() -> None:
    with pytest.raises(UserError, match="model: sen2lcz takes patches of 8 px or more, not 7 px"):
        ModelSpec("sen2lcz", 3, 5, 7)
    for name, baseline in BASELINES.items():
        assert build(ModelSpec(name, 3, 5, baseline.least_px)).eval()(
            torch.rand(2, 3, *[baseline.least_px] * 2)
        ).shape == (2, 5)


def test_initial_weights_of_a_grouped_convolution_follow_the_outputs_of_its_group() -> None:
    torch.manual_seed(0)
    plain, grouped = torch.nn.Conv2d(256, 4, 3), torch.nn.Conv2d(256, 256, 3, groups=64)
    for layer in (plain, grouped):  # both have 4 outputs for each input
        initialise(layer)
    assert float(grouped.weight.detach().std()) == pytest.approx(float(plain.weight.detach().std()), rel=0.05)
