"""`compactnas leakage`: report test patches that overlap training patches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.data.leakage import Leakage


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON, PATCHES
    from compactnas.cli.parser import Parser
    from compactnas.config import DataConfig

    parser = Parser(
        "leakage",
        "PATH [--data.split SPLIT] [-o FILE.json] [options]",
        "Report how many test patches overlap a training patch, and by how much. Patches are compared on the ground "
        "if their places are known, otherwise by the pixels that they share.",
        common=("--output", "--json", "--data.split", "--data.split-csv", "--data.test-fraction", "--data.block-m"),
        writes_file=True,
    )
    parser.add_argument("path", type=str, help=PATCHES)
    parser.add_argument("-o", "--output", type=str, default="", help="Also write the result with all pairs as JSON.")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_class_arguments(DataConfig, "data", skip={"path"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import instance
    from compactnas.config import DataConfig

    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.data.leakage import measure_leakage
    from compactnas.data.opening import open_streamed
    from compactnas.data.part_checks import blocks_words
    from compactnas.data.splits import make_parts
    from compactnas.io.atomic import write_json
    from compactnas.reporting.progress import Counter

    config = instance(DataConfig, {**options.data.as_dict(), "path": options.path})
    source = open_streamed(config)
    parts, _ = make_parts(source.facts, config)
    with Counter("patches") as counter:
        found = measure_leakage(source, parts["train"], parts["test"], counter.at)
    if options.output:
        write_json(Path(options.output), found.to_json())
    if options.json:
        print(json.dumps(found.to_json(), indent=2))
        return 0
    _show(found, config.split)
    if found.overlapping and source.facts.footprints is not None and config.split != "block":
        print(blocks_words(source.facts.footprints, config))
    if options.output:
        print(f"written: {options.output}")
    return 0


def _show(found: Leakage, split: str) -> None:
    from rich.console import Console
    from rich.table import Table

    how = {"places": "area on the ground", "pixels": "shared pixels"}[found.method]
    table = Table("in one training patch", "test patches", "share", title=f"split {split}, by {how}")
    for name, count in found.above().items():
        table.add_row(name, str(count), f"{count / len(found.rows):.1%}")
    Console().print(table)
    print(f"{found.overlapping} of {len(found.rows)} test patches overlap one of {found.training} training patches")


COMMAND = Command(
    group="Get data ready",
    summary="report test patches that overlap training patches",
    examples=(
        "compactnas leakage patches.npz",
        "compactnas leakage scenes --data.split random --data.test-fraction 0.2",
        "compactnas leakage scenes --data.split block -o pairs.json",
    ),
    build=build,
    run=main,
)
