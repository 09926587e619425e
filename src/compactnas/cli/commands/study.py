"""`compactnas study`: run a whole comparison from one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.cli.parser import Parser
    from compactnas.studies import StudyConfig, StudyJob, StudyPlan


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import TENSORBOARD, add_processes
    from compactnas.cli.parser import Parser

    parser = Parser(
        "study",
        "FILE.yaml -o DIR [--plan | --processes N | --ray | --ray-address HOST:PORT]",
        "Run all jobs of a study file (searches, selections, trainings, evaluations) and write its tables and a "
        "report. Finished jobs are kept: to continue a study, give the same command again.",
        required=("--output",),
    )
    parser.add_argument("file", type=str, help="Study file, as in examples/paper.yaml.")
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the study.")
    parser.add_argument("--plan", action="store_true", help="Print the jobs and their estimated times; run nothing.")
    parser.add_argument("--tensorboard", action="store_true", help=TENSORBOARD)
    add_processes(parser, "jobs")
    parser.add_argument("--ray", action="store_true", help="Run jobs in parallel on this machine with Ray.")
    parser.add_argument("--ray-address", type=str, default="", help="Address of a Ray cluster, HOST:PORT or `auto`.")
    parser.add_argument(
        "--ray-cpus", type=float, default=0.0, help="Number of CPUs of a job; 0 takes machine.threads of the study."
    )
    parser.add_argument(
        "--ray-gpus",
        type=float,
        default=-1.0,
        help="Number of GPUs of a job, such as 0.25 for four jobs on a GPU; -1 takes one GPU if there is any.",
    )
    return parser


def _show(planned: StudyPlan) -> None:
    from compactnas.io.durations import duration
    from compactnas.studies.estimating import TIMED

    for split, parts in planned.parts.items():
        print(f"{split}: {', '.join(f'{part} {patches:,}' for part, patches in parts.items() if patches)}")
    for one in planned.jobs:
        macs = "MACs unknown" if one.macs is None else f"{one.macs / 1e6:.2f} M MACs"
        state = "done" if one.done else "to do"
        takes = f"~{duration(one.seconds)}, {one.memory_gib:.1f} GiB"
        print(f"{one.job.key}  {state:5}  {one.job.name:34}  {one.steps:>9,} steps  {macs:16}  {takes}")
    left, every = [one for one in planned.jobs if not one.done], len(planned.jobs)
    print(
        f"{every} jobs, {every - len(left)} done; {sum(one.steps for one in left):,} steps to do, about "
        f"{duration(sum(one.seconds for one in left))} one after the other, estimated from {TIMED} steps of each kind "
        "of network on this machine, with random networks for those that are not found yet"
    )


def _require_objective_options(study: StudyConfig) -> None:
    """Refuse options of searches that their objective does not have, before the first job."""
    from compactnas.config import require_objective_options

    for method in study.methods:
        try:
            require_objective_options(study.search_of(method))
        except UserError as error:
            raise UserError(f"methods.{method}: {error}") from None


def _run(study: StudyConfig, root: Path, options: Namespace) -> None:
    """Run the jobs on this machine, or on Ray."""
    from compactnas.reporting.progress import RichListener
    from compactnas.studies import jobs_at_once, run_study, run_study_in_processes

    out, listener = sys.stdout, RichListener()

    def say(line: str) -> None:
        print(line, file=out, flush=True)  # with Ray, its own output goes to a log meanwhile

    if not (options.ray or options.ray_address):
        processes = options.processes or jobs_at_once(study)
        if processes > 1:
            run_study_in_processes(study, root, processes, listener=listener, say=say, tensorboard=options.tensorboard)
            return

        def told(number: int, of: int, job: StudyJob) -> None:
            print(f"job {number} of {of}: {job.name}")

        run_study(study, root, listener=listener, told=told, tensorboard=options.tensorboard)
        return
    from compactnas.distributed.ray_session import RayOptions
    from compactnas.studies.ray.cluster import run_study_on_ray

    ray = RayOptions(options.ray_address, options.ray_cpus, options.ray_gpus)
    run_study_on_ray(study, root, ray, listener=listener, say=say, tensorboard=options.tensorboard)


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.idle_options import STUDY
    from compactnas.cli.options import processes_of
    from compactnas.cli.without_effect import check

    parser = build()
    options = parser.parsed(parser.words(argv))
    if not options.output:
        raise UserError("no folder for the study; name one with --output")
    if processes_of(options) and (options.ray or options.ray_address):
        raise UserError("--processes: Ray shares out the jobs itself; leave out --processes, or use --ray-cpus")
    check(STUDY, options, {name for name in ("ray_cpus", "ray_gpus") if options[name] != parser.get_default(name)})
    from compactnas.studies import plan, read_study
    from compactnas.studies.reporting import write_study_report

    study, root = read_study(Path(options.file)), Path(options.output)
    if not root.exists():
        _require_objective_options(study)
    if options.plan:
        print("timing a few steps of each kind of network ...", file=sys.stderr)
        _show(plan(study, root))
        return 0
    _run(study, root, options)
    tables = write_study_report(study, root, Path(options.file).stem)
    print("\n" + "\n".join(table.markdown() for table in tables))
    print(f"tables: {root}/tables.md, .csv, .tex; report: {root}/report.html")
    return 0


COMMAND = Command(
    group="Search and train",
    summary="compare methods, splits and seeds from one file",
    examples=(
        "compactnas study examples/paper.yaml -o study",
        "compactnas study examples/so2sat.yaml -o study --plan",
        "compactnas study examples/so2sat.yaml -o study --ray-address auto --ray-gpus 0.25",
    ),
    build=build,
    run=main,
    after_stop="give the same command again to continue",
)
