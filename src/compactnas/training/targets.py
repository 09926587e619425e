"""Soft targets: label smoothing, and the probabilities of teachers.

Sources: label smoothing, Szegedy et al. 2016; distillation, Hinton et al. 2015.
"""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

Targets = Float[Tensor, "batch classes"]


def soft_targets(
    labels: Int64[Tensor, " batch"],
    classes: int,
    smoothing: float,
    teacher_probabilities: Targets | None,
    teacher_weight: float,
) -> Targets:
    """Probabilities that the network should predict: the smoothed label, mixed with a teacher's probabilities.

    Args:
        labels: True classes.
        classes: Number of classes.
        smoothing: Probability that is spread evenly over all classes.
        teacher_probabilities: Probabilities of the teachers, if there are any.
        teacher_weight: Weight of the teachers' probabilities.
    """
    smoothed = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
    return smoothed if teacher_probabilities is None else smoothed.lerp(teacher_probabilities, teacher_weight)


def soft_loss_and_accuracy(
    logits: Targets, targets: Targets, labels: Int64[Tensor, " batch"], rows: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy with soft targets, and accuracy: this process's sums, divided by the `rows` of the whole batch."""
    accuracy = (logits.detach().argmax(dim=-1) == labels).float().sum() / rows
    return F.cross_entropy(logits, targets, reduction="sum") / rows, accuracy
