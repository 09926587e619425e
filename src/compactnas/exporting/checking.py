"""Compare the files of an export with the network, and choose the calibration method of the 8-bit file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from compactnas.data import ArraySource, Dataset, Facts, Indices, Source
from compactnas.exporting.engines import OnnxEngine, TorchEngine, open_session
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.names import INT8, ONNX
from compactnas.exporting.parity import Ask, FileAgreement, Parity, Quantisation, Rows, answers
from compactnas.exporting.quantise import METHODS, quantised
from compactnas.io.atomic import write_bytes
from compactnas.nn.registry import normalise_of
from compactnas.runs.task import Task

CALIBRATION, CHOICE, MADE = 512, 2048, 64
"""Numbers of patches: to calibrate ranges, to choose the method, and to make at random if there is no data."""

NETWORK = "the network"

Progress = Callable[[int, int], None]
"""Function that receives the number of finished patches and their total."""


@dataclass(frozen=True)
class Checking:
    """Comparison of the files of an export with its network.

    Attributes:
        folder: Folder of the export.
        network: Exported network, in eval mode.
        task: Bands and classes of the network.
        progress: Function that receives the number of finished patches and their total.
    """

    folder: Path
    network: nn.Module
    task: Task
    progress: Progress

    def on_made_patches(self) -> Parity:
        """Compare on random patches with the mean and deviation of the training data."""
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
        """Make the 8-bit file, then compare all files on the test part."""
        rows = data.parts["test"]
        content, int8 = self._quantised(data, seed)
        write_bytes(self.folder / INT8, content)
        asked = self._float32() | {INT8: self._onnx(content)}
        found = self._compared(asked, data.source, rows)
        oa = found.pop(NETWORK).oa
        return Parity(data.source.facts.name, Rows("test", len(rows)), oa, found, int8)

    def _quantised(self, data: Dataset, seed: int) -> tuple[bytes, Quantisation]:
        """Make an 8-bit file by each method; keep the one closest to the network on patches outside the calibration."""
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
        """Compare each file with the network; the network itself is included for its accuracy."""
        network = TorchEngine(self.task, self.network).probabilities
        done = 0

        def tell(patches: int) -> None:
            nonlocal done
            done += patches
            self.progress(done, len(rows))

        found = answers({NETWORK: network, **asked}, source, rows, tell)
        labels = source.facts.labels[rows] if labelled else None
        return {name: FileAgreement.of(given, found[NETWORK], labels) for name, given in found.items()}
