"""A layer beside the identity, and the reduction whose operation is searched: the parts of the `mobile` layout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.cell import CellPlan, candidate_output
from compactnas.nn.operations import build_operation
from compactnas.nn.sample import Sample
from compactnas.nn.state import State
from compactnas.space.operation_specs import OPERATIONS


class Layer(nn.Module):
    """The identity plus the sampled operation of one row of alpha (MobileNetV2's residual bottleneck).

    Args:
        plan: Plan of the network.
        row: Row of alpha.
        channels: Number of channels.
    """

    def __init__(self, plan: CellPlan, row: int, channels: int) -> None:
        super().__init__()
        self.row = row
        self.operations = nn.ModuleList(build_operation(name, channels, plan.norm) for name in plan.candidates[row])

    def forward(self, inputs: Sequence[State], sample: Sample) -> State:
        """Add the operations that run to the map."""
        (state,) = inputs
        y = state.x
        for part in _outputs(self.operations, self.row, state, sample):
            y = y + part
        return State(y)


class SearchedReduction(nn.Module):
    """The sampled operation of one row of alpha at stride 2, without a shortcut.

    MobileNetV2 has no shortcut at stride 2 either (Sandler et al. 2018, figure 4d): the number of channels changes, so
    a shortcut would need a convolution of its own. A reduction always runs, so nothing has to bypass it.

    Args:
        plan: Plan of the network.
        row: Row of alpha.
        channels: Number of channels before and after.
    """

    def __init__(self, plan: CellPlan, row: int, channels: tuple[int, int]) -> None:
        super().__init__()
        self.row = row
        builders = [OPERATIONS[name].build_reduction for name in plan.candidates[row]]
        assert all(builders), "the search space has checked its operations"
        self.operations = nn.ModuleList(build(*channels, plan.norm) for build in builders if build is not None)

    def forward(
        self, state: State, sample: Sample, channels: int = 0
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """Halve the side; if `channels` is given, compute only the first `channels` outputs."""
        parts = _outputs(self.operations, self.row, state, sample, channels)
        assert parts, "no operation of the reduction runs"
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


def _outputs(
    operations: nn.ModuleList, row: int, state: State, sample: Sample, channels: int = 0
) -> list[Float[Tensor, "..."]]:
    """Run the sampled candidates of a row, each times its weight, and add the weights of those that do not run."""
    parts: list[Tensor] = []
    for index in sample.candidates(row):
        operation = operations[index] if not channels else partial(operations[index], channels=channels)
        parts.append(candidate_output(operation, row, index, state, sample))
    if sample.silent is not None and parts:
        parts[-1] = parts[-1] + sample.silent[row]
    return parts
