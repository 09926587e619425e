"""Train a network from scratch (paper, Algorithm 1, last line, and section 4)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.config import TrainConfig
from compactnas.data import Indices, Source
from compactnas.data.batches import Batches
from compactnas.data.prefetch import prefetched
from compactnas.data.streams import Stream
from compactnas.distributed.sync_layers import use_global_layers
from compactnas.evaluation.evaluate import measure, probabilities
from compactnas.io.jsonl import Row
from compactnas.nn.registry import normalise_of
from compactnas.runs.checkpoints import EACH_EPOCH, CheckpointPolicy
from compactnas.training.augment import jitter_radiometry, mix_patches
from compactnas.training.cuda_graph import ReplayedStep
from compactnas.training.dense_average import DenseAverage
from compactnas.training.ema import WeightAverage
from compactnas.training.norm_statistics import CALIBRATION, recalibrate
from compactnas.training.optim import (
    forward_logits,
    loss_and_accuracy,
    process_group_of,
    set_up_optimizer,
    take_step,
    to_device,
)
from compactnas.training.resumable_loop import ResumableLoop, StepResult
from compactnas.training.runtime import Listener, cosine
from compactnas.training.targets import soft_loss_and_accuracy, soft_targets

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Training:
    """Training of one network; the trainer of a `ResumableLoop`.

    Args:
        network: Network from raw patches to logits; its normalisation is set.
        config: Training config.
        source: Patches.
        train: Rows to train on.
        validation: Rows to validate on; may be empty.
        seed: Random seed for the order of the data, augmentation and dropout.
        fabric: Device and precision.
        channels_last: Whether to use the channels-last memory format.
        teacher_probabilities: Mean probabilities of the config's teachers for each row of the source, if it has any.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        source: Source,
        train: Indices,
        validation: Indices,
        seed: int,
        fabric: Fabric,
        *,
        channels_last: bool,
        teacher_probabilities: Float[Tensor, "rows classes"] | None = None,
    ) -> None:
        assert (teacher_probabilities is not None) == bool(config.teachers)
        self.seed, self.classes = seed, len(source.facts.classes)
        self.teacher_probabilities = teacher_probabilities
        self.config, self.source, self.validation, self.fabric = config, source, validation, fabric
        self.channels_last, self.processes = channels_last, process_group_of(fabric)
        use_global_layers(network, self.processes)
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        self.network = to_device(network, fabric.device, self.memory)
        self.parameters = list(network.parameters())
        # In fp16 a fused step would unscale the gradient only after clipping.
        scaled = bool(fabric.strategy.precision.state_dict())
        self.optimizer = set_up_optimizer(fabric, _optimizer(network, config, fused=not scaled))
        self.replays = (
            fabric.device.type == "cuda" and self.processes.count == 1 and config.optimizer == "sgd" and not scaled
        )
        self.replayed: ReplayedStep | None = None
        self.average = WeightAverage(self.network, config.ema_decay) if config.ema_decay else None
        self.dense = DenseAverage(self.network, config.epochs, config.average_last) if config.average_last else None
        self.batches = Batches(
            source,
            train,
            config.batch_size,
            seed=seed,
            stream=Stream.TRAIN,
            augment=config.augment,
            balance=config.balance,
            processes=self.processes,
            shift=config.shift,
        )
        self.std = normalise_of(self.network).std
        self.rate = config.learning_rate  # of the last step

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: the average of the weights if there is one, else the last ones."""
        if self.dense and self.dense.network is not None:
            return self.dense.network
        return self.average.network if self.average else self.network

    def learning_rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step: a cosine for SGD, halved every 5 epochs for Nadam (Qiu et al. 2020)."""
        config = self.config
        if config.optimizer == "nadam":
            return config.learning_rate * 0.5 ** (epoch // 5)
        progress = (epoch + step / len(self.batches)) / config.epochs
        return cosine(config.learning_rate, config.learning_rate_min, progress)

    def run_epoch(self, epoch: int, first_step: int = 0, rate_factor: float = 1.0) -> Generator[StepResult, None, None]:
        """Run the steps of an epoch, from `first_step` on."""
        self.network.train()
        batches = prefetched(self.batches.epoch(epoch, first_step), self.fabric.device, self.memory)
        shares = self.batches.shares(epoch, first_step) if self.teacher_probabilities is not None else repeat(None)
        on_cpu = self.fabric.device.type == "cpu"  # elsewhere, reading a loss waits for the device
        for number, ((x, y), share) in enumerate(zip(batches, shares, strict=False), first_step):
            rows = self.batches.rows(number)
            self.rate = self.learning_rate(epoch, number) * rate_factor
            loss, hits = self._step(self.rate, self._given(x, y, rows, (epoch, number), share), rows)
            if self.average:
                self.average.update(self.network)
            if self.dense:
                self.dense.update(self.network, epoch)
            shown = {"loss": float(loss), "accuracy": float(hits)} if on_cpu else {}
            yield StepResult(((rows, {"loss": loss, "accuracy": hits}),), shown)

    def epoch_row(self, epoch: int) -> Row:
        """Learning rate of the last step, and accuracy on the validation part; at the end, the averaged epochs."""
        row: Row = {"learning_rate": round(self.rate, 8)}
        if self.dense and epoch + 1 == self.config.epochs:
            loss = self._validation_loss if len(self.validation) else None
            row["averaged_from"] = self.dense.choose(self._calibrate, loss) + 1
        return row | {"validation_oa": self._validate(epoch)}

    def data_rows(self, epoch: int, step: int) -> Indices:
        """Rows of the data in the batch of a step."""
        return self.batches.chosen(epoch, step)

    def finished(self, rows: list[Row]) -> bool:
        """A training runs all its epochs."""
        return False

    def _given(
        self, x: Tensor, y: Tensor, rows: int, step: tuple[int, int], share: Indices | None
    ) -> tuple[Tensor, ...]:
        """Augment the patches of a step, and add soft targets if the config asks for them."""
        config = self.config
        if config.radiometric_jitter:
            x = jitter_radiometry(
                x, config.radiometric_jitter, self.std, (self.seed, *step), rows, self.processes.share(rows)
            )
        if not config.soft:
            return x, y
        table = self.teacher_probabilities
        from_teachers = None if share is None or table is None else table[share].to(x.device)
        targets = soft_targets(y, self.classes, config.label_smoothing, from_teachers, config.teacher_weight)
        if config.mixup or config.cutmix:
            x, targets = mix_patches(x, targets, (self.seed, *step), mixup=config.mixup, cutmix=config.cutmix)
        return x, y, targets

    def _step(self, rate: float, given: tuple[Tensor, ...], rows: int) -> tuple[Tensor, ...]:
        """Take a step and return loss and accuracy. One process on a CUDA device replays full batches."""
        take = partial(self._take, rows=rows)
        if not self.replays or rows < self.config.batch_size:
            return take(rate, *given)
        self.replayed = self.replayed or ReplayedStep(take)
        return self.replayed(torch.full((), rate, device=self.fabric.device), *given)

    def _take(
        self, rate: float | Tensor, x: Tensor, y: Tensor, targets: Tensor | None = None, *, rows: int
    ) -> tuple[Tensor, Tensor]:
        """Take a step with this process's share of a batch of `rows` patches."""
        logits = forward_logits(self.fabric, self.network, x)
        loss, hits = (
            loss_and_accuracy(logits, y, rows) if targets is None else soft_loss_and_accuracy(logits, targets, y, rows)
        )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        loss = loss.detach()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        take_step(self.fabric, self.processes, self.optimizer, self.parameters, (loss, hits), self.config.gradient_clip)
        return loss, hits

    def _validate(self, epoch: int) -> float | None:
        every = self.config.validate_every
        last = epoch + 1 == self.config.epochs or self.config.max_steps  # these may end in any epoch
        if not len(self.validation) or not (last or (every and (epoch + 1) % every == 0)):
            return None
        measures, _ = measure(
            self.result,
            self.source,
            self.validation,
            self.fabric.device,
            channels_last=self.channels_last,
            processes=self.processes,
        )
        return round(measures.oa, 6)

    def _calibrate(self, network: nn.Module) -> None:
        """Compute the running statistics of averaged weights on training patches without augmentation."""
        batches = replace(self.batches, stream=Stream.CALIBRATION, augment="none", balance=0.0, shift=0)
        recalibrate(network, batches, -(-CALIBRATION // batches.batch_size), self.fabric.device, self.memory)

    def _validation_loss(self, network: nn.Module) -> float:
        """Compute the mean cross-entropy on the validation part."""
        found = probabilities(
            network, self.source, self.validation, self.fabric.device, channels_last=self.channels_last
        )
        labels = torch.from_numpy(self.source.facts.labels[self.validation])
        return float(found.gather(1, labels[:, None]).clamp_min(1e-12).log().double().mean().neg())

    def state(self) -> dict[str, Any]:
        """Everything that a resumed training needs to end with the same bytes."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.fabric.strategy.precision.state_dict(),
        } | {
            name: average.state()
            for name, average in (("averaged", self.average), ("dense", self.dense))
            if average is not None
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore such a state."""
        self.replayed = None  # the state of the optimiser has new addresses
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.restore(state["averaged"])
        if self.dense:
            self.dense.restore(state.get("dense"))
        self.fabric.strategy.precision.load_state_dict(state.get("scaler", {}))

    def run(
        self, folder: Path, listener: Listener, *, resume: bool, name: str, policy: CheckpointPolicy = EACH_EPOCH
    ) -> list[Row]:
        """Run the remaining epochs. Metrics and checkpoints go to `folder/train`."""
        loop = ResumableLoop(
            self,
            listener,
            folder / "train",
            f"train {name}",
            epochs=self.config.epochs,
            steps=len(self.batches),
            max_steps=self.config.max_steps,
            on_divergence=self.config.on_divergence,
            processes=self.processes,
            policy=policy,
        )
        return loop.run(resume=resume)


def _optimizer(network: nn.Module, config: TrainConfig, *, fused: bool) -> torch.optim.Optimizer:
    if config.optimizer == "nadam":
        return torch.optim.NAdam(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov and config.momentum > 0,
        fused=fused,
    )
