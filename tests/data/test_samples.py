"""Datasets of TorchGeo's samples as sources, and packed sets as such datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compactnas.data.packing.pack import pack
from compactnas.data.samples import PackedSamples, SamplesSource
from compactnas.errors import UserError


class Set(torch.utils.data.Dataset):
    """Samples as TorchGeo's data sets give them."""

    def __init__(self, images: torch.Tensor, labels: list[int]) -> None:
        self.images, self.labels, self.classes = images, labels, ["a", "b", "c"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.images[index], "label": torch.tensor(self.labels[index])}


def test_any_data_set_of_samples_is_a_source_and_comes_back_as_one(tmp_path: Path) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 9000, (12, 4, 8, 8)) / 10000).float()
    source = SamplesSource(Set(images, [0, 1, 2] * 4), bands=("B02", "B03", "B04", "B08"), groups=["x", "y"] * 6)
    assert source.facts.classes == ("a", "b", "c") and source.facts.name == "Set"
    back = PackedSamples(pack(source, tmp_path / "packed"))
    assert len(back) == 12
    for index in range(12):
        assert torch.equal(back[index]["image"], images[index]) and int(back[index]["label"]) == index % 3
    # The round trip: a packed set's samples are such a data set again.
    again = SamplesSource(back, classes=("a", "b", "c"))
    np.testing.assert_array_equal(again.batch(np.arange(12))[0], images.numpy())


WRONG_SETS = {
    "empty": (lambda: Set(torch.zeros(0, 1, 4, 4), []), "holds no samples"),
    "flat": (lambda: Set(torch.zeros(3, 16), [0, 1, 2]), "images have shape (16,)"),
    "labels past the names": (lambda: Set(torch.zeros(3, 1, 4, 4), [0, 1, 7]), "must be 0 to 2"),
    "tuples": (lambda: [(torch.zeros(1, 4, 4), 0)], "sample 0: is not a dictionary"),
    "no label": (lambda: [{"image": torch.zeros(1, 4, 4), "label": None}], "sample 0: its label is None"),
}


@pytest.mark.parametrize("name", WRONG_SETS)
def test_other_data_sets_are_one_error(name: str) -> None:
    make, message = WRONG_SETS[name]
    with pytest.raises(UserError) as caught:
        SamplesSource(make())
    assert message in str(caught.value)
