"""Temperature of a run: a divisor of its logits, kept beside the weights and applied when they are loaded."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.nn.registry import head_of

FILE = "temperature.json"
AGAIN = "remove it, or fit it again with `compactnas evaluate --temperature`"


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature, and what it changed on the part that it was fitted on.

    Attributes:
        temperature: Divisor of the logits. Above 1, the network was too confident.
        part: Part that it was fitted on.
        patches: Number of patches of that part.
        ece_before: Expected calibration error there without the temperature.
        ece_after: The same with it.
    """

    temperature: float
    part: str
    patches: int
    ece_before: float
    ece_after: float

    def words(self) -> str:
        """Say what the temperature is and what it changed."""
        kind = "too confident" if self.temperature > 1 else "not confident enough"
        return (
            f"temperature {self.temperature:.3g} (the network was {kind}): expected calibration error "
            f"{100 * self.ece_before:.2f} % before, {100 * self.ece_after:.2f} % after, "
            f"on {self.patches} patches of the {self.part} part"
        )

    def write(self, folder: Path) -> None:
        """Write `temperature.json` of a run."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Temperature | None:
        """Read `temperature.json` of a run; None if there is none.

        Raises:
            UserError: The file is damaged.
        """
        file = folder / FILE
        if not file.exists():
            return None
        raw = read_json(file, AGAIN)
        try:
            found = cls(
                float(raw["temperature"]),
                str(raw["part"]),
                int(raw["patches"]),
                float(raw["ece_before"]),
                float(raw["ece_after"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            raise UserError(f"{file}: not a fitted temperature; {AGAIN}") from None
        if not (math.isfinite(found.temperature) and found.temperature > 0):
            raise UserError(f"{file}: a temperature of {found.temperature:g} is not above 0; {AGAIN}")
        return found


def require_one_head(network: nn.Module) -> None:
    """Raise a `UserError` if a network has no single last layer that could be divided."""
    if len(getattr(network, "early_heads", ())):
        raise UserError(
            "model: Sen2LCZ-Net-MF averages the probabilities of four heads, so no temperature divides its logits; "
            "leave out --temperature, or train sen2lcz"
        )


def divide_logits(network: nn.Module, temperature: float) -> None:
    """Divide the logits of a network by dividing the weights of its last layer, in place."""
    require_one_head(network)
    linear = head_of(network)
    with torch.no_grad():
        linear.weight.div_(temperature)
        if linear.bias is not None:
            linear.bias.div_(temperature)
