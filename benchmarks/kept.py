"""The small outputs of a study's finished jobs, into a folder of this repository and back into a study's folder.

    python benchmarks/kept.py keep examples/beyond.yaml STUDY results/beyond/jobs
    python benchmarks/kept.py give examples/beyond.yaml STUDY results/beyond/jobs

`keep` copies what every figure of the tables comes from, without weights; `give` makes finished jobs of it again, so
that `compactnas study examples/beyond.yaml -o STUDY` computes only what is left and writes all tables. A kept job
whose config is not that of the study's job of this name is left out, and said.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from side_by_side import folder_name

from compactnas.errors import UserError
from compactnas.runs.folder import config_values, first_difference, read_config
from compactnas.space.genotype import Genotype
from compactnas.studies import Job, expand, read_study
from compactnas.studies.config import RANDOM
from compactnas.studies.running import chosen

FILES = {
    "config.yaml": "config.yaml",
    "genotype.json": "genotype.json",
    "alpha.json": "alpha.json",
    "evaluation.json": "evaluation.json",
    "search/metrics.jsonl": "search.jsonl",
    "search/candidates.jsonl": "candidates.jsonl",
    "train/metrics.jsonl": "train.jsonl",
}
"""In a job's folder, and among what is kept."""


def keep(job: Job, root: Path, kept: Path) -> str | None:
    """Copy what a finished job has of these files; what is said of it, if anything."""
    if not job.done(root):
        return None
    kept.mkdir(parents=True, exist_ok=True)
    for file, name in FILES.items():
        if (source := job.folder(root) / file).exists():
            shutil.copyfile(source, kept / name)
    return "kept"


def give(job: Job, root: Path, kept: Path) -> str | None:
    """Make the job's folder of what is kept of it, unless it is done; what is said of it, if anything."""
    if job.done(root) or not kept.exists():
        return None
    if difference := first_difference(config_values(read_config(kept)), config_values(job.config)):
        return f"left out: {difference} is another"
    if job.kind == "train" and job.needs and job.method != RANDOM:
        if not all(need.done(root) for need in job.needs):
            return "left out: not all searches that it needs are there"
        if Genotype.load(kept) != Genotype.load(chosen(job.needs, root)):
            return "left out: its network is not the one that was found"
    for file, name in FILES.items():
        if (source := kept / name).exists():
            target = job.folder(root) / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    job.finish(root)
    return "given"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("keep", "give"))
    parser.add_argument("study", help="the study's file")
    parser.add_argument("root", type=Path, help="the study's folder, outside the checkout")
    parser.add_argument("kept", type=Path, help="folder with one folder a job")
    options = parser.parse_args()
    source = {"keep": options.root, "give": options.kept}[options.action]
    if not source.is_dir():
        parser.error(f"there is no folder {source}; check the spelling")
    action = {"keep": keep, "give": give}[options.action]
    try:
        for job in expand(read_study(Path(options.study))):
            if said := action(job, options.root, options.kept / folder_name(job.name)):
                print(f"{job.name}: {said}")
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
