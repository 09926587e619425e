"""Networks that teach: what trained ones answer for the patches that another one is trained on."""

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


def teach(config: TrainConfig, data: Dataset, device: torch.device) -> Float[Tensor, "rows classes"] | None:
    """Mean answer of a config's teachers, for each row of the training part; None if it has no teachers.

    Each is asked once, for the 8 symmetries of a patch: turned patches have the same answer then, and a step costs what
    it costs without a teacher.

    Args:
        config: with the teachers' run folders.
        data: the patches.
        device: where teachers compute.

    Errors:
        UserError: a folder holds no trained network, or one of other bands or classes.
    """
    if not config.teachers:
        return None
    facts, rows = data.source.facts, data.parts["train"]
    answers = torch.zeros(len(facts.labels), len(facts.classes))
    for folder in map(Path, config.teachers):
        spec = load_spec(folder)
        try:
            require_fit(facts, spec.bands, spec.classes)
        except UserError as error:
            raise UserError(f"train.teachers: {folder}: {error}") from None
        network = load(folder).to(device)
        answers[rows] += probabilities(
            network, data.source, rows, device, turns=True, temperature=config.teacher_temperature
        )
    return answers / len(config.teachers)
