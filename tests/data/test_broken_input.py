"""Broken input: each kind ends in one line that names the file, and never in a traceback of a library."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.broken_data import (
    BROKEN,
    arrays,
)
from support.data_files import folder, npz, so2sat_file

from compactnas.data import open_source
from compactnas.errors import UserError


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_input_is_one_line_that_names_it(kind: str, tmp_path: Path) -> None:
    make, message = BROKEN[kind]
    config = make(tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(config)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pixels_that_are_not_preloaded_are_checked_when_they_are_read(tmp_path: Path) -> None:
    make, message = BROKEN["NaN pixel"]
    source = open_source(replace(make(tmp_path), preload_gib=0.0))
    source.batch(np.arange(13))
    with pytest.raises(UserError) as caught:
        source.batch(np.array([40, 13, 2]))
    assert message in str(caught.value)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.empty(40, object)
    trap[:] = [Trap() for _ in range(40)]
    with pytest.raises(UserError, match="array `group` cannot be read"):
        open_source(arrays(group=trap)(tmp_path))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("make", [so2sat_file, npz])
def test_a_file_without_permission_is_one_line(make: Callable[[Path], object], tmp_path: Path) -> None:
    config = make(tmp_path).config
    Path(config.path).chmod(0)
    with pytest.raises(UserError, match="cannot be read"):
        open_source(config)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    config = folder(tmp_path).config
    Image.new("1", (12000, 12000)).save(Path(config.path) / "sea" / "bomb.png")
    with pytest.raises(UserError, match=r"bomb\.png: is too large for a patch"):
        open_source(config)
