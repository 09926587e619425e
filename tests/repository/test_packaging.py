"""Wheel and source archive hold what they should, and the files that describe the project agree with each other."""

from __future__ import annotations

import email
import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import compactnas

BUILD = "import sys; from hatchling import build; print(build.build_wheel(sys.argv[1])); build.build_sdist(sys.argv[1])"
NEVER_SHIPPED = {".gitignore"}

needs_hatchling = pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")


@pytest.fixture(scope="module")
def archives(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both archives without a network, as `python -m build --no-isolation` does."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=repository, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> zipfile.ZipFile:
    (file,) = archives.glob("*.whl")
    return zipfile.ZipFile(file)


@needs_hatchling
def test_the_wheel_has_the_files_of_the_package_and_no_others(repository: Path, wheel: zipfile.ZipFile) -> None:
    source = repository / "src"
    ours = {file.relative_to(source).as_posix() for file in (source / "compactnas").rglob("*") if file.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    theirs = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert theirs == ours
    assert {Path(name).suffix for name in ours} >= {".py", ".j2", ".css", ".js", ".typed"}


@needs_hatchling
def test_the_metadata_is_that_of_the_project(repository: Path, wheel: zipfile.ZipFile) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    said = email.message_from_bytes(wheel.read(name))
    assert said["Name"] == "compactnas"
    assert said["Version"] == compactnas.__version__
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "MIT"
    assert said["Keywords"].split(",") == sorted(project["keywords"])
    assert set(said.get_all("Classifier", [])) == set(project["classifiers"])
    assert set(said.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert "Operating System :: POSIX :: Linux" in project["classifiers"]
    entries = wheel.read(name.replace("METADATA", "entry_points.txt")).decode()
    assert "compactnas = compactnas.cli:entry" in entries
    assert wheel.read(name.replace("METADATA", "licenses/LICENSE")) == (repository / "LICENSE").read_bytes()


@needs_hatchling
def test_the_unpacked_wheel_runs_from_an_empty_folder(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """A wheel is a zip file that is imported as it is; nothing of the checkout is on the path."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    wheel.extractall(site)
    ask = f"import compactnas; assert compactnas.__file__.startswith({str(site)!r}); from compactnas.cli import main; "
    ask += "assert main(['--help']) == 0; sys.exit(main(['init', '-o', 'run.yaml']))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {ask}"],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [file.name for file in empty.iterdir()] == ["run.yaml"]


@needs_hatchling
def test_the_source_archive_has_all_tracked_files(repository: Path, archives: Path) -> None:
    if not (repository / ".git").exists():
        pytest.skip("not a checkout of git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
    tracked = {name for name in listed.stdout.split("\0") if name and (repository / name).is_file()} - NEVER_SHIPPED
    (file,) = archives.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked - there == set()


def test_the_citation_names_this_version_and_the_paper(repository: Path) -> None:
    """Required keys of the Citation File Format 1.2.0, and what must agree with the package."""
    citation = yaml.safe_load((repository / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == "compactnas"
    assert citation["message"]
    assert citation["type"] == "software"
    assert citation["license"] == "MIT"
    assert str(citation["version"]) == compactnas.__version__
    assert citation["authors"] == [{"name": "compactnas developers"}]
    paper = citation["preferred-citation"]
    assert paper["year"] == 2021
    assert [author["family-names"] for author in paper["authors"]] == ["Traoré", "Camero", "Zhu"]


def test_the_changelog_has_a_section_of_this_version(repository: Path) -> None:
    lines = (repository / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert lines.count("## [Unreleased]") == 1
    released = [line for line in lines if line.startswith("## [") and line != "## [Unreleased]"]
    assert released[0].startswith(f"## [{compactnas.__version__}] - ")


def test_ci_runs_the_script_of_developers(repository: Path) -> None:
    workflow = yaml.safe_load((repository / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert commands == ["scripts/test"]
    pythons = workflow["jobs"]["install"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    stated = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert pythons == stated
    for file in sorted((repository / ".github").rglob("*.yml")):
        assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict), file


def test_hooks_before_a_commit_run_the_checks_of_the_script(repository: Path) -> None:
    """Each hook is a step of `scripts/test` with the same name and the same tool."""
    script = (repository / "scripts" / "test").read_text(encoding="utf-8")
    (hooks,) = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert hooks["repo"] == "local"
    assert [hook["name"] for hook in hooks["hooks"]] == ["lint", "formatting", "types", "layers"]
    for hook in hooks["hooks"]:
        words = hook["entry"].removeprefix("python ").removesuffix(" --force-exclude")
        assert f"step {hook['name']} " in script
        assert words.replace("lint-imports", "lint_imports") in script, hook  # the script calls it as a module
