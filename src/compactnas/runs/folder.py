"""Read and write the folder of a run: config, environment, splits and model."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from compactnas.config import NEUTRAL, DataConfig, RunConfig, from_values
from compactnas.data import Dataset, Indices
from compactnas.data.npy import read_entry
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.io.paths import exists
from compactnas.io.sole_writer import sole_writer
from compactnas.io.untrusted import read_yaml
from compactnas.nn.registry import FILE as MODEL
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.data_record import DataRecord, located
from compactnas.runs.temperature import FILE as TEMPERATURE
from compactnas.runs.temperature import Temperature, divide_logits
from compactnas.version import __version__

STAGES = ("search", "train", "select", "pareto", "find")
"""Folders inside the folder of a run that its stages write to."""


def run_writer(folder: Path, *, wait_s: float = 0.0) -> AbstractContextManager[None]:
    """Lock the folder of a run and of its stages, as `sole_writer` does."""
    return sole_writer(folder, wait_s=wait_s, also=[folder / stage for stage in STAGES])


def config_values(config: RunConfig) -> dict[str, Any]:
    """Convert a config to plain values, as in `config.yaml`."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values


def start(folder: Path, config: RunConfig, data: Dataset, *, resume: bool, stage: str) -> list[str]:
    """Create a run folder with config and environment, or check that a resumed one has the same config.

    Options that are missing from the folder's config take their defaults. The number of devices and nodes, and the
    versions of the software, may differ; a warning then names both.

    Returns:
        Warnings.

    Raises:
        UserError: The folder already has this stage and `resume` is off, it holds another config, or the data has
            changed.
    """
    file, config = folder / "config.yaml", config.with_whole_paths()
    record = DataRecord.of(data, config.data.path, folder)
    if file.exists() and resume:
        before = read_config(folder)
        machine, now = before.machine, config.machine
        free = {name: getattr(now, name) for name in ("devices", "nodes", *NEUTRAL)}
        moved = replace(before, machine=replace(machine, **free))
        key = first_difference(config_values(moved), config_values(config))
        if key:
            raise UserError(
                f"{file}: differs from the given config in {key}; resume with the same value, or choose a new folder"
            )
        known = DataRecord.read(folder)
        if known:
            known.require_same(record, folder, config.data.path)
        if (machine.devices, machine.nodes) == (now.devices, now.nodes):
            return other_versions(folder)
        started, devices = machine.world_size, now.world_size
        plural = "s" * (devices > 1)
        text = f"resuming on {devices} device{plural} (started on {started}): the last digits may differ"
        return [text, *other_versions(folder)]
    if (folder / stage).exists():
        raise UserError(f"{folder}: already has a {stage}; resume it with --resume, or choose a new folder")
    text = yaml.safe_dump(config_values(config), sort_keys=False)
    write_json(folder / "environment.json", environment())
    record.write(folder)
    # Last, because a resumed run takes the two other files as they are once this one exists.
    write_bytes(file, text.encode())
    return []


def other_versions(folder: Path) -> list[str]:
    """Warn if a run began with other versions of the software than this process has."""
    file = folder / "environment.json"
    before = read_json(file, "remove it, and the versions are not compared") if file.exists() else {}
    now = environment()
    differ = [
        f"{name} {before[name]} (now {now[name]})"
        for name in ("compactnas", "torch", "numpy")
        if isinstance(before, dict) and isinstance(before.get(name), str) and before[name] != now[name]
    ]
    return [f"{folder}: started with {', '.join(differ)}: results may differ from an undisturbed run"] if differ else []


def read_config(folder: Path) -> RunConfig:
    """Read the config of a run, with the place where its data is now."""
    file = folder / "config.yaml"
    values = read_yaml(file, "name a run folder")
    try:
        return located(from_values(RunConfig, values), folder)
    except (TypeError, UserError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: not a run's config ({reason}); correct it, or name another run folder") from None


def require_data(folder: Path, config: DataConfig) -> None:
    """Raise a `UserError` if the data of a run does not exist, for example because it has been moved."""
    path = Path(config.path)
    if config.path and not exists(path):
        record = DataRecord.read(folder)
        beside = f", nor {folder.absolute() / record.relative}" if record and record.relative else ""
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise UserError(
            f"{folder}: its data {path} does not exist{where}{beside}; if the data has moved, pass --data.path"
        )


def first_difference(before: Any, after: Any, path: str = "") -> str:
    """Find the dotted name of the first value that differs; empty if all are equal."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            found = first_difference(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
            if found:
                return found
        return ""
    return "" if before == after else path


def environment() -> dict[str, Any]:
    """Collect the versions and the hardware that the results of a run depend on, besides its config."""
    return {
        "compactnas": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def write_splits(folder: Path, parts: Mapping[str, Indices], name: str = "splits.npz") -> None:
    """Write the row numbers of each part."""
    buffer = BytesIO()
    np.savez_compressed(buffer, **dict(parts))  # type: ignore[arg-type]  # mypy takes the arrays for `allow_pickle`
    write_bytes(folder / name, buffer.getvalue())


def read_split(folder: Path, part: str, again: str) -> Indices:
    """Read the row numbers of a part.

    Args:
        folder: Folder with `splits.npz`.
        part: Name of the part.
        again: What to do if they cannot be read.

    Raises:
        UserError: The file does not exist, or it holds no rows of this part.
    """
    file = folder / "splits.npz"
    try:
        rows = read_entry(file, part)
        if rows.ndim != 1 or rows.dtype != np.int64 or not len(rows) or rows.min() < 0:
            raise ValueError(f"rows of shape {rows.shape}, {rows.dtype}")
    except ValueError as error:
        raise UserError(f"{file}: not the rows of `{part}` ({error}); {again}") from None
    return rows.astype(np.int64)


def save_model(folder: Path, spec: ModelSpec, network: nn.Module) -> None:
    """Write the description of a trained network and its weights, which include the normalisation.

    The temperature of other weights is removed.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    file, content = folder / "model.safetensors", save_tensors(tensors)
    if not file.exists() or file.read_bytes() != content:
        (folder / TEMPERATURE).unlink(missing_ok=True)
    write_bytes(file, content)
    write_json(folder / MODEL, spec.to_json())


def load(folder: str | Path, *, calibrated: bool = True) -> nn.Module:
    """Load the trained network of a run, in eval mode.

    It takes raw patches (batch, bands, height, width) in the units of its training data (reflectance, or 0 to 255),
    and returns logits (batch, classes).

    Args:
        folder: Folder of the run.
        calibrated: Whether to divide the logits by the run's temperature, if one was fitted.

    Raises:
        UserError: The folder has no trained network, or the weights do not match its description.
    """
    folder = Path(folder)
    spec, file = ModelSpec.read(folder), folder / "model.safetensors"
    network = build(spec)
    load_weights(network, file)
    if calibrated and (found := Temperature.read(folder)):
        divide_logits(network, found.temperature)
    return network.eval()


HEADER_BYTES = 2**22
"""Largest header of a weights file: names, dtypes and offsets."""


def load_weights(network: nn.Module, file: Path) -> None:
    """Load weights from a file into a network.

    Raises:
        UserError: The file does not exist, or its weights have other names, shapes or dtypes.
    """
    wanted = network.state_dict()
    expected = sum(tensor.numel() * tensor.element_size() for tensor in wanted.values())
    try:
        if not file.is_file():
            raise UserError(f"{file}: no such file; train a model here first with `compactnas train`")
        if file.stat().st_size > expected + HEADER_BYTES:
            raise UserError(f"{file}: is larger than the weights of {file.with_name(MODEL)}; train the model again")
        found = load_tensors(file.read_bytes())
        odd = [name for name in found if name not in wanted or found[name].dtype != wanted[name].dtype]
        if odd:
            raise RuntimeError(f"{odd[0]!r} has an unexpected name or dtype")
        network.load_state_dict(found)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; train a model here first with `compactnas train`") from None
    except (SafetensorError, RuntimeError, LookupError, TypeError) as error:  # an unknown dtype is a KeyError
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: not the weights of {file.with_name(MODEL)} ({reason}); train the model again"
        ) from None
