"""Kept results give the same tables again, and jobs of another study are skipped."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import kept
import pytest
import yaml
from side_by_side import folder_name
from support.fake_study import fake_study, genotype_of, write_fake_study

from compactnas.config import RunConfig, TrainConfig, from_values
from compactnas.io.jsonl import write_rows
from compactnas.runs.folder import config_values
from compactnas.space.genotype import Genotype
from compactnas.studies import StudyConfig, expand
from compactnas.studies.reporting import write_study_report
from compactnas.studies.running import chosen
from compactnas.studies.tables import study_tables

RESULTS = Path(__file__).parents[2] / "results"
KEPT = sorted(RESULTS.glob("*.jsonl"))


def train_what_was_found(study: StudyConfig, root: Path) -> None:
    """Give the fake trainings the cells that the fake searches found; they have others at first."""
    for job in expand(study):
        if job.kind == "train" and job.needs and job.method != "random":
            cell = (chosen(job.needs, root) / "genotype.json").read_bytes()
            (job.folder(root) / "genotype.json").write_bytes(cell)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study in `study`, kept in `kept.jsonl`."""
    where, study, said = tmp_path_factory.mktemp("finished"), fake_study(), StringIO()
    write_fake_study(study, where / "study")
    train_what_was_found(study, where / "study")
    with redirect_stdout(said):
        kept.keep(expand(study), where / "study", where / "kept.jsonl")
    assert said.getvalue() == "".join(f"{job.name}: kept\n" for job in expand(study))
    return where


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> StudyConfig:
    """The finished study, and a `kept.jsonl` to change."""
    (tmp_path / "study").symlink_to(finished / "study")
    shutil.copy(finished / "kept.jsonl", tmp_path)
    return fake_study()


@pytest.fixture
def give(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Give:
    return Give(tmp_path, capsys)


class Give:
    """Give the jobs of `kept.jsonl` to the folder `again`; return what was printed for each job."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, study: StudyConfig) -> dict[str, str]:
        kept.give(expand(study), self.folder / "again", self.folder / "kept.jsonl")
        lines = self.capsys.readouterr().out.splitlines()
        return {name: text for name, _, text in (line.partition(": ") for line in lines)}


def test_given_jobs_write_the_same_tables(study: StudyConfig, tmp_path: Path, give: Give) -> None:
    assert give(study) == {job.name: "given" for job in expand(study)}
    assert study_tables(study, tmp_path / "again") == study_tables(study, tmp_path / "study")
    write_study_report(study, tmp_path / "again", "A study")
    assert give(study) == {}, "finished jobs stay as they are"


def test_given_files_hold_the_values_that_were_kept(study: StudyConfig, tmp_path: Path, give: Give) -> None:
    give(study)
    for job in expand(study):
        for name in kept.FILES.values():
            before, after = job.folder(tmp_path / "study") / name, job.folder(tmp_path / "again") / name
            assert before.exists() == after.exists()
            if before.exists():
                read = kept.READERS[before.suffix]
                assert read(after, "") == read(before, "")
    kept.keep(expand(study), tmp_path / "again", tmp_path / "second.jsonl")
    assert (tmp_path / "second.jsonl").read_bytes() == (tmp_path / "kept.jsonl").read_bytes()


def test_keep_replaces_finished_jobs_and_leaves_the_other_lines(study: StudyConfig, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    lines = kept.read_kept(file)
    first, *others = lines.values()
    write_rows(file, [{"name": "figures", "figures": [0.1]}, {"name": first["name"], "train": []}, *others])
    kept.keep(expand(study), tmp_path / "study", file)
    assert kept.read_kept(file) == {"figures": {"name": "figures", "figures": [0.1]}} | lines


def test_trainings_of_another_length_are_skipped(study: StudyConfig, tmp_path: Path, give: Give) -> None:
    longer = fake_study(train=TrainConfig(epochs=5))
    printed = give(longer)
    for job in expand(longer):
        if job.kind == "train":
            assert printed[job.name] == "skipped: train.epochs differs from the study"
            assert not job.folder(tmp_path / "again").exists()
        else:
            assert printed[job.name] == "given"


def test_trainings_of_another_network_than_that_found_are_skipped(
    study: StudyConfig, tmp_path: Path, give: Give
) -> None:
    job = next(job for job in expand(study) if job.kind == "train" and job.method == "S")
    lines = kept.read_kept(tmp_path / "kept.jsonl")
    line = lines[folder_name(job.name)]
    other = next(cell for cell in map(genotype_of, expand(study)) if cell != Genotype.from_values(line["genotype"]))
    line["genotype"] = other.to_values()
    write_rows(tmp_path / "kept.jsonl", list(lines.values()))
    printed = give(study)
    assert printed.pop(job.name) == "skipped: its network differs from the one that the study's search found"
    assert set(printed.values()) == {"given"}


def test_show_prints_a_part_as_it_stands_in_a_run_folder(study: StudyConfig, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    job = next(job for job in expand(study) if job.kind == "search")
    name, folder = folder_name(job.name), job.folder(tmp_path / "study")
    for part in ("genotype", "search"):
        assert kept.show(file, name, part) == (folder / kept.FILES[part]).read_text(encoding="utf-8")
    assert yaml.safe_load(kept.show(file, name, "config")) == config_values(job.config)
    assert kept.load_genotype(file, name) == Genotype.load(folder)
    assert kept.show(file, name, None) == "config, genotype, search\n"
    assert f"{name}: config, genotype, search\n" in kept.show(file, None, None)


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name)
def test_results_of_the_repository_can_be_read(file: Path) -> None:
    lines = kept.read_kept(file).values()
    for config in {json.dumps(line["config"] | {"seed": 0}) for line in lines if "config" in line}:
        from_values(RunConfig, json.loads(config))
    for line in lines:
        for part in kept.FILES.keys() & line.keys() - {"config"}:
            assert kept.text_of(part, line[part])


def test_results_of_the_repository_stay_few_and_small() -> None:
    files = [file for file in RESULTS.rglob("*") if file.is_file()]
    assert KEPT
    assert len(files) <= 20
    assert max(file.stat().st_size for file in files) < 2**20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keep", "stuty.yaml", ".", "kept.jsonl"), "stuty.yaml: No such file"),
        (("keep", "study.yaml", "stuty", "kept.jsonl"), "stuty: no such folder"),
        (("show", "kept.jsonl"), "kept.jsonl: No such file"),
        (("show", str(RESULTS / "beyond.jsonl"), "saerch"), "there is no line 'saerch'"),
        (
            ("show", str(RESULTS / "beyond.jsonl"), "search_8_percent_seed_0", "gene"),
            "has no 'gene'; choose from config,",
        ),
    ],
)
def test_a_misspelt_name_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["kept.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        kept.main()
    assert message in capsys.readouterr().err
