"""Measure the accuracy of a trained network on a part of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor, nn

from compactnas.data import Facts, Indices, Source
from compactnas.data.batches import SYMMETRIES, Batches, symmetry
from compactnas.data.prefetch import prefetched
from compactnas.data.streams import Stream
from compactnas.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from compactnas.evaluation.metrics import Measures, confusion_measures

BATCH = 256


def probabilities(
    network: nn.Module,
    source: Source,
    indices: Indices,
    device: torch.device,
    *,
    channels_last: bool = True,
    tta: bool = False,
    temperature: float = 1.0,
) -> Float[Tensor, "patches classes"]:
    """Predict class probabilities of patches, on the CPU. Leaves the network in eval mode.

    Args:
        network: Network from raw patches to logits.
        source: Patches.
        indices: Rows to predict.
        device: Device of the network.
        channels_last: Whether to use the channels-last memory format.
        tta: Average over the 8 symmetries of each patch (test-time augmentation), at eight times the cost.
        temperature: Divisor of the logits.
    """
    elements = range(SYMMETRIES if tta else 1)

    def answer(x: Tensor) -> Tensor:
        turned = [(network(symmetry(x, element)) / temperature).softmax(dim=-1).float() for element in elements]
        return torch.stack(turned).mean(dim=0)

    return _outputs(network, answer, source, indices, device, channels_last=channels_last)


class Predictions(NamedTuple):
    """Most probable class of each row, and its probability."""

    classes: NDArray[np.int64]
    confidence: NDArray[np.float32]


def predict_best(
    network: nn.Module,
    source: Source,
    indices: Indices,
    device: torch.device,
    *,
    channels_last: bool = True,
    tta: bool = False,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> Predictions:
    """Predict the most probable class of each row. Each process predicts its share; all return all of them."""
    found = Predictions(np.zeros(len(indices), np.int64), np.zeros(len(indices), np.float32))
    own = processes.share(len(indices))
    if len(indices[own]):
        scores = probabilities(network, source, indices[own], device, channels_last=channels_last, tta=tta)
        best = scores.max(dim=1)
        found.classes[own], found.confidence[own] = best.indices.numpy(), best.values.numpy()
    processes.sum([torch.from_numpy(values) for values in found])
    return found


def logits_of(
    network: nn.Module, source: Source, indices: Indices, device: torch.device, *, channels_last: bool = True
) -> Float32[np.ndarray, "patches classes"]:
    """Compute the logits of patches, to fit a temperature. Leaves the network in eval mode."""
    logits: NDArray[np.float32] = _outputs(
        network, lambda x: network(x).float(), source, indices, device, channels_last=channels_last
    ).numpy()
    return logits


def _outputs(
    network: nn.Module,
    answer: Callable[[Tensor], Tensor],
    source: Source,
    indices: Indices,
    device: torch.device,
    *,
    channels_last: bool,
) -> Tensor:
    """Collect the answers of a network in eval mode to batches of patches, on the CPU."""
    network.eval()
    memory = torch.channels_last if channels_last else torch.contiguous_format
    batches = Batches(source, indices, BATCH, seed=0, stream=Stream.EVALUATION, shuffle=False)
    with torch.inference_mode():
        return torch.cat([answer(x).cpu() for x, _ in prefetched(batches.epoch(0), device, memory)])


def confusion_of(predicted: NDArray[np.int64], facts: Facts, indices: Indices) -> NDArray[np.int64]:
    """Count the patches of each true class (rows) by their predicted class (columns)."""
    classes = len(facts.classes)
    pairs = facts.labels[indices].astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes**2).astype(np.int64).reshape(classes, classes)


def measure(
    network: nn.Module,
    source: Source,
    indices: Indices,
    device: torch.device,
    *,
    channels_last: bool = True,
    tta: bool = False,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> tuple[Measures, NDArray[np.int64]]:
    """Measure the accuracy and the confusion matrix of a network. Each process predicts its share of the rows."""
    predicted = predict_best(
        network, source, indices, device, channels_last=channels_last, tta=tta, processes=processes
    )
    confusion = confusion_of(predicted.classes, source.facts, indices)
    return confusion_measures(confusion, source.facts.lcz), confusion
