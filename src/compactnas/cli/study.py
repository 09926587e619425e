"""`compactnas study`: a whole comparison from one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.options import Parser
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.progress import RichListener
    from compactnas.study import Plan


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "study",
        "FILE.yaml --out DIR [--plan]",
        "Search, select, retrain and evaluate what a study file names, and write its tables and a report. What is "
        "done is not done again; an interrupted study goes on when it is given again.",
    )
    parser.add_argument("file", type=str, help="the study, as in examples/paper.yaml")
    parser.add_argument("--out", type=str, default="", help="folder of the study")
    parser.add_argument("--plan", action="store_true", help="print the jobs and run nothing")
    return parser


def _show(planned: Plan) -> None:
    for split, parts in planned.parts.items():
        print(f"{split}: {', '.join(f'{part} {patches:,}' for part, patches in parts.items() if patches)}")
    for one in planned.jobs:
        macs = "MACs to be found" if one.macs is None else f"{one.macs / 1e6:.2f} M MACs"
        state = "done" if one.done else "to do"
        print(f"{one.job.key}  {state:5}  {one.job.name:34}  {one.steps:>9,} steps  {macs}")
    left, every = [one for one in planned.jobs if not one.done], len(planned.jobs)
    print(f"{every} jobs, {every - len(left)} done; {sum(one.steps for one in left):,} steps to do")


def _listener() -> RichListener:
    """Shows each warning once: the jobs of a study share their data."""
    from compactnas.progress import RichListener

    class Once(RichListener):
        def __init__(self) -> None:
            super().__init__()
            self.said: set[str] = set()

        def warn(self, text: str) -> None:
            if text not in self.said:
                self.said.add(text)
                super().warn(text)

    return Once()


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    if not options.out:
        raise UserError("no folder for the study; name one with --out")
    from compactnas.report import write_report
    from compactnas.study import expand, plan, read_study, run_study, study_tables

    study, root = read_study(Path(options.file)), Path(options.out)
    jobs = expand(study)
    if options.plan:
        _show(plan(study, root))
        return 0
    run_study(study, root, listener=_listener(), told=lambda n, of, job: print(f"job {n} of {of}: {job.name}"))
    from compactnas.files import write_bytes

    tables = study_tables(study, root)
    for end, texts in (
        ("md", [table.markdown() for table in tables]),
        ("csv", [table.csv() for table in tables]),
        ("tex", [table.latex() for table in tables]),
    ):
        write_bytes(root / f"tables.{end}", "\n".join(texts).encode())
    first = [job.folder(root) for job in jobs if job.split and job.config.seed == 0]
    report = write_report(first, root / "report.html", Path(options.file).stem)
    print("\n" + "\n".join(table.markdown() for table in tables))
    print(f"tables: {root}/tables.md, .csv, .tex; report: {report}")
    return 0
