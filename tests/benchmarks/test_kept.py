"""A study's kept outputs: from them alone the same tables come again, and no other study's are taken for its own."""

from __future__ import annotations

from pathlib import Path

import kept
import pytest
from side_by_side import folder_name
from support.fake_study import fake_study, genotype_of, write_fake_study

from compactnas.config import TrainConfig
from compactnas.space.genotype import Genotype
from compactnas.studies import StudyConfig, expand
from compactnas.studies.reporting import write_study_report
from compactnas.studies.running import chosen
from compactnas.studies.tables import study_tables


def found_ones(study: StudyConfig, root: Path) -> None:
    """The fake trainings take other cells than the fake searches found: give them theirs."""
    for job in expand(study):
        if job.kind == "train" and job.needs and job.method != "random":
            cell = (chosen(job.needs, root) / "genotype.json").read_bytes()
            (job.folder(root) / "genotype.json").write_bytes(cell)


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    study = fake_study()
    write_fake_study(study, tmp_path / "study")
    found_ones(study, tmp_path / "study")
    for job in expand(study):
        assert kept.keep(job, tmp_path / "study", tmp_path / "kept" / folder_name(job.name)) == "kept"
    return study


def give(study: StudyConfig, folder: Path) -> list[str | None]:
    return [kept.give(job, folder / "again", folder / "kept" / folder_name(job.name)) for job in expand(study)]


def test_the_same_tables_come_again(study: StudyConfig, tmp_path: Path) -> None:
    assert set(give(study, tmp_path)) == {"given"}
    assert study_tables(study, tmp_path / "again") == study_tables(study, tmp_path / "study")
    write_study_report(study, tmp_path / "again", "A study")
    assert set(give(study, tmp_path)) == {None}, "what is done is left as it is"


def test_trainings_of_another_length_are_left_out(study: StudyConfig, tmp_path: Path) -> None:
    longer = fake_study(train=TrainConfig(epochs=5))
    for job, said in zip(expand(longer), give(longer, tmp_path), strict=True):
        if job.kind == "train":
            assert said == "left out: train.epochs is another" and not job.folder(tmp_path / "again").exists()
        else:
            assert said == "given"


def test_trainings_of_another_network_than_that_found_are_left_out(study: StudyConfig, tmp_path: Path) -> None:
    job = next(job for job in expand(study) if job.kind == "train" and job.method == "S")
    other = tmp_path / "kept" / folder_name(job.name) / "genotype.json"
    cell = next(cell for cell in map(genotype_of, expand(study)) if cell != Genotype.load(other))
    other.write_text(cell.to_json())
    said = dict(zip(expand(study), give(study, tmp_path), strict=True))
    assert said.pop(job) == "left out: its network is not the one that was found"
    assert set(said.values()) == {"given"}


def test_a_misspelt_study_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kept.py", "keep", str(tmp_path / "stuty.yaml"), str(tmp_path), str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        kept.main()
    assert "stuty.yaml: No such file" in capsys.readouterr().err
