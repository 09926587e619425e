"""The files of an export beside the network that they were made of, and the choice of its 8-bit form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compactnas.data import ArraySource, Dataset, Facts, Indices, Source
from compactnas.export.engines import OnnxEngine, TorchEngine, open_session
from compactnas.export.formats import FORMATS
from compactnas.export.manifest import INT8, ONNX
from compactnas.export.parity import Ask, FileAgreement, Parity, Quantisation, Rows, answers
from compactnas.export.quantise import METHODS, quantised
from compactnas.io.atomic import write_bytes
from compactnas.nn.registry import normalise_of
from compactnas.runs.task import Task

CALIBRATION, CHOICE, MADE = 512, 2048, 64
"""Patches that ranges are measured on, that the method is chosen on, and that are made where there is no data."""

NETWORK = "the network"

Progress = Callable[[int, int], None]
"""Called with the patches that are through and all of them."""


@dataclass(frozen=True)
class Checking:
    """Comparison of the files of an export with its network.

    Attributes:
        folder: Folder of the export.
        network: that it was made of, in eval mode.
        task: its bands and classes.
        progress: Function that receives the number of finished patches and their total.
    """

    folder: Path
    network: nn.Module
    task: Task
    progress: Progress

    def on_made_patches(self) -> Parity:
        """Compare on random patches with the training data's mean and deviation, since there are no others."""
        normalise = normalise_of(self.network)
        noise = torch.randn(
            MADE, len(self.task.bands), *[self.task.patch_px] * 2, generator=torch.Generator().manual_seed(0)
        )
        images = (noise * normalise.std + normalise.mean).numpy()
        facts = Facts("made", self.task.bands, self.task.classes, self.task.patch_px, np.zeros(MADE, np.int64))
        found = self._compared(self._float32(), ArraySource(facts, images), np.arange(MADE), labelled=False)
        del found[NETWORK]
        return Parity("", Rows("made", MADE), None, found)

    def on_data(self, data: Dataset, seed: int) -> Parity:
        """Make the 8-bit file, then compare all on the test part."""
        rows = data.parts["test"]
        content, int8 = self._quantised(data, seed)
        write_bytes(self.folder / INT8, content)
        asked = self._float32() | {INT8: self._onnx(content)}
        found = self._compared(asked, data.source, rows)
        oa = found.pop(NETWORK).oa
        return Parity(data.source.facts.name, Rows("test", len(rows)), oa, found, int8)

    def _quantised(self, data: Dataset, seed: int) -> tuple[bytes, Quantisation]:
        """The 8-bit file whose probabilities are nearest to the network's on patches that it was not calibrated on."""
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        train = rng.permutation(data.parts["train"])
        ranges, rest = np.split(train, [min(CALIBRATION, (len(train) + 1) // 2)])
        part = "validation" if len(data.parts["validation"]) else "train"
        chosen = np.sort(rng.permutation(data.parts["validation"] if part == "validation" else rest)[:CHOICE])
        float32 = (self.folder / ONNX).read_bytes()
        made = {method: quantised(float32, method, data.source, np.sort(ranges)) for method in METHODS}
        tried = self._compared({method: self._onnx(content) for method, content in made.items()}, data.source, chosen)
        del tried[NETWORK]
        best = min(tried, key=lambda method: tried[method].mean_difference)
        return made[best], Quantisation(best, Rows("train", len(ranges)), Rows(part, len(chosen)), tried)

    def _float32(self) -> dict[str, Ask]:
        return {known.file: known.open(self.folder, self.task) for known in FORMATS.values() if known.write is not None}

    def _onnx(self, content: bytes) -> Ask:
        return OnnxEngine(self.task, open_session(content, self.task, self.folder / ONNX)).probabilities

    def _compared(
        self, asked: dict[str, Ask], source: Source, rows: Indices, *, labelled: bool = True
    ) -> dict[str, FileAgreement]:
        """Agreement of each file, and of the network with itself, for its accuracy."""
        network = TorchEngine(self.task, self.network).probabilities
        done = 0

        def tell(patches: int) -> None:
            nonlocal done
            done += patches
            self.progress(done, len(rows))

        found = answers({NETWORK: network, **asked}, source, rows, tell)
        labels = source.facts.labels[rows] if labelled else None
        return {name: FileAgreement.of(given, found[NETWORK], labels) for name, given in found.items()}
