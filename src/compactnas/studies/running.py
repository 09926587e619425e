"""Run the jobs of a study one after the other in this process. Finished jobs are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compactnas.data import Dataset, cut_halves, open_dataset
from compactnas.errors import UserError
from compactnas.io.jsonl import Row, read_rows
from compactnas.nn.baselines import BASELINES
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import search_stage, train_stage
from compactnas.reporting.tensorboard import TensorBoard
from compactnas.runs.folder import run_writer
from compactnas.space.genotype import Genotype
from compactnas.studies.config import RANDOM, StudyConfig
from compactnas.studies.jobs import StudyJob, expand
from compactnas.studies.random_search import Sizes, random_search_stage, search_work
from compactnas.training.runtime import Listener, Silent

Told = Callable[[int, int, StudyJob], None]
"""Function called before each job with its number, the number of jobs, and the job."""
Say = Callable[[str], None]
"""Function called with a line about the jobs."""


def run_study(
    study: StudyConfig,
    root: str | Path,
    *,
    listener: Listener | None = None,
    told: Told | None = None,
    tensorboard: bool = False,
) -> None:
    """Run the jobs of a study that are not done, in `root/jobs`. An interrupted job continues at its last whole epoch.

    Args:
        study: Study to run.
        root: Folder of the study. Studies in the same folder share their jobs.
        listener: Receives the progress of each job.
        told: Function called before each job.
        tensorboard: Whether each job also writes figures for TensorBoard into its folder.
    """
    jobs, opened, root = expand(study), _Opened(), Path(root)
    for number, job in enumerate(jobs, 1):
        if not job.done(root):
            if told is not None:
                told(number, len(jobs), job)
            run_job(job, root, listener or Silent(), opened(job), tensorboard=tensorboard)


def run_job(job: StudyJob, root: Path, listener: Listener, data: Dataset, *, tensorboard: bool = False) -> None:
    """Run one job to its end, or continue it."""
    folder = job.folder(root)
    if tensorboard:
        listener = TensorBoard(listener, folder / "tensorboard" / job.name.replace(",", "").replace(" ", "_"))
    with run_writer(folder):
        if job.kind == "search":
            search_stage(job.config, folder, resume=True, listener=listener, data=data)
        elif job.kind == "random_search":
            twin = Genotype.load(chosen(job.needs, root))
            random_search_stage(job.config, folder, twin, _spent(job, root, data), listener=listener, data=data)
        else:
            model: str | Genotype
            if job.method in BASELINES or job.genotype is not None:
                model, like = job.genotype or job.method, ""
            else:
                found = str(chosen(job.needs, root) / "genotype.json")
                model, like = (RANDOM, found) if job.method == RANDOM else (found, "")
            train_stage(job.config, folder, model, like=like, resume=True, listener=listener, data=data)
            evaluate_stage(folder, data=data)
        job.finish(root)


def _spent(job: StudyJob, root: Path, data: Dataset) -> float:
    """Sum the work of the searches that a random search is compared with."""
    facts = data.source.facts
    sizes = Sizes(len(facts.bands), len(facts.classes), facts.patch_px)

    def spent(need: StudyJob) -> float:
        config = need.config
        half = min(map(len, cut_halves(data, config.search.halves, config.seed)))
        return search_work(_metrics(need, root), config.search, config.space, sizes, half)

    return sum(map(spent, job.needs))


def chosen(searches: tuple[StudyJob, ...], root: Path) -> Path:
    """Find the folder of the search with the best accuracy on D_V in its last epoch; of equal ones the first.

    The paper mentions the "best selected model" without its criterion. D_V is the half of the training part on which
    the search has not trained weights.
    """

    if len(searches) == 1:
        return searches[0].folder(root)

    def accuracy(job: StudyJob) -> float:
        last = _metrics(job, root)[-1]
        if "accuracy_alpha" not in last:
            raise UserError(
                f"{job.folder(root)}: the search has no accuracy on D_V in its last epoch, which chooses the best one; "
                "give search.epochs above search.warmup, and leave out search.max_steps"
            )
        return float(last["accuracy_alpha"])

    return max(searches, key=accuracy).folder(root)


def _metrics(search: StudyJob, root: Path) -> list[Row]:
    file = search.folder(root) / "search" / "metrics.jsonl"
    again = "remove its folder to search again"
    rows = read_rows(file, again)
    if not rows:
        raise UserError(f"{file}: the search has no epoch; {again}")
    return rows


class _Opened:
    """Data of the jobs; consecutive jobs of the same split share it."""

    def __init__(self) -> None:
        self._sets: dict[object, Dataset] = {}

    def __call__(self, job: StudyJob) -> Dataset:
        config = job.config.data
        if config not in self._sets:
            self._sets = {config: open_dataset(config)}  # only one at a time, because a data set may fill the memory
        return self._sets[config]
