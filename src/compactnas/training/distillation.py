"""Predictions of trained networks, as targets for another network (distillation)."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.config import TrainConfig
from compactnas.data import Dataset
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import probabilities, require_fit
from compactnas.runs.folder import load, load_spec


def predict_by_teachers(
    config: TrainConfig, data: Dataset, device: torch.device
) -> Float[Tensor, "rows classes"] | None:
    """Mean probabilities of a config's teachers for each row of the training part; None without teachers.

    Each teacher predicts once, averaged over the 8 symmetries of a patch. Augmented patches then share their
    target, and a training step costs no more than without a teacher.

    Args:
        config: Training config with the teachers' run folders.
        data: Patches.
        device: Device of the teachers.

    Raises:
        UserError: A folder has no trained network, or one with other bands or classes.
    """
    if not config.teachers:
        return None
    facts, rows = data.source.facts, data.parts["train"]
    found = torch.zeros(len(facts.labels), len(facts.classes))
    for folder in map(Path, config.teachers):
        spec = load_spec(folder)
        try:
            require_fit(facts, spec.bands, spec.classes)
        except UserError as error:
            raise UserError(f"train.teachers: {folder}: {error}") from None
        network = load(folder).to(device)
        found[rows] += probabilities(
            network, data.source, rows, device, tta=True, temperature=config.teacher_temperature
        )
    return found / len(config.teachers)
