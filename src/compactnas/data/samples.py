"""Convert between sources and `torch.utils.data` datasets with TorchGeo's sample format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import wrong_pixels
from compactnas.data.formats.packed import open_packed
from compactnas.data.source import Facts, Images, Indices
from compactnas.errors import UserError
from compactnas.scenes.bands import of_patches


@runtime_checkable
class Samples(Protocol):
    """Dataset whose items are dictionaries with `image` (band, row, column) and `label`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict[str, Any]: ...


class SamplesSource:
    """Source that reads a dataset of samples, `{"image": (band, row, column), "label": class}`.

    Samples are read on demand, but labels are needed in advance: a dataset without `targets` is iterated
    once. To make later access fast, write the source as a packed set with `compactnas.pack`.

    Args:
        samples: Dataset of samples.
        classes: Class names; by default, `samples.classes`, or 0, 1, 2, ...
        bands: Band names; by default, R, G, B for three bands, otherwise band1, band2, ...
        name: Name for tables; by default, the class name of the dataset.
        groups: Group of each sample (such as its city), or None.

    Raises:
        UserError: There are no samples, an image or label is invalid, or the names do not match.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        classes: Sequence[str] = (),
        bands: Sequence[str] = (),
        name: str = "",
        groups: Sequence[str] | None = None,
    ) -> None:
        self._samples, self._name = samples, name or type(samples).__name__
        if not len(samples):
            raise UserError(f"{self._name}: holds no samples")
        first = self._image(0)
        if first.ndim != 3 or first.shape[1] != first.shape[2]:
            raise UserError(f"{self._name}: images have shape {first.shape}; they must be (band, row, column), square")
        self._shape, self._dtype = first.shape, first.dtype
        given = getattr(samples, "targets", None)
        own = given if given is not None else [self._sample(row).get("label") for row in range(len(samples))]
        labels = np.array([self._label(value, row) for row, value in enumerate(own)], np.int64)
        names = tuple(map(str, classes or getattr(samples, "classes", ()) or range(int(labels.max()) + 1)))
        if len(labels) != len(samples) or not 0 <= labels.min() <= labels.max() < len(names):
            raise UserError(
                f"{self._name}: labels of {len(samples)} samples must be 0 to {len(names) - 1}; set `classes`"
            )
        default = of_patches(len(first))
        if len(bands or default) != len(first):
            raise UserError(f"{self._name}: {len(bands)} bands are named; the images have {len(first)}")
        if groups is not None and len(groups) != len(samples):
            raise UserError(f"{self._name}: {len(groups)} groups are named for {len(samples)} samples")
        self.facts = Facts(
            name=self._name,
            bands=tuple(bands or default),
            classes=names,
            patch_px=first.shape[1],
            labels=labels,
            groups=None if groups is None else np.array(groups),
        )

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        images = np.empty((len(indices), *self._shape), self._dtype)
        for place, row in enumerate(indices.tolist()):
            image = self._image(row)
            if image.shape != self._shape:
                raise UserError(f"{self._name}, sample {row}: has shape {image.shape}, the first one {self._shape}")
            if image.dtype.kind == "f" and (wrong := wrong_pixels(image)):
                raise UserError(f"{self._name}, sample {row}: holds {wrong}; leave it out")
            images[place] = image
        return images, self.facts.labels[indices]

    def _sample(self, row: int) -> dict[str, Any]:
        sample = self._samples[row]
        if not isinstance(sample, dict) or not {"image", "label"} <= sample.keys():
            raise UserError(f"{self._name}, sample {row}: is not a dictionary with image and label")
        return sample

    def _image(self, row: int) -> NDArray[Any]:
        image = np.asarray(self._sample(row)["image"])
        if image.dtype.kind not in "uif":
            raise UserError(f"{self._name}, sample {row}: its image has dtype {image.dtype}; it must hold real numbers")
        return image

    def _label(self, value: Any, row: int) -> int:
        number = np.asarray(value)
        if number.size != 1 or number.dtype.kind not in "iu":
            raise UserError(f"{self._name}, sample {row}: its label is {value!r}; it must be one whole number")
        return int(number.reshape(()))


class PackedSamples:
    """Dataset for `torch.utils.data` that returns the patches of a packed set as TorchGeo's samples.

    Args:
        path: Folder of the packed set.
        part: Part to use: `train`, `validation` or `test`; empty uses all patches.
    """

    def __init__(self, path: str | Path, part: str = "") -> None:
        self.source = open_packed(Path(path))
        parts = self.source.facts.parts
        if part and part not in parts:
            raise UserError(f"{path}: has no part {part!r}; it has {', '.join(parts) or 'none'}")
        self.rows = parts[part] if part else np.arange(len(self.source.facts.labels))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `image` float32 (band, row, column) and `label` int64 as tensors."""
        import torch

        images, labels = self.source.batch(self.rows[[index]])
        image = torch.from_numpy(np.ascontiguousarray(images[0], np.float32))
        return {"image": image, "label": torch.tensor(int(labels[0]))}
