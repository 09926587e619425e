"""The house: the two commands of a fresh machine, exact versions inside their ranges, documents that are true."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from support.slow import SLOW

OLD = 'case "$2" in *print*) echo 3.10.13 ;; *) exit 1 ;; esac'
NO_VENV = f'case "$*" in *"import venv"*) exit 1 ;; esac; exec "{sys.executable}" "$@"'
FULL = (
    'case "$1 $2" in "-m venv") echo "Error: [Errno 28] No space left on device: x" >&2; exit 1 ;; esac; '
    f'exec "{sys.executable}" "$@"'
)
NEW = f'exec "{sys.executable}" "$@"'
SMALL_DISK = "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 9 9 204800 98%% /\\n'"


def write_program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("script", ["demo", "test"])
@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"python3": OLD}, "python3 is Python 3.10.13; 3.11 or newer is needed"),
        ({"python3": NO_VENV}, "has no venv module; install it"),
        ({"python3": FULL}, "disk full while installing into"),
        ({"python3": NEW, "df": SMALL_DISK}, "disk full: 200 MB are free"),
        ({"python3": "exit 1"}, "does not run; set PYTHON"),
    ],
    ids=["old", "no venv", "full while installing", "full before", "broken"],
)
def test_a_machine_that_lacks_something_is_told_in_one_line(
    repository: Path, tmp_path: Path, script: str, programs: dict[str, str], said: str
) -> None:
    for name, body in programs.items():
        write_program(tmp_path, name, body)
    kept = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    environment = kept | {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "COMPACTNAS_VENV": str(tmp_path / "venv"),
    }
    done = subprocess.run(
        [repository / "scripts" / script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "venv" / "bin").exists()


def test_a_folder_that_is_no_environment_is_left_alone(repository: Path, tmp_path: Path) -> None:
    kept = tmp_path / "letters.txt"
    kept.write_text("dear")
    environment = os.environ | {"PYTHON": sys.executable, "COMPACTNAS_VENV": str(tmp_path)}
    done = subprocess.run(
        [repository / "scripts" / "demo"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "is not a virtual environment" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["letters.txt"]


def test_the_commands_can_be_run_and_ci_runs_the_same(repository: Path) -> None:
    for name in ("scripts/demo", "scripts/test", ".ci/run"):
        assert (repository / name).stat().st_mode & stat.S_IXUSR, name
    assert "scripts/test" in (repository / ".ci" / "run").read_text()


def test_exact_versions_lie_in_their_ranges(repository: Path) -> None:
    """Every dependency, of the extras too, has one exact version, and that version is admitted."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    lines = [line for line in (repository / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    exact = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    asked = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    for requirement in map(Requirement, asked):
        if requirement.name == project["name"]:
            continue
        assert requirement.specifier, f"{requirement.name} has no range"
        assert requirement.specifier.contains(Version(exact[canonicalize_name(requirement.name)])), requirement


def test_each_range_stands_with_its_reason(repository: Path) -> None:
    lines = (repository / "pyproject.toml").read_text().splitlines()
    begin, end = lines.index("dependencies = ["), lines.index("[project.scripts]")
    for before, line in zip(lines[begin:end], lines[begin + 1 : end], strict=False):
        if re.match(r' *"[\w\-\[\]]+[><=]', line):
            assert before.lstrip().startswith("#"), line


def test_no_tracked_file_is_large(repository: Path) -> None:
    """Data stays outside, and what a benchmark made beside the sources is no part of them."""
    if not (repository / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout of git, or no git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
    files = [repository / name for name in listed.stdout.split("\0") if name]
    assert [file for file in files if file.is_file() and file.stat().st_size > 2**20] == []


def test_the_slow_modules_are_there(repository: Path) -> None:
    """A module that moves must not come back into the quick run unseen."""
    for folder, names in SLOW.items():
        for name in names:
            assert (repository / "tests" / folder / f"test_{name}.py").is_file(), (folder, name)
