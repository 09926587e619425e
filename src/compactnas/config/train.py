"""Training from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.config.requiring import require


@dataclass(frozen=True)
class TrainConfig:
    """Training from scratch (paper, section 4, "Hyperparameters").

    Attributes:
        epochs: passes over the training part.
        batch_size: patches of a step; the paper does not say.
        optimizer: `sgd` with a cosine (the paper), or `nadam` halved every 5 epochs (Sen2LCZ-Net).
        learning_rate: at the start.
        learning_rate_min: at the end of the cosine.
        momentum: of SGD.
        nesterov: whether that momentum is Nesterov's.
        weight_decay: of all weights.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        augment: `dihedral` turns and flips training patches, `none` does not.
        shift: most pixels by which training patches are moved, down or up and right or left; beyond its edge a patch is
            mirrored. 0 moves none.
        radiometric_jitter: Standard deviation of random brightness: of the logarithm of a factor for the whole patch,
            and of an offset of each band in units of the band's standard deviation; 0 disables it.
        label_smoothing: probability of the targets that is spread over all classes.
        mixup: parameter of the Beta distribution by which two patches are added; 0 adds none.
        cutmix: parameter of the Beta distribution by which a box of one patch is put into another; 0 puts none.
            With mixup too, a coin decides for each batch.
        balance: how evenly classes are drawn: each patch with the frequency of its class to the power of minus this;
            0 takes every patch once an epoch, 1 all classes equally often.
        ema_decay: decay of an exponential average of the weights, which is what is kept; 0 keeps the last weights.
        teachers: folders of runs whose networks teach: the mean of their answers over the 8 symmetries of the square.
        teacher_weight: share of their answer in the target, beside the class.
        teacher_temperature: by which their logits are divided.
        validate_every: epochs between measurements on the validation part; 0 only at the end.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        on_divergence: what happens when a loss is no finite number: `stop`, or `lower`, halve the learning rate and
            go on from the last checkpoint.
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
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.5
    teacher_temperature: float = 1.0
    validate_every: int = 5
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"train.epochs: {self.epochs} is less than 1")
        require(
            self.batch_size >= 2, f"train.batch_size: {self.batch_size} is less than 2; batch norm needs two patches"
        )
        for name in ("label_smoothing", "ema_decay"):
            value = getattr(self, name)
            require(0 <= value < 1, f"train.{name}: {value:g} is outside 0 to 1; 0: none")
        require(self.shift >= 0, f"train.shift: {self.shift} is less than 0; 0: none")
        require(
            0 <= self.radiometric_jitter <= 2,
            f"train.radiometric_jitter: {self.radiometric_jitter:g} is outside 0 to 2; 0: none",
        )
        for name in ("mixup", "cutmix", "balance"):
            value = getattr(self, name)
            require(0 <= value <= 100, f"train.{name}: {value:g} is outside 0 to 100; 0: none")
        require(0 < self.teacher_weight <= 1, f"train.teacher_weight: {self.teacher_weight:g} is outside 0 to 1")
        require(self.teacher_temperature > 0, f"train.teacher_temperature: {self.teacher_temperature:g} is not above 0")

    @property
    def soft(self) -> bool:
        """Whether the targets are more than each patch's class."""
        return bool(self.label_smoothing or self.mixup or self.cutmix or self.teachers)
