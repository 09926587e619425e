"""Training from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.config.paths import as_text, each_as_text
from compactnas.config.requiring import RATES, require, require_not_negative


@dataclass(frozen=True)
class TrainConfig:
    """Training from scratch (paper, section 4, "Hyperparameters").

    Attributes:
        epochs: Number of passes over the training part.
        batch_size: Number of patches in a step; the paper does not give it.
        optimizer: Optimizer: `sgd` with a cosine schedule (the paper), or `nadam`, halved every 5 epochs (Sen2LCZ-Net).
        learning_rate: Learning rate at the start.
        learning_rate_min: Learning rate at the end of the cosine schedule.
        momentum: Momentum of SGD.
        nesterov: Nesterov momentum.
        weight_decay: Weight decay of all weights.
        gradient_clip: Largest norm of the gradient; 0 disables clipping.
        augment: Augmentation of training patches: `dihedral` rotates and flips them.
        shift: Largest random shift of training patches along each axis, in pixels; edges are mirrored. 0 disables it.
        radiometric_jitter: Standard deviation of random changes of brightness: of the logarithm of a factor for the
            whole patch, and of an offset of each band in units of the band's standard deviation; 0 disables them.
        label_smoothing: Share of each target that is spread evenly over all classes; 0 disables it.
        mixup: Parameter of the Beta distribution of mixup; 0 disables it.
        cutmix: Parameter of the Beta distribution of CutMix; 0 disables it. With mixup too, each batch takes one of the
            two at random.
        balance: Class balance of the patches drawn: a patch is weighted by the frequency of its class to the power of
            -balance. 0 takes each patch once an epoch, 1 draws all classes equally often.
        ema_decay: Decay of the exponential moving average of the weights, which replaces them at the end; 0 disables
            it.
        average_last: Share of the epochs at the end whose weights are averaged after each step (SWAD); the average
            replaces the last weights. With a validation part, its loss decides with which of four parts of these epochs
            the average begins. 0 disables it.
        start_from: Folder of a run of the same network, whose weights the training starts from; if empty, weights are
            random. Trainings with the same start can be averaged (`compactnas average`).
        teachers: Folders of runs or adopted networks for distillation. Their probabilities are averaged over the
            networks and the 8 symmetries of the square.
        teacher_weight: Weight of the teachers' probabilities in the target; the class of the patch has the rest.
        teacher_temperature: Temperature of the teachers' logits.
        validate_every: Number of epochs between evaluations on the validation part; 0 evaluates only at the end.
        max_steps: Largest number of steps, to try a setting; 0 sets none.
        on_divergence: Reaction to a loss that is not finite: `stop`, or `lower` to halve the learning rate and continue
            from the last checkpoint.
    """

    epochs: int = 105
    batch_size: int = 64
    optimizer: Literal["sgd", "nadam"] = "sgd"
    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    augment: Literal["none", "dihedral"] = "none"
    shift: int = 0
    radiometric_jitter: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    balance: float = 0.0
    ema_decay: float = 0.0
    average_last: float = 0.0
    start_from: str = ""
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.5
    teacher_temperature: float = 1.0
    validate_every: int = 5
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_from", as_text(self.start_from))
        object.__setattr__(self, "teachers", each_as_text(self.teachers))
        require(self.epochs >= 1, f"train.epochs: {self.epochs} is less than 1; give 1 or more")
        require(
            self.batch_size >= 2,
            f"train.batch_size: {self.batch_size} is less than 2; give 2 or more, because batch norm needs two patches",
        )
        require_not_negative(self, "train", (*RATES, "validate_every", "max_steps"))
        for name in ("label_smoothing", "ema_decay"):
            value = getattr(self, name)
            require(0 <= value < 1, f"train.{name}: {value:g} is out of range; give 0 (off) or more, and less than 1")
        require(
            0 <= self.average_last <= 1,
            f"train.average_last: {self.average_last:g} is not a share; give 0 (off) to 1, such as 0.3",
        )
        require(
            not (self.average_last and self.ema_decay),
            "train.average_last, train.ema_decay: both average the weights; give one of them",
        )
        require(self.shift >= 0, f"train.shift: {self.shift} is negative; give 0 (off) or more")
        require(
            0 <= self.radiometric_jitter <= 2,
            f"train.radiometric_jitter: {self.radiometric_jitter:g} is out of range; give 0 (off) to 2",
        )
        for name in ("mixup", "cutmix", "balance"):
            value = getattr(self, name)
            require(0 <= value <= 100, f"train.{name}: {value:g} is out of range; give 0 (off) to 100")
        require(
            0 < self.teacher_weight <= 1,
            f"train.teacher_weight: {self.teacher_weight:g} is out of range; give more than 0, and 1 at most",
        )
        require(
            self.teacher_temperature > 0,
            f"train.teacher_temperature: {self.teacher_temperature:g} is not above 0; give 1 to leave logits unchanged",
        )

    @property
    def soft(self) -> bool:
        """True if targets are probabilities of several classes instead of one class."""
        return bool(self.label_smoothing or self.mixup or self.cutmix or self.teachers)
