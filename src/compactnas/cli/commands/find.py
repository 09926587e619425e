"""`compactnas find`: find and train a network for a budget within a number of hours."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.cli.parser import Parser
    from compactnas.config import RunConfig
    from compactnas.finding.config import FindConfig
    from compactnas.finding.planning import TimedPlan
    from compactnas.finding.setting import Setting


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON, add_alias, add_budgets, add_processes
    from compactnas.cli.parser import BUDGETS, PARTS, Parser
    from compactnas.finding.config import PLANNED, FindConfig, find_recipe

    parser = Parser(
        "find",
        "--data.path PATH --max-macs 20M [--hours 2] -o DIR [--plan] [--resume] [options]",
        "Find the best network within a budget and train it: searches and random candidates, a ranking on groups of "
        "patches that are held out, short trainings of the best, a full training of the winner, and a report on what "
        "each stage was worth. The stages are sized so that all of them take the given hours on this machine.",
        common=(
            *("--data.path", "--output", "--hours", "--plan", "--plan-from", "--resume", "--seed", "--json"),
            *("--searches", "--folds", "--threads", "--processes", "--machine.device", "--data.split"),
            *("--train.teachers", *BUDGETS),
        ),
        required=("--data.path", "--output"),
    )
    parser.add_argument("--config", action="config", help="YAML file with values of these options.")
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the find and of the trained network.")
    parser.add_argument("--resume", action="store_true", help="Continue the find in the output folder.")
    parser.add_argument("--plan", action="store_true", help="Only print the plan; nothing is written.")
    parser.add_argument(
        "--plan-from", type=str, default="", help="Repeat the plan of another find: its file find/plan.json."
    )
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--seed", type=int, default=0, help="Random seed.")
    add_processes(parser, "searches or short trainings")
    add_alias(parser, "--threads", ("--machine.threads",), int, "Short for --machine.threads.")
    add_budgets(parser)
    parser.add_class_arguments(FindConfig, None)
    for name, kind in PARTS.items():
        parser.add_class_arguments(kind, name, skip=set(PLANNED.get(name, set())))
    parser.set_defaults(_known(asdict(find_recipe())))
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    began = time.perf_counter()
    from compactnas.cli.without_effect import note, note_of_find, note_of_plan, require_search_options

    options, config, choice = _parse(argv)
    require_search_options(options, config)
    from compactnas.cli.options import processes_of
    from compactnas.data import open_dataset
    from compactnas.finding.planning import TimedPlan, plan_for, require_fitting
    from compactnas.finding.run import OWN, PLAN, require_new, run_find, seconds_of
    from compactnas.finding.setting import Setting
    from compactnas.reporting.progress import RichListener
    from compactnas.reporting.run.page import write_report

    folder = Path(options.output)
    processes = processes_of(options)
    require_new(folder, resume=options.resume)
    setting = Setting.of(config, choice, open_dataset(config.data), processes)
    kept = folder / OWN / PLAN
    source = kept if kept.exists() else Path(options.plan_from) if options.plan_from else None
    timed = TimedPlan.read(source) if source else plan_for(setting, began)
    require_fitting(setting, timed.plan)
    note_of_find(options, config, choice, setting.data.parts)
    if source == kept and options.plan_from:
        note(f"--plan-from: no effect, because the find in {folder} has a plan")
    elif source and source != kept:
        note_of_plan(choice, timed.plan.teachers, timed.hours, source)
    _tell(setting, timed, str(source) if source else "")
    if options.plan:
        if options.json:
            print(json.dumps({"plan": asdict(timed.plan), "seconds": dict(timed.seconds)}, indent=2))
        return 0
    found = run_find(setting, timed, folder, resume=options.resume, listener=RichListener())
    page = write_report([folder], folder / "report.html")
    if options.json:
        print(json.dumps(found.to_json() | {"test": found.evaluation.to_json()}, indent=2))
        return 0
    from compactnas.finding.report import report

    print("\n".join(report(found)))
    _show_times(timed.seconds, seconds_of(folder), time.perf_counter() - began)
    print(f"report: {folder / OWN / 'report.txt'}, {page}; next: compactnas map {folder} SCENE -o MAP")
    return 0


def _parse(argv: list[str]) -> tuple[Namespace, RunConfig, FindConfig]:
    """Parse the options. With `--resume`, those of the find in the output folder are the defaults."""
    from compactnas.cli.options import instance
    from compactnas.cli.parser import PARTS
    from compactnas.config import RunConfig
    from compactnas.errors import UserError
    from compactnas.finding.config import FindConfig

    parser = build()
    words = parser.words(argv)
    options = parser.parsed(words)
    if not options.output:
        raise UserError("no folder for the find; name one with --output")
    own = Path(options.output) / "find"
    if options.resume and (own / "config.yaml").is_file():
        parser.set_defaults(_before(own))
        options = parser.parsed(words)
    choice = FindConfig(**{field.name: options[field.name] for field in fields(FindConfig)})
    parts: dict[str, Any] = {name: instance(kind, options[name]) for name, kind in PARTS.items()}
    return options, RunConfig(**parts, seed=options.seed), choice


def _before(own: Path) -> dict[str, Any]:
    """Read the options of an interrupted find."""
    from compactnas.finding.config import FindConfig
    from compactnas.io.atomic import read_json
    from compactnas.runs.folder import read_config

    values = _known(asdict(read_config(own)))
    file = own / "find.json"
    if file.exists():
        raw = read_json(file, "choose a new folder")
        names = {field.name for field in fields(FindConfig)}
        values |= {name: value for name, value in raw.items() if name in names} if isinstance(raw, dict) else {}
    return values


def _known(config: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a config to the options of the command."""
    from compactnas.finding.config import PLANNED

    flat: dict[str, Any] = {"seed": config["seed"]}
    for part, values in config.items():
        if isinstance(values, Mapping):
            flat |= {f"{part}.{key}": v for key, v in values.items() if key not in PLANNED.get(part, set())}
    return flat


def _tell(setting: Setting, timed: TimedPlan, source: str) -> None:
    """Print the plan on stderr."""
    parts, folds = setting.folds.whole.parts, setting.folds
    print(
        f"find: {len(parts['train']):,} patches of {folds.groups} {setting.data.unit}s in {len(folds.each)} folds; "
        f"{len(parts['test']):,} patches for the test",
        file=sys.stderr,
    )
    if source:
        print(f"find: plan of {source}, with the times of the machine that made it", file=sys.stderr)
    for line in timed.lines():
        print(f"  {line}", file=sys.stderr)
    if timed.total < 0.85 * 3600 * timed.hours and not source:
        print("find: all stages are at their largest sizes; fewer hours are enough", file=sys.stderr)
    sys.stderr.flush()


def _show_times(planned: Mapping[str, float], taken: Mapping[str, float], total: float) -> None:
    from compactnas.io.durations import duration

    pairs = (f"{name} {duration(taken[name])} ({duration(planned[name])})" for name in planned if name in taken)
    print(f"Time, with the plan's in brackets: {', '.join(pairs)}; this call {duration(total)}")


COMMAND = Command(
    group="Search and train",
    summary="find and train the best network for a budget, in the hours you have",
    examples=(
        "compactnas find --data.path world --max-macs 20M --hours 2 --plan -o found",
        "compactnas find --data.path world --max-macs 20M --hours 2 -o found",
        "compactnas find -o found --resume",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
