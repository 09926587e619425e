"""Engines that compute a network's probabilities: torch, or onnxruntime or OpenVINO with the files of an export."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import nn

from compactnas.adopted.manifest import is_adopted
from compactnas.adopted.network import open_adopted
from compactnas.adopted.onnx_file import open_onnx
from compactnas.config import DataConfig
from compactnas.config.engine import EngineName
from compactnas.data import open_streamed
from compactnas.errors import UserError
from compactnas.exporting.manifest import Manifest, is_export
from compactnas.exporting.names import INPUT, INT8, MODEL, ONNX, OUTPUT, WEIGHTS
from compactnas.exporting.openvino import OpenVinoEngine, compile_openvino
from compactnas.exporting.reading import AGAIN, read_onnx
from compactnas.nn.registry import ModelSpec
from compactnas.runs.folder import load, read_config
from compactnas.runs.task import FILE, Task

Patches = Float32[np.ndarray, "batch bands height width"]
Probabilities = Float32[np.ndarray, "batch classes"]


@runtime_checkable
class Engine(Protocol):
    """A trained network that predicts class probabilities.

    Attributes:
        task: Bands, in the order of the patches' channels; classes, in the order of the probabilities; side of a patch.
    """

    @property
    def task(self) -> Task: ...

    def probabilities(self, patches: Patches) -> Probabilities:
        """Compute class probabilities of raw patches in one batch, so memory grows with their number.

        Patches are (batch, bands, height, width) in the units of the training data (reflectance).
        """
        ...


@dataclass(frozen=True)
class TorchEngine:
    """The network as a torch module, in eval mode, on the CPU."""

    task: Task
    network: nn.Module

    def probabilities(self, patches: Patches) -> Probabilities:
        with torch.inference_mode():
            x = torch.from_numpy(patches).contiguous(memory_format=torch.channels_last)
            found: NDArray[np.float32] = self.network(x).softmax(dim=-1).numpy()
        return found


@dataclass(frozen=True)
class OnnxEngine:
    """An ONNX file of an export in onnxruntime, on the CPU."""

    task: Task
    session: Any

    def probabilities(self, patches: Patches) -> Probabilities:
        found: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: patches})[0]
        return found


def open_engine(path: Path, engine: EngineName = "auto", threads: int = 0) -> Engine:
    """Open the network of a run, of an export, or of other software (`compactnas adopt`).

    Args:
        path: Folder of the run, export or adopted network.
        engine: `torch`; `onnx`, `int8` or `openvino` for an export; `auto` takes `onnx` for an export if onnxruntime
            is installed, else `torch`.
        threads: Number of threads of the engine; 0 lets the engine choose. Torch has one number per process.

    Raises:
        UserError: The folder has no network, the engine is not installed or not in the folder, or a file is damaged.
    """
    if is_adopted(path):
        if engine not in ("auto", "onnx"):
            raise UserError(f"{path}: an adopted network runs in onnxruntime alone; leave out --engine {engine}")
        return open_adopted(path, threads)
    if engine == "auto":
        engine = "onnx" if is_export(path) and find_spec("onnxruntime") else "torch"
    if engine == "torch":
        if threads:
            torch.set_num_threads(threads)
        return TorchEngine(task_of(path), _network(path))
    if not is_export(path):
        raise UserError(f"{path}: engine {engine} needs an export; make one with `compactnas export`, or use torch")
    manifest = Manifest.read(path)
    if engine == "openvino":
        content = manifest.content(path, ONNX)
        read_onnx(content, manifest.task, path / ONNX)
        return OpenVinoEngine(manifest.task, compile_openvino(content, path / ONNX, threads, AGAIN))
    file = INT8 if engine == "int8" else ONNX
    return OnnxEngine(manifest.task, open_session(manifest.content(path, file), manifest.task, path / file, threads))


def task_of(path: Path, data: DataConfig | None = None) -> Task:
    """Read the bands and classes of a run or an export. An old run without `task.json` takes them from its data.

    Args:
        path: Folder of the run or export.
        data: Where the run's data is now; by default where the run read it.

    Raises:
        UserError: Bands and classes are not found, or do not match the network.
    """
    spec = ModelSpec.read(path)
    if is_export(path):
        task = Manifest.read(path).task
    elif (path / FILE).exists():
        task = Task.read(path)
    else:
        task = _task_of_data(path, data or read_config(path).data)
    require_fit(task, spec, path)
    return task


def require_fit(task: Task, spec: ModelSpec, where: Path) -> None:
    """Raise a `UserError` if bands, classes or patch size do not match the network."""
    if (len(task.bands), len(task.classes), task.patch_px) != (spec.bands, spec.classes, spec.patch_px):
        raise UserError(
            f"{where}: lists {len(task.bands)} bands and {len(task.classes)} classes of {task.patch_px} px, "
            f"but its network has {spec.bands}, {spec.classes} and {spec.patch_px}; train or export again"
        )


def _task_of_data(run: Path, data: DataConfig) -> Task:
    try:
        facts = open_streamed(data).facts
    except UserError as error:
        raise UserError(
            f"{run}: was made by an old version, which saved no class names, and its data cannot be read ({error}); "
            "restore the data or train again"
        ) from None
    return Task.of(facts)


def _network(path: Path) -> nn.Module:
    if is_export(path):
        manifest = Manifest.read(path)
        for name in (MODEL, WEIGHTS):
            manifest.content(path, name)
    return load(path)


def open_session(content: bytes, task: Task, file: Path, threads: int = 0) -> Any:
    """Open an onnxruntime session for the bytes of an ONNX file.

    Raises:
        UserError: onnxruntime is not installed, or the file is not an export of compactnas for this task.
    """
    read_onnx(content, task, file)
    return open_onnx(content, file, threads, AGAIN)
