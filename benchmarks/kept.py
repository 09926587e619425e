"""Pack the small outputs of a study's finished jobs into one file of this repository, and unpack them again.

    python benchmarks/kept.py keep examples/beyond.yaml STUDY results/beyond.jsonl
    python benchmarks/kept.py give examples/beyond.yaml STUDY results/beyond.jsonl
    python benchmarks/kept.py show results/beyond.jsonl
    python benchmarks/kept.py show results/beyond.jsonl search_8_percent_seed_0 genotype > genotype.json

`keep` packs the files that the tables are computed from, without weights. A job that the file already holds is
replaced. `give` makes finished jobs from them, so that `compactnas study examples/beyond.yaml -o STUDY` runs only the
other jobs and writes all tables. It skips a job if its config or its network differs from that of the study.
`show` lists the lines of a file, or prints one part of a line as it stands in a run folder.

Each line of the file is a JSON object. `name` is the name of the job; the other keys are its parts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from side_by_side import folder_name

from compactnas.config import RunConfig, from_values
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_bytes
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.io.untrusted import read_yaml
from compactnas.runs.folder import config_values, first_difference
from compactnas.space.genotype import Genotype
from compactnas.studies import StudyJob, expand, read_study
from compactnas.studies.config import RANDOM
from compactnas.studies.running import chosen

FILES = {
    "config": "config.yaml",
    "genotype": "genotype.json",
    "alpha": "alpha.json",
    "search": "search/metrics.jsonl",
    "candidates": "search/candidates.jsonl",
    "train": "train/metrics.jsonl",
    "evaluation": "evaluation.json",
}
"""Parts of a line, and the file in a run folder that each one holds."""

READERS: dict[str, Callable[[Path, str], Any]] = {".yaml": read_yaml, ".json": read_json, ".jsonl": read_rows}
ADVICE = "run the job again, or restore the file"


def read_kept(file: Path) -> dict[str, Row]:
    """Read a file of kept results: its lines by name.

    Raises:
        UserError: The file cannot be read, a line has no name, or two lines have the same one.
    """
    lines: dict[str, Row] = {}
    for number, line in enumerate(read_rows(file, "name a file below results/"), 1):
        name = line.get("name")
        if not isinstance(name, str) or name in lines:
            raise UserError(f"{file}: line {number} needs a name of its own, found {name!r}; restore the file")
        lines[name] = line
    return lines


def load_genotype(file: Path, name: str) -> Genotype:
    """Read the genotype of one line."""
    return Genotype.from_values(_part(file, name, "genotype"), f"{file}, {name}")


def text_of(part: str, values: Any) -> str:
    """Write a part as the text of its file in a run folder."""
    if part == "genotype":
        return Genotype.from_values(values).to_json()
    if part == "config":
        return yaml.safe_dump(values, sort_keys=False)
    if isinstance(values, list):
        return "".join(json.dumps(row) + "\n" for row in values)
    return json.dumps(values, indent=2) + "\n"


def pack(job: StudyJob, root: Path) -> Row | None:
    """Read the parts of a finished job as one line; None if the job is not finished."""
    if not job.done(root):
        return None
    line: Row = {"name": folder_name(job.name)}
    for part, name in FILES.items():
        if (file := job.folder(root) / name).exists():
            line[part] = READERS[file.suffix](file, ADVICE)
    return line


def unpack(job: StudyJob, root: Path, line: Row) -> str:
    """Make a finished job from its line, and return "given"; or return why the job is skipped."""
    if "config" not in line:
        return "skipped: its config was not kept"
    config = _with_defaults(json.dumps(line["config"] | {"seed": 0})) | {"seed": line["config"]["seed"]}
    if difference := first_difference(config, config_values(job.config)):
        return f"skipped: {difference} differs from the study"
    if job.kind == "train" and job.needs and job.method != RANDOM:
        if not all(need.done(root) for need in job.needs):
            return "skipped: a search that it needs is not finished"
        if Genotype.from_values(line.get("genotype")) != Genotype.load(chosen(job.needs, root)):
            return "skipped: its network differs from the one that the study's search found"
    for part, name in FILES.items():
        if part in line:
            write_bytes(job.folder(root) / name, text_of(part, line[part]).encode())
    job.finish(root)
    return "given"


@lru_cache
def _with_defaults(config: str) -> Row:
    """Read a config; cached, since most jobs of a study share one but for the seed."""
    return config_values(from_values(RunConfig, json.loads(config)))


def keep(jobs: list[StudyJob], root: Path, file: Path) -> None:
    """Merge the finished jobs of a study into a file."""
    lines = read_kept(file) if file.exists() else {}
    for job in jobs:
        if line := pack(job, root):
            lines[line["name"]] = line
            print(f"{job.name}: kept")
    write_rows(file, list(lines.values()))


def give(jobs: list[StudyJob], root: Path, file: Path) -> None:
    """Make finished jobs of a study from a file. Jobs that are finished already stay as they are."""
    lines = read_kept(file)
    for job in jobs:
        line = lines.get(folder_name(job.name))
        if line and not job.done(root):
            print(f"{job.name}: {unpack(job, root, line)}")


def show(file: Path, name: str | None, part: str | None) -> str:
    """List the lines of a file, or the parts of one line; or print one part."""
    if name is None:
        return "".join(f"{name}: {_parts(line)}\n" for name, line in read_kept(file).items())
    if part is None:
        return f"{_parts(_line(file, name))}\n"
    return text_of(part, _part(file, name, part))


def _line(file: Path, name: str) -> Row:
    lines = read_kept(file)
    if name not in lines:
        raise UserError(f"{file}: there is no line {name!r}; `python benchmarks/kept.py show {file}` lists all names")
    return lines[name]


def _part(file: Path, name: str, part: str) -> Any:
    line = _line(file, name)
    if part == "name" or part not in line:
        raise UserError(f"{file}: {name} has no {part!r}; choose from {_parts(line)}")
    return line[part]


def _parts(line: Row) -> str:
    return ", ".join(part for part in line if part != "name")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    for action, text in (("keep", "pack finished jobs of a study"), ("give", "make finished jobs from a file")):
        one = actions.add_parser(action, help=text)
        one.add_argument("study", type=Path, help="YAML file of the study")
        one.add_argument("root", type=Path, help="folder of the study, outside the checkout")
        one.add_argument("file", type=Path, help="JSON-lines file, such as results/beyond.jsonl")
    one = actions.add_parser("show", help="list lines, or print one part of a line")
    one.add_argument("file", type=Path, help="JSON-lines file, such as results/beyond.jsonl")
    one.add_argument("name", nargs="?", help="name of a line (default: list all lines)")
    one.add_argument("part", nargs="?", help="part of the line, such as genotype (default: list its parts)")
    options = parser.parse_args()
    try:
        if options.action == "show":
            print(show(options.file, options.name, options.part), end="")
        elif options.action == "keep" and not options.root.is_dir():
            raise UserError(f"{options.root}: no such folder; check the spelling")
        else:
            action = {"keep": keep, "give": give}[options.action]
            action(expand(read_study(options.study)), options.root, options.file)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
