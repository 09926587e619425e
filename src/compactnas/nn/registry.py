"""Descriptions of models, and the networks that they describe. Torch is imported only to build a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.nn.baselines import BASELINES
from compactnas.space.genotype import Genotype

if TYPE_CHECKING:
    from torch import nn

    from compactnas.nn.normalise import Normalise

FILE = "model.json"

SEARCHED = "genotype"
LIMITS = {"bands": 1024, "classes": 10_000, "patch_px": 4096}


@dataclass(frozen=True)
class ModelSpec:
    """Description from which a network is built before its weights are read.

    Attributes:
        name: `genotype`, or the name of a baseline.
        bands: Number of bands of the patches.
        classes: Number of classes.
        patch_px: Side of the patches that it was trained on.
        genotype: Genotype of a searched network, else None.
    """

    name: str
    bands: int
    classes: int
    patch_px: int
    genotype: Genotype | None = None

    def __post_init__(self) -> None:
        if (self.genotype is None) == (self.name == SEARCHED):
            raise UserError(f"model: {self.name[:80]!r} and its genotype do not match; only 'genotype' has one")
        if self.name != SEARCHED and self.name not in BASELINES:
            known = ", ".join(BASELINES)
            raise UserError(f"model: {self.name[:80]!r} is unknown; use one of {known}, or a genotype's file")
        for key, most in LIMITS.items():
            if not 1 <= getattr(self, key) <= most:
                raise UserError(f"model: {key} = {getattr(self, key)} is outside 1 to {most}")

        if self.name in BASELINES and self.patch_px < (least := BASELINES[self.name].least_px):
            raise UserError(
                f"model: {self.name} takes patches of {least} px or more, not {self.patch_px} px; use larger patches"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON values."""
        genotype = None if self.genotype is None else json.loads(self.genotype.to_json())
        return {key: getattr(self, key) for key in ("name", *LIMITS)} | {"genotype": genotype}

    @classmethod
    def read(cls, folder: str | Path) -> ModelSpec:
        """Read the description of a run's trained network."""
        file = Path(folder) / FILE
        return cls.from_json(read_json(file, "train a model here first with `compactnas train`"), str(file))

    @classmethod
    def from_json(cls, raw: Any, where: str) -> ModelSpec:
        """Read and check a description; `where` names its origin in error messages."""
        keys = {"name", *LIMITS, "genotype"}
        if not isinstance(raw, dict) or set(raw) != keys:
            raise UserError(f"{where}: not a model's description; it must have the keys {', '.join(sorted(keys))}")
        numbers = {key: raw[key] for key in LIMITS}
        if not isinstance(raw["name"], str) or not all(type(value) is int for value in numbers.values()):
            raise UserError(f"{where}: name must be text, and {', '.join(LIMITS)} whole numbers")
        genotype = None if raw["genotype"] is None else Genotype.from_values(raw["genotype"], where)
        return cls(raw["name"], genotype=genotype, **numbers)


def build(spec: ModelSpec) -> nn.Module:
    """Build the untrained network: raw patches (batch, bands, height, width) in, logits (batch, classes) out."""
    from compactnas.nn.network import Network

    if spec.genotype is not None:
        return Network(spec.genotype, spec.bands, spec.classes)
    return BASELINES[spec.name].build(spec.bands, spec.classes)


def normalise_of(network: nn.Module) -> Normalise:
    """Return the layer that normalises a network's input."""
    from compactnas.nn.normalise import Normalise

    module = network.normalise
    assert isinstance(module, Normalise)
    return module


def head_of(network: nn.Module) -> nn.Linear:
    """Return the layer that computes a network's logits from its pooled features."""
    from torch import nn

    module = network.head
    assert isinstance(module, nn.Linear)
    return module
