"""Adopt an ONNX file: find its input and output, run it on synthetic patches, and write it with a manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from compactnas.adopted.manifest import Adoption, Gives, read_bounded
from compactnas.adopted.network import AdoptedNetwork, are_probabilities, network_of, parse_checked
from compactnas.adopted.signature import Layout, find_input, find_output
from compactnas.adopted.sizes import sizes_of
from compactnas.errors import UserError
from compactnas.io.appearing import appearing, require_new
from compactnas.runs.task import Task

PATCHES, BRIGHTEST = 16, 0.4
"""Number of synthetic patches, and their largest value: bright ground, as reflectance."""
SAME = 1e-2
"""Largest difference of an output, as a share of the largest output, between two runs of the same patch."""


@dataclass(frozen=True)
class Description:
    """Properties of a network that its ONNX file does not contain.

    Attributes:
        bands: Names of the bands, in the order of the input.
        classes: Names of the classes, in the order of the output.
        lcz: Whether the classes are the 17 Local Climate Zones.
        scale: Factor from the network's numbers to the values of the data.
        offset: Offset that is added to the network's numbers before scaling.
        mean: Mean of each band in the network's numbers; empty without normalisation.
        std: Standard deviation of each band, likewise.
        layout: Order of the axes of the input; `auto` finds it.
        output: Name of the output; empty finds it.
        outputs: Kind of the outputs; `auto` finds it.
        pixel_m: Side of a pixel of the training data in metres; None if unknown.
        patch_px: Side of a patch; 0 takes it from the file.
    """

    bands: tuple[str, ...]
    classes: tuple[str, ...]
    lcz: bool
    scale: float
    offset: float = 0.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Layout | Literal["auto"] = "auto"
    output: str = ""
    outputs: Gives | Literal["auto"] = "auto"
    pixel_m: float | None = None
    patch_px: int = 0

    def adoption(self, layout: Layout, patch_px: int, output: str) -> Adoption:
        """Manifest of the network, with what was found in the file; logits, unless probabilities are asked for.

        The normalisation of a network is that of its training data, so its statistics are known in the unit of the
        data: `map` compares a scene with them.
        """
        means = tuple((mean + self.offset) * self.scale for mean in self.mean)
        deviations = tuple(std * self.scale for std in self.std)
        task = Task(self.bands, self.classes, patch_px, self.lcz, self.pixel_m, means, deviations)
        gives: Gives = "probabilities" if self.outputs == "probabilities" else "logits"
        return Adoption(task, layout, output, gives, self.scale, self.offset, self.mean, self.std)


def adopt(file: Path, out: Path, described: Description) -> list[str]:
    """Write a folder with a network of other software, which maps, teachers and evaluations take like a run.

    Args:
        file: ONNX file.
        out: Folder to make; it appears complete or not at all.
        described: What the file does not say.

    Returns:
        Notes on what was found in the file.

    Raises:
        UserError: The file cannot be used, does not fit its description, or does not behave as a classifier.
    """
    require_new(out)
    content = read_bounded(file)
    model = parse_checked(content, file)
    bands, classes = len(described.bands), len(described.classes)
    layout = None if described.layout == "auto" else described.layout
    taken = find_input(model, file, bands=bands, layout=layout, patch_px=described.patch_px)
    windows = taken.batch or 1
    sizes = sizes_of(model, taken.name, taken.shape(windows), file)
    output = find_output(model, sizes, file, windows=windows, classes=classes, name=described.output)
    adoption = described.adoption(taken.layout, taken.patch_px, output)
    Adoption.from_json(adoption.to_json(content), "the options")  # no manifest that could not be read
    network = network_of(adoption, content, file, 0)
    found = _tried(network, _made(network.task))
    network, said = _with_kind(network, described.outputs, found)
    with appearing(out) as folder:
        network.adoption.write(folder, content)
    return [*_seen(network, said), *_doubts(network, found)]


def _seen(network: AdoptedNetwork, said: str) -> list[str]:
    """Describe the input and the output of a network."""
    taken, px = network.taken, network.taken.patch_px
    windows = "any number of windows" if network.batch > 1 and not taken.batch else f"{network.batch} windows at a time"
    return [
        f"input {taken.name}: {windows}, {taken.bands} bands of {px} x {px} px, {taken.layout}",
        f"output {network.adoption.output}: {said}",
    ]


def _doubts(network: AdoptedNetwork, found: Float32[np.ndarray, "patches classes"]) -> list[str]:
    """Write warnings about a network that is slow, or that may get numbers of another size."""
    doubts = []
    if network.batch == 1:
        doubts.append("only one window at a time runs, so maps are slow; export the network with a dynamic batch")
    if (found == found[:1]).all():
        doubts.append(
            f"the output is the same for all made patches; check --scale ({network.adoption.scale:g}) and the "
            "normalisation, because the network may take numbers of another size"
        )
    return doubts


def _made(task: Task) -> Float32[np.ndarray, "patches bands height width"]:
    """Make synthetic patches: smooth and noisy ones, and one of zeros."""
    rng = np.random.default_rng(0)
    shape = (PATCHES, len(task.bands), task.patch_px, task.patch_px)
    level = rng.uniform(0, BRIGHTEST, (*shape[:2], 1, 1))
    patches = (level * rng.uniform(0.8, 1.2, shape)).astype(np.float32)
    patches[0] = 0
    return patches


def _tried(
    network: AdoptedNetwork, patches: Float32[np.ndarray, "patches bands height width"]
) -> Float32[np.ndarray, "patches classes"]:
    """Run the network on patches in a batch, and one by one, and check that the outputs are the same.

    Raises:
        UserError: They differ, as with dropout or batch norm in training mode.
    """
    found = network.scores(patches)
    alone = np.concatenate([network.scores(patches[row : row + 1]) for row in range(len(patches))])
    if np.abs(found - alone).max() > SAME * max(1e-6, float(np.abs(found).max())):
        raise UserError(
            f"{network.file}: gives other outputs for the same patch in another batch, as a network in training mode "
            "does; export it in evaluation mode (model.eval())"
        )
    return found


def _with_kind(
    network: AdoptedNetwork, asked: Gives | Literal["auto"], found: Float32[np.ndarray, "patches classes"]
) -> tuple[AdoptedNetwork, str]:
    """Decide whether the outputs are probabilities; return the network with its kind, and a note.

    Raises:
        UserError: Probabilities are asked for but not given, or the outputs can be neither.
    """
    file, sums = network.file, are_probabilities(found)
    low, high = float(found.min()), float(found.max())
    if asked == "probabilities" and not sums:
        raise UserError(
            f"--outputs: the outputs of {file} are not probabilities (they go from {low:.3g} to {high:.3g} and sum to "
            f"{found.sum(axis=1).mean():.3g} on average); leave --outputs out, or give logits"
        )
    if asked == "auto" and not sums and low >= 0 and high <= 1:
        raise UserError(
            f"{file}: its outputs lie between 0 and 1 but do not sum to 1, as after a sigmoid; export it without this "
            "last step, or give --outputs logits to put a softmax over them"
        )
    gives: Gives = "probabilities" if (asked == "auto" and sums) or asked == "probabilities" else "logits"
    counted = f"{found.shape[1]} {gives}"
    why = {
        ("auto", True): "they sum to 1 on made patches",
        ("auto", False): "they do not sum to 1 on made patches, so a softmax is added",
        ("logits", True): "a softmax is added, although they sum to 1 on made patches: is --outputs right?",
        ("logits", False): "a softmax is added",
    }.get((asked, sums), "they sum to 1 on made patches, too")
    return replace(network, adoption=replace(network.adoption, gives=gives)), f"{counted}: {why}"
