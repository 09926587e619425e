"""Training a network from scratch (paper, Algorithm 1, last line, and section 4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional as F

from compactnas.config import TrainConfig
from compactnas.data import Indices, Source
from compactnas.data.batches import Batches
from compactnas.data.feeding import fed
from compactnas.evaluate import measure
from compactnas.loop import Listener, Means, Stage, cosine
from compactnas.runs import Row

STREAM_TRAIN = 3


class Training:
    """One training of one network, searched or not, under one recipe.

    Args:
        network: raw patches in, logits out; its normalisation is set.
        config: the recipe.
        source: the patches.
        train: rows to train on.
        validation: rows to watch; may be empty.
        seed: of the order of the data and of dropout.
        fabric: the machine.
        channels_last: memory format.
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
    ) -> None:
        self.config, self.source, self.validation, self.fabric = config, source, validation, fabric
        self.channels_last = channels_last
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        network = network.to(memory_format=self.memory)  # type: ignore[call-overload]  # absent from torch's stubs
        self.network, self.optimizer = fabric.setup(network, _optimizer(network, config))
        self.parameters = list(network.parameters())
        self.batches = Batches(source, train, config.batch_size, seed, STREAM_TRAIN, config.augment)

    def learning_rate(self, epoch: int, step: int) -> float:
        """Rate of a step: a cosine for SGD, halved every 5 epochs for Nadam (Qiu et al. 2020)."""
        config = self.config
        if config.optimizer == "nadam":
            return config.learning_rate * 0.5 ** (epoch // 5)
        progress = (epoch + step / len(self.batches)) / config.epochs
        return cosine(config.learning_rate, config.learning_rate_min, progress)

    def run_epoch(self, epoch: int, tell: Callable[[dict[str, float]], bool]) -> Row:
        """All steps of an epoch; `tell` hears of each and may stop them."""
        config, means, rate = self.config, Means(), self.config.learning_rate
        self.network.train()
        for step, (x, y) in enumerate(fed(self.batches.epoch(epoch), self.fabric.device, self.memory)):
            logits = self.network(x)
            loss = F.cross_entropy(logits, y)
            self.optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            if config.gradient_clip:
                nn.utils.clip_grad_norm_(self.parameters, config.gradient_clip, foreach=True)
            rate = self.learning_rate(epoch, step)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            hits = (logits.detach().argmax(dim=-1) == y).float().mean()
            means.add(len(y), loss=loss, accuracy=hits)
            on_cpu = self.fabric.device.type == "cpu"
            if not tell({"loss": float(loss.detach()), "accuracy": float(hits)} if on_cpu else {}):
                break
        return means.result() | {"learning_rate": round(rate, 8), "validation_oa": self._validate(epoch)}

    def _validate(self, epoch: int) -> float | None:
        every = self.config.validate_every
        last = epoch + 1 == self.config.epochs
        if not len(self.validation) or not (last or (every and (epoch + 1) % every == 0)):
            return None
        measures, _ = measure(
            self.network, self.source, self.validation, self.fabric.device, channels_last=self.channels_last
        )
        return round(measures.oa, 6)

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs to go on to the same bytes."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up such a state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def run(self, folder: Path, listener: Listener, *, resume: bool, name: str) -> list[Row]:
        """Train to the end; metrics and checkpoints go to `folder/train`."""
        stage = Stage(
            folder / "train",
            f"train {name}",
            self.config.epochs,
            len(self.batches),
            self.config.max_steps,
            self.run_epoch,
            self.state,
            self.restore,
        )
        return stage.run(listener, resume=resume)


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "nadam":
        return torch.optim.NAdam(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        network.parameters(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        fused=True,
    )
