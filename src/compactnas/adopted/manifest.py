"""`adopted.json`: properties of a network that its ONNX file does not contain, such as names of bands and classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float64

from compactnas.adopted.onnx_file import MOST_BYTES
from compactnas.adopted.signature import Layout
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.runs.task import Task

NAME, ONNX, FORMAT = "adopted.json", "model.onnx", "compactnas-adopted/1"
AGAIN = "adopt the network again"
LONGEST_NAME = 1000
LARGEST, SMALLEST = 1e12, 1e-12
"""Largest number of a manifest, and smallest scale or standard deviation."""

Gives = Literal["logits", "probabilities"]
KEYS = {"format", "task", "layout", "output", "gives", "scale", "offset", "mean", "std", "bytes", "sha256"}


@dataclass(frozen=True)
class Adoption:
    """A network of other software: its input and its output.

    A value v of the data (reflectance) becomes the number n = v / scale - offset, as the network's own training data
    has it, and then the input (n - mean) / std.

    Attributes:
        task: Bands, classes and patch side.
        layout: Order of the axes of the input.
        output: Name of the output with the classes.
        gives: Whether the output holds logits or probabilities.
        scale: Factor from the network's numbers to the values of the data.
        offset: Offset that is added to the network's numbers before scaling.
        mean: Mean of each band in the network's numbers; empty if the network takes the numbers as they are.
        std: Standard deviation of each band, likewise.
    """

    task: Task
    layout: Layout
    output: str
    gives: Gives
    scale: float = 1.0
    offset: float = 0.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def input_of(self, patches: Float64[np.ndarray, "batch bands height width"]) -> Float64[np.ndarray, "batch _ _ _"]:
        """Convert patches in the unit of the data to the network's input."""
        numbers = patches / self.scale - self.offset
        if self.mean:
            mean, std = (np.array(values)[:, None, None] for values in (self.mean, self.std))
            numbers = (numbers - mean) / std
        return numbers if self.layout == "nchw" else numbers.transpose(0, 2, 3, 1)

    def write(self, folder: Path, content: bytes) -> None:
        """Write the ONNX file and the manifest to a folder."""
        write_bytes(folder / ONNX, content)
        write_json(folder / NAME, self.to_json(content))

    def to_json(self, content: bytes) -> dict[str, Any]:
        """Manifest as JSON values, with the checksum of the ONNX file."""
        values = {name: getattr(self, name) for name in ("layout", "output", "gives", "scale", "offset")}
        values |= {"mean": list(self.mean), "std": list(self.std)}
        known = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return {"format": FORMAT, "task": self.task.to_json(), **values, **known}

    @classmethod
    def read(cls, folder: Path) -> tuple[Adoption, bytes]:
        """Read and check the manifest of a folder, and the bytes of its ONNX file.

        Raises:
            UserError: The manifest is not valid, or the file is missing, too large or not the one of the manifest.
        """
        where, file = folder / NAME, folder / ONNX
        raw = read_json(where, AGAIN)
        adoption = cls.from_json(raw, str(where))
        if file.is_symlink():
            raise UserError(f"{file}: is a link, which is not followed; {AGAIN}")
        content = read_bounded(file)
        if raw.get("sha256") != hashlib.sha256(content).hexdigest():
            raise UserError(f"{file}: does not match its checksum in {NAME} (cut off, or changed); {AGAIN}")
        return adoption, content

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Adoption:
        """Check a manifest from JSON values; `where` names their file in error messages."""
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise UserError(f'{where}: not the manifest of an adopted network; its "format" must be "{FORMAT}"')
        if set(raw) != KEYS:
            wrong = sorted(set(raw) ^ KEYS)[0]
            raise UserError(f"{where}: {wrong[:40]!r} is {'unknown' if wrong in raw else 'missing'}; {AGAIN}")
        for name, choices in (("layout", get_args(Layout)), ("gives", get_args(Gives))):
            if raw[name] not in choices:
                raise UserError(f"{where}: {name} must be one of {', '.join(choices)}; {AGAIN}")
        if not isinstance(raw["output"], str) or not 1 <= len(raw["output"]) <= LONGEST_NAME:
            raise UserError(f"{where}: output must be the name of an output; {AGAIN}")
        task = Task.from_json(raw["task"], f"{where}: task")
        scale, offset = _numbers(raw["scale"], where, "scale", 1), _numbers(raw["offset"], where, "offset", 1)
        mean, std = (_numbers(raw[name], where, name, len(task.bands)) for name in ("mean", "std"))
        if min((*scale, *std)) < SMALLEST or len(mean) != len(std):
            raise UserError(f"{where}: scale and std must be above 0, and mean and std of one length; {AGAIN}")
        return cls(task, raw["layout"], raw["output"], raw["gives"], scale[0], offset[0], mean, std)


def is_adopted(folder: Path) -> bool:
    """Check whether a folder has the manifest of an adopted network."""
    return (folder / NAME).is_file()


def read_bounded(file: Path) -> bytes:
    """Read a file of at most `MOST_BYTES`."""
    try:
        if not file.is_file():
            raise UserError(f"{file}: no such file; name an ONNX file")
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file}: is larger than {MOST_BYTES >> 20} MiB; export a smaller network")
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}; name an ONNX file") from None


def _numbers(raw: Any, where: str, name: str, count: int) -> tuple[float, ...]:
    """Check a finite number; for `mean` and `std`, a list of `count` of them, or an empty one."""
    numbers = raw if isinstance(raw, list) and len(raw) in (0, count) and name in ("mean", "std") else [raw]
    if not all(type(number) in (int, float) and abs(number) <= LARGEST for number in numbers):  # not NaN
        plural = "s" * (count > 1)
        raise UserError(f"{where}: {name} must hold {count} finite number{plural} of at most {LARGEST:g}; {AGAIN}")
    return tuple(map(float, numbers))
