"""Broken input given to the command: one line, exit code 2, and nothing that could be taken for a packed set."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.broken_data import BROKEN
from support.data_files import folder, npz, so2sat_file, so2sat_folder
from support.forking import finish

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import open_streamed
from compactnas.data.formats.packed import is_packed, open_packed
from compactnas.data.inspection import look
from compactnas.data.packing.npy_writer import NpyWriter
from compactnas.data.packing.pack import prepare
from compactnas.data.reflectance_checks import count_faults
from compactnas.data.source import Facts
from compactnas.errors import UserError
from compactnas.lcz import NAMES, SO2SAT_TEST


def scaled_twice(where: Path) -> DataConfig:
    config = so2sat_file(where).config
    with h5py.File(config.path, "a") as file:
        file["sen2"][...] = file["sen2"][()] / 10000
    return config


def bomb(where: Path) -> DataConfig:
    """Some kilobytes that claim to hold more than any memory."""
    path = where / "bomb.h5"
    with h5py.File(path, "w") as file:
        for key, shape in (("label", (2**40, 17)), ("sen2", (2**40, 8, 8, 10))):
            file.create_dataset(key, shape, "float64", chunks=(64, *shape[1:]), compression="gzip")
    return DataConfig(str(path))


def wide_cities(where: Path) -> DataConfig:
    config = so2sat_folder(where).config
    with h5py.File(where / "testing_geo.h5", "w") as file:
        file.create_dataset("city", (17, 2**40), "S8", chunks=(17, 4096), compression="gzip")
    return config


def loop(where: Path) -> DataConfig:
    (where / "loop").symlink_to(where / "loop")
    return DataConfig(str(where / "loop"))


def loop_inside(where: Path) -> DataConfig:
    config = folder(where).config
    image = Path(config.path) / "sea" / "x.png"
    image.symlink_to(image)
    return config


def empty_class(where: Path) -> DataConfig:
    config = folder(where).config
    (Path(config.path) / "hill").mkdir()
    return config


HERE: dict[str, tuple[Callable[[Path], DataConfig], str]] = {
    "scaled twice": (scaled_twice, "divided by 10000 twice?"),
    "a bomb of zeros": (bomb, "says that it holds 1099511627776 patches"),
    "cities without end": (wide_cities, "city has 17 values"),
    "a link to itself": (loop, "loop"),
    "an image that links to itself": (loop_inside, "x.png: cannot be read"),
    "an empty class": (empty_class, "hill: has no"),
}
EVERY = BROKEN | HERE


@pytest.mark.parametrize("kind", EVERY)
def test_nothing_is_left_that_could_be_taken_for_whole(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    make, message = EVERY[kind]
    config = make(tmp_path / "in")
    options = ["--data.format", config.format, "--data.sensor", config.sensor]
    assert main(["prepare", config.path, str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("compactnas: error: ")
    assert message in error or kind == "no path"
    assert not (tmp_path / "out").exists()
    assert not any(is_packed(found) for found in tmp_path.iterdir() if found.is_dir())


def test_a_disk_that_fills_up_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = npz(tmp_path)

    def full(self: NpyWriter, rows: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(NpyWriter, "add", full)
        assert main(["prepare", made.config.path, str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert (
        "no space left on device; free some space and give the same command again" in error and error.count("\n") == 1
    )
    assert not (tmp_path / "out").exists()
    assert main(["prepare", made.config.path, str(tmp_path / "out")]) == 0


def test_reflectance_that_is_small_on_purpose_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = scaled_twice(tmp_path / "in")
    source = open_packed(prepare(config, tmp_path / "out", "float32"))
    np.testing.assert_array_equal(source.batch(np.arange(5))[0], open_streamed(config).batch(np.arange(5))[0])


def test_a_relabelled_so2sat_is_seen_by_its_counts() -> None:
    labels = np.repeat(np.arange(17), SO2SAT_TEST)
    facts = Facts("testing", ("B02",), NAMES, 32, labels, lcz=True)
    assert count_faults(facts) == []
    changed = labels.copy()
    changed[0] = 1
    (line,) = count_faults(replace(facts, labels=changed))
    assert "So2Sat's test part, 24188, but of Compact high-rise 265 and not 266" in line


MUTATION = st.one_of(
    st.tuples(st.just("byte"), st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0)),
    st.tuples(st.just("zeros"), st.floats(0, 1, exclude_max=True), st.integers(1, 64)),
)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Path(so2sat_file(tmp_path_factory.mktemp("valid")).config.path).read_bytes()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(mutations=st.lists(MUTATION, min_size=1, max_size=4), early=st.booleans())
def test_a_mutated_hdf5_file_is_read_or_refused_in_one_line(
    valid: bytes, tmp_path: Path, mutations: list[tuple[str, float, int]], early: bool
) -> None:
    content = bytearray(valid)
    for kind, place, value in mutations:
        # Half of the time in the first kilobytes, where the structure is.
        at = int(place * min(len(content), 4096 if early else len(content)))
        if kind == "byte" and content:
            content[at] = value
        elif kind == "cut":
            del content[at:]
        else:
            content[at : at + value] = bytes(len(content[at : at + value]))
    path = tmp_path / "mutated.h5"
    path.write_bytes(content)
    refused = ""
    try:
        look(open_streamed(DataConfig(str(path))))
    except UserError as error:
        refused = str(error)
    assert "\n" not in refused
    assert not refused or "mutated" in refused


def test_two_preparations_of_one_set_do_not_mix(tmp_path: Path) -> None:
    """The second is refused while the first one works, and the first one's set is whole."""
    config, told = npz(tmp_path).config, []

    def second(done: int, total: int) -> None:
        if not told:
            said = finish(["-m", "compactnas", "prepare", config.path, tmp_path / "set"], check=False)
            told.append((said.returncode, said.stderr))

    prepare(config, tmp_path / "set", progress=second)
    prepare(config, tmp_path / "alone")
    ((code, text),) = told
    assert code == 2 and "is writing here; wait for it" in text and len(text.splitlines()) == 1
    names = sorted(file.name for file in (tmp_path / "alone").iterdir())
    assert sorted(file.name for file in (tmp_path / "set").iterdir()) == names
    assert all((tmp_path / "set" / n).read_bytes() == (tmp_path / "alone" / n).read_bytes() for n in names)
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_of_another_program_is_not_removed(tmp_path: Path) -> None:
    config, foreign = npz(tmp_path).config, tmp_path / "set.part"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"set\.part: holds files of another program"):
        prepare(config, tmp_path / "set")
    assert (foreign / "thesis.tex").read_text() == "mine"


def test_a_preparation_killed_after_its_last_rename_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = npz(tmp_path).config
    with monkeypatch.context() as patch:
        patch.setattr("compactnas.data.packing.pack.remove_workplace", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(config, tmp_path / "set")
    assert (tmp_path / "set").exists() and (tmp_path / "set.part").exists()
    assert prepare(config, tmp_path / "set") == tmp_path / "set"
    assert not (tmp_path / "set.part").exists()
    with pytest.raises(UserError, match="exists already"):
        prepare(config, tmp_path / "set")
