"""Baselines: hand-designed networks to compare searched networks with. Module NAME holds the baseline NAME.

A baseline takes raw physical values, normalises them itself and returns logits. To add a baseline, add a module.
Its `build` is `deferred`, so that reports can read the label without torch.
`test_baselines.py` and `test_baseline_conformance.py` in `tests/nn` check every module here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compactnas.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Baseline:
    """A hand-designed network, with its properties for reports and exports.

    Attributes:
        build: Function that makes the network from the numbers of bands and classes. Its attribute `normalise`
            is a `compactnas.nn.normalise.Normalise`, which it applies once to its input, and `head` is the linear layer
            that computes the logits.
        label: Name in tables and figures, as papers write it.
        architecture: Kind of network in the metadata of an export (`mlm:architecture`).
        least_px: Smallest side of a patch.
        compared: Whether studies train it and `compactnas bench` times it by default.
    """

    build: Callable[[int, int], nn.Module]
    label: str
    architecture: str = "CNN"
    least_px: int = 1
    compared: bool = False


BASELINES: Registry[Baseline] = Registry(
    "baseline", "compactnas.nn.baselines", "BASELINE", first=("resnet8", "resnet20", "resnet32", "resnet110")
)
"""Baselines by name; the ResNets come first, from small to large."""


def baseline_label(name: str) -> str:
    """Return the label of a baseline, or the name itself if it is not a baseline."""
    return BASELINES[name].label if name in BASELINES else name


def compared_baselines() -> tuple[str, ...]:
    """List the baselines that studies and benchmarks compare with by default."""
    return tuple(name for name, baseline in BASELINES.items() if baseline.compared)
