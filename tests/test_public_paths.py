"""Paths of the public Python names: text or `pathlib.Path`, with the same result."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.study_files import write_study
from support.tiny import tiny_config, write_patches

import compactnas as cn
from compactnas.io.paths import each_path


def callables() -> Iterator[tuple[str, Any]]:
    """All public functions, and the public methods of public classes, as they are called."""
    for name in cn.__all__:
        value = getattr(cn, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) or inspect.ismodule(value):
            for inner, member in inspect.getmembers(value, inspect.isroutine):
                own = (getattr(member, "__module__", None) or "").startswith("compactnas")
                if own and (inner == "__init__" or not inner.startswith("_")):
                    yield f"{name}.{inner}", member


PATHS = [
    pytest.param(str(parameter.annotation).replace("pathlib.", ""), id=f"{name}-{parameter.name}")
    for name, function in callables()
    for parameter in inspect.signature(function).parameters.values()
    if "Path" in str(parameter.annotation)
]


def test_there_are_paths() -> None:
    """An empty list would pass the next test."""
    assert len(PATHS) >= 36


@pytest.mark.parametrize("annotation", PATHS)
def test_each_path_may_be_text(annotation: str) -> None:
    assert "str | Path" in annotation
    assert "Sequence[Path]" not in annotation


@pytest.mark.parametrize(
    ("given", "paths"),
    [("run", ["run"]), (Path("run"), ["run"]), (["a", Path("b")], ["a", "b"]), ((), [])],
)
def test_a_text_is_one_path(given: Any, paths: list[str]) -> None:
    assert each_path(given) == [Path(path) for path in paths]


CONFIGS = """
from pathlib import Path
import compactnas as cn

paths = {"path": "a.npz", "labels": "b.tif", "mask": "c.tif", "split_csv": "d.csv"}
assert cn.DataConfig(**{name: Path(path) for name, path in paths.items()}) == cn.DataConfig(**paths)
folders = cn.TrainConfig(start_from=Path("a"), teachers=(Path("b"), "c"))
assert folders == cn.TrainConfig(start_from="a", teachers=("b", "c"))
table = {"max_latency_ms": 1.0, "latency_table": "t.json"}
assert cn.SearchConfig(**table | {"latency_table": Path("t.json")}) == cn.SearchConfig(**table)
"""


def test_configs_turn_paths_into_text() -> None:
    """In a process of its own, because here every annotated argument is checked, and these fields are text."""
    subprocess.run([sys.executable, "-c", CONFIGS], check=True)


def test_stages_take_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder named by text, relative to the current one, as a notebook does it. mypy checks the other functions."""
    space: dict[str, object] = {"max_depth": 1, "operations": ("skip_connect", "max_pool_3x3")}
    steps: dict[str, object] = {"max_steps": 1, "initial_depth": 1}
    config = tiny_config(write_patches(tmp_path / "patches.npz"), space=space, search=steps, train={"max_steps": 1})
    monkeypatch.chdir(tmp_path)
    cn.run(config, "run")
    assert cn.evaluate_stage("run").part == "test"
    assert cn.predict("run", config.data, "predicted.csv", part="test") == 24
    assert cn.ModelSpec.read("run").genotype == cn.Genotype.load("run")
    cn.select_stage(config, cn.SelectConfig(candidates=2, by=("macs",)), "run", "selected")
    assert cn.write_report("run", "one.html") == Path("one.html")
    assert cn.prepare(config.data, "packed") == Path("packed")
    made = ("predicted.csv", "selected/genotype.json", "one.html", "packed")
    assert not [name for name in made if not Path(name).exists()]


def test_a_study_takes_text(tmp_path: Path) -> None:
    changes = {"methods": [], "splits": ["official"], "search_split": "official", "random": False}
    changes["random_search"] = False
    small = {"retrainings": 1, "train": {"max_steps": 1, "batch_size": 16}}
    file, root = str(write_study(tmp_path, **changes, **small)), str(tmp_path / "study")
    study = cn.read_study(file)
    cn.run_study(study, root)
    (table,) = cn.study_tables(study, root)
    assert table.columns == ("ResNet-8",)
    assert len(cn.study_view(study, root).trainings) == 1


def test_every_file_of_a_config_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = cn.DataConfig(path="a.tif", labels="b.geojson", mask="m.tif,n.tif", split_csv="s.csv")
    search = cn.SearchConfig(max_latency_ms=1.0, latency_table="t.json")
    train = cn.TrainConfig(teachers=("one", "two"), start_from="three")
    whole = cn.RunConfig(data=data, search=search, train=train).with_whole_paths()
    assert whole.data.mask == f"{tmp_path / 'm.tif'},{tmp_path / 'n.tif'}"
    relative = ("a.tif", "b.geojson", "s.csv", "t.json", "one", "two", "three")
    paths = whole.data.path, whole.data.labels, whole.data.split_csv, whole.search.latency_table, *whole.train.teachers
    assert [*paths, whole.train.start_from] == [str(tmp_path / name) for name in relative]
    assert cn.RunConfig().with_whole_paths() == cn.RunConfig()
