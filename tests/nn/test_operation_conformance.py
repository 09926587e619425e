"""Every registered operation keeps what an operation promises, and the checks find planted mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from support import operation_checks as checks
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.cost.table import CostTable
from compactnas.nn.network import Network
from compactnas.nn.norms import Norm, candidate_norm
from compactnas.nn.state import EdgeWeight, State, weighed
from compactnas.nn.supernet import SuperNet, certain_sample, copy_weights
from compactnas.reporting.figures.operations import operation_styles
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import DARTS_OPERATIONS, NONE, OPERATIONS, Operation
from compactnas.space.search_space import Space

Check = Callable[[Operation], None]
REAL = [name for name in OPERATIONS if name != NONE]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str, check: Check) -> None:
    if name == NONE and check in checks.NOT_RUN:
        pytest.skip("a cell never runs it")
    check(OPERATIONS[name])


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_cost_table_holds_the_declared_costs(name: str) -> None:
    operation, space = OPERATIONS[name], Space(blocks=2, max_depth=1, channels=4)
    space = replace(space, operations=tuple(dict.fromkeys([name, "skip_connect"])))
    macs, parameters = (CostTable.of(space, 1, 3, 5, 9, kind).operations[:, 0] for kind in ("macs", "parameters"))
    assert macs.tolist() == [operation.macs(4, 9, 9), operation.macs(8, 5, 5)]
    assert parameters.tolist() == [operation.parameters(4), operation.parameters(8)]


@pytest.mark.parametrize("name", REAL)
def test_a_derived_network_computes_what_the_supernet_computes(name: str) -> None:
    torch.manual_seed(0)
    space = Space(blocks=2, max_depth=2, nodes=3, channels=4, operations=tuple(dict.fromkeys([NONE, name, *REAL[:2]])))
    genotype = Genotype((((name, 0),), ((name, 0), (name, 1))), (1, 2), 4)
    supernet, network = SuperNet(space, (2, 2), 3, 5), Network(genotype, 3, 5)
    copy_weights(supernet, network)
    x = torch.randn(6, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(network.train()(x), supernet(x, certain_sample(space, genotype)))


def test_labels_and_colours_tell_operations_apart() -> None:
    operations = list(OPERATIONS.values())
    assert len({operation.label for operation in operations}) == len(operations)
    assert len({(*operation.colours, operation.line) for operation in operations}) == len(operations)
    assert all(f".cn-{name} " in operation_styles() for name in OPERATIONS)


def test_the_default_space_is_the_darts_set_alone() -> None:
    assert Space().operations == DARTS_OPERATIONS == tuple(OPERATIONS)[: len(DARTS_OPERATIONS)]


class Planted(nn.Module):
    """An operation whose output is any function of the map and the edge's weight."""

    def __init__(self, output: Callable[[Tensor, EdgeWeight | None], Tensor]) -> None:
        super().__init__()
        self.output = output

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Tensor:
        return self.output(state.x, weight)


def planted(output: Callable[[Tensor, EdgeWeight | None], Tensor]) -> Operation:
    return replace(OPERATIONS["skip_connect"], build=lambda channels, norm: Planted(output))


def convolution(run: Callable[[nn.Conv2d, Tensor], Tensor]) -> Operation:
    """An operation with a 1x1 convolution, whose costs are declared as they are."""

    class Convolution(nn.Module):
        def __init__(self, channels: int, norm: Norm) -> None:
            super().__init__()
            self.layer = nn.Conv2d(channels, channels, 1, bias=False)

        def forward(self, state: State, weight: EdgeWeight | None = None) -> Tensor:
            return weighed(run(self.layer, state.x), weight)

    return replace(
        OPERATIONS["skip_connect"],
        build=Convolution,
        macs=lambda channels, height, width: height * width * channels**2,
        parameters=lambda channels: channels**2,
    )


INVERTED = OPERATIONS["mb_k3_e2"]


def reduced(run: Callable[[nn.Module, State, EdgeWeight | None, int], Tensor]) -> Operation:
    """An inverted residual whose form at stride 2 runs the right module in a wrong way."""

    class Reduction(nn.Module):
        def __init__(self, channels: int, outputs: int, norm: Norm) -> None:
            super().__init__()
            assert INVERTED.build_reduction is not None
            self.right = INVERTED.build_reduction(channels, outputs, norm)

        def forward(self, state: State, weight: EdgeWeight | None = None, channels: int = 0) -> Tensor:
            return run(self.right, state, weight, channels)

    return replace(INVERTED, build_reduction=Reduction)


SEPARABLE = OPERATIONS["sep_conv_3x3"]
MISTAKES: dict[str, tuple[Operation, Check]] = {
    "halves the map": (planted(lambda x, weight: F.max_pool2d(x, 2)), checks.check_shape),
    "drops the border": (planted(lambda x, weight: x[..., 1:-1, 1:-1]), checks.check_shape),
    "writes into its input": (planted(lambda x, weight: x.relu_()), checks.check_shape),
    "ignores the weight": (planted(lambda x, weight: x), checks.check_weight_of_edge),
    "detaches the weight": (
        planted(lambda x, weight: x if weight is None else weight.value.detach() * x),
        checks.check_weight_of_edge,
    ),
    "takes each weight for one": (
        planted(lambda x, weight: weighed(x, weight and EdgeWeight(weight.value, is_one=True))),
        checks.check_weight_of_edge,
    ),
    "gives half of the gradient": (
        planted(lambda x, w: x if w is None else x * (w.value + w.value.detach()) / 2),
        checks.check_weight_of_edge,
    ),
    "never trains its weights": (
        convolution(lambda layer, x: F.conv2d(x, layer.weight.detach())),
        checks.check_gradients,
    ),
    "stops the gradient to its input": (planted(lambda x, weight: x.detach() * 1), checks.check_gradients),
    "declares half of its MACs": (
        replace(SEPARABLE, macs=lambda *shape: SEPARABLE.macs(*shape) // 2),
        checks.check_cost,
    ),
    "declares twice its weights": (
        replace(SEPARABLE, parameters=lambda channels: 2 * SEPARABLE.parameters(channels)),
        checks.check_cost,
    ),
    "ignores `norm`": (
        replace(SEPARABLE, build=lambda channels, norm: SEPARABLE.build(channels, candidate_norm)),
        checks.check_patches_alone,
    ),
    "mixes patches": (planted(lambda x, weight: x - x.mean(dim=0, keepdim=True)), checks.check_patches_alone),
    "hides its weights": (replace(SEPARABLE, parameters=lambda channels: 0), checks.check_has_weights),
    "runs at its full width alone": (convolution(lambda layer, x: layer(x)), checks.check_narrow),
    "keeps the side in a reduction": (
        reduced(lambda right, state, weight, channels: F.interpolate(right(state, weight, channels), scale_factor=2)),
        checks.check_reduction,
    ),
    "keeps the channels in a reduction": (
        replace(INVERTED, build_reduction=lambda channels, outputs, norm: INVERTED.build(channels, norm)),
        checks.check_reduction,
    ),
    "ignores the weight in a reduction": (
        reduced(lambda right, state, weight, channels: right(state, None, channels)),
        checks.check_weight_of_edge,
    ),
    "gives all channels of a reduction": (
        reduced(lambda right, state, weight, channels: right(state, weight)),
        checks.check_narrow,
    ),
    "branches on values": (planted(lambda x, weight: x if bool(x.sum() > 0) else 2 * x), checks.check_export),
    "has no label": (replace(SEPARABLE, label=""), checks.check_drawing),
    "has no colour": (replace(SEPARABLE, colours=("#0072b2", "")), checks.check_drawing),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(mistake: str) -> None:
    operation, check = MISTAKES[mistake]
    with pytest.raises(Exception):  # noqa: B017, PT011  # torch raises errors of its own kinds
        check(operation)


def test_an_operation_without_mistakes_passes() -> None:
    sound = convolution(lambda layer, x: F.conv2d(x, layer.weight[: x.shape[1], : x.shape[1]]))
    for check in checks.CHECKS:
        check(sound)
