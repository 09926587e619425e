"""Predictions of trained networks, as targets for another network (distillation)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.adopted.manifest import is_adopted
from compactnas.adopted.opening import trained_for
from compactnas.data import Dataset, Facts
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import probabilities

CPU = torch.device("cpu")


def predict_by_teachers(
    teachers: Sequence[str], data: Dataset, device: torch.device, *, temperature: float
) -> Float[Tensor, "rows classes"] | None:
    """Mean probabilities of the teachers for each row of the training part; None without teachers.

    Each teacher predicts once, averaged over the 8 symmetries of a patch. Augmented patches then share their
    target, and a training step costs no more than without a teacher.

    Args:
        teachers: Folders of runs or adopted networks.
        data: Patches.
        device: Device of the teachers; an adopted network runs on the CPU.
        temperature: Divides the teachers' logits.

    Raises:
        UserError: A folder has no trained network, or one with other bands or classes.
    """
    if not teachers:
        return None
    facts, rows = data.source.facts, data.parts["train"]
    found = torch.zeros(len(facts.labels), len(facts.classes))
    for folder in map(Path, teachers):
        network, place = _teacher(folder, facts, device)
        found[rows] += probabilities(network, data.source, rows, place, tta=True, temperature=temperature)
    return found / len(teachers)


def _teacher(folder: Path, facts: Facts, device: torch.device) -> tuple[nn.Module, torch.device]:
    """Open the network of a run or an adopted one, and choose its device."""
    try:
        network = trained_for(folder, facts).network
    except UserError as error:
        named = str(error) if str(folder) in str(error) else f"{folder}: {error}"
        raise UserError(f"train.teachers: {named}") from None
    place = CPU if is_adopted(folder) else device
    return network.to(place), place
