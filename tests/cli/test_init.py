"""`compactnas init`: the file that it writes means what was asked for, and every key has its comment."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import yaml

from compactnas.cli import main
from compactnas.cli.commands import run as run_command
from compactnas.cli.options import Recipe, parse
from compactnas.cli.parser import PARTS
from compactnas.config import RECIPES, RunConfig


def read(file: Path) -> RunConfig:
    """Read a config file as `compactnas run --config` does."""
    return parse(run_command.build, ["--config", str(file), "-o", "unused"])[1]


@pytest.mark.parametrize("everything", [False, True], ids=["common", "all"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_file_means_its_recipe(recipe: Recipe, everything: bool, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    assert main(["init", "--recipe", recipe, "-o", str(file), *["--all"] * everything]) == 0
    assert read(file) == RECIPES[recipe]()


def test_options_are_written_and_all_others_keep_their_meaning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "folder" / "run.yaml"
    words = "--recipe quick --data.path été.npz --data.bands B02,B03 --data.nodata - --max-macs 20M --seed 7 "
    words += "--train.learning_rate 1e-5 --search.no-nesterov --space.channels 12"
    assert main(["init", "-o", str(file), *words.split()]) == 0
    assert f"next: compactnas run --config {file} -o RUN" in capsys.readouterr().out
    quick = RECIPES["quick"]()
    assert read(file) == replace(
        quick,
        data=replace(quick.data, path="été.npz", bands=("B02", "B03"), nodata="-"),
        space=replace(quick.space, channels=12),
        search=replace(quick.search, max_macs=20e6, nesterov=False),
        train=replace(quick.train, learning_rate=1e-5),
        seed=7,
    )


def test_every_key_has_a_comment_and_names_have_their_choices(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    assert main(["init", "--all", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines() if line.lstrip().startswith("#")) <= 100
    values = yaml.safe_load(text)
    assert values.keys() == {"recipe", *asdict(RunConfig())}
    for part, kind in PARTS.items():
        assert list(values[part]) == [field.name for field in fields(kind)]
    lines = text.splitlines()
    keys = [number for number, line in enumerate(lines) if line.startswith("  ") and not line.startswith("  #")]
    assert all(lines[number - 1].startswith("  # ") for number in keys)
    comment = " ".join(line.strip(" #") for line in lines[lines.index("data:") : lines.index("  split: official")])
    assert "`group`: whole groups (polygons, cities) are held out." in comment
    assert comment.endswith("One of official, d1, d2, group, fold, block, random, csv.")


def test_the_short_file_counts_what_it_leaves_out(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    assert main(["init", "-o", str(file)]) == 0
    text = file.read_text(encoding="utf-8")
    written = sum(len(part) for part in yaml.safe_load(text).values() if isinstance(part, dict))
    every = sum(len(fields(kind)) for kind in PARTS.values())
    assert f"# {every - written} more keys have the recipe's values" in text
    assert 8 < written < 25


def test_an_existing_file_and_a_wrong_value_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    assert main(["init", "-o", str(file), "--data.test_fraction", "2"]) == 2
    assert "--data.test-fraction: 2.0 is not between 0 and 1" in capsys.readouterr().err
    assert not file.exists()
    file.write_text("mine")
    assert main(["init", "-o", str(file)]) == 2
    assert capsys.readouterr().err == f"compactnas: error: {file}: exists already; name a new file with --output\n"
    assert file.read_text() == "mine"
