"""`compactnas leakage`: how much of the test part the training part has seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.options import Parser, instance
from compactnas.config import DataConfig

if TYPE_CHECKING:
    from compactnas.data.leakage import Leakage


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "leakage",
        "PATH [--data.split SPLIT] [--json FILE] [options]",
        "Report how many test patches overlap a training patch, and by how much: on the ground where the patches' "
        "places are known, else by pixels that both hold.",
    )
    parser.add_argument("path", type=str, help="what to look at")
    parser.add_argument("--json", type=str, default="", help="write the result with every pair that overlaps")
    parser.add_class_arguments(DataConfig, "data", skip={"path"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    from compactnas.data.leakage import measure_leakage
    from compactnas.data.opening import open_streamed
    from compactnas.data.splits import make_parts
    from compactnas.io.atomic import write_json
    from compactnas.reporting.progress import Counter

    config = instance(DataConfig, {**options.data.as_dict(), "path": options.path})
    source = open_streamed(config)
    parts, _ = make_parts(source.facts, config)
    with Counter("patches") as counter:
        found = measure_leakage(source, parts["train"], parts["test"], counter.at)
    _show(found, config.split)
    if options.json:
        write_json(Path(options.json), found.to_json())
        print(f"written: {options.json}")
    return 0


def _show(found: Leakage, split: str) -> None:
    from rich.console import Console
    from rich.table import Table

    how = {"places": "area on the ground", "pixels": "pixels that both hold"}[found.method]
    table = Table("in one training patch", "test patches", "share", title=f"split {split}, by {how}")
    for name, count in found.above().items():
        table.add_row(name, str(count), f"{count / len(found.rows):.1%}")
    Console().print(table)
    print(f"{found.overlapping} of {len(found.rows)} test patches overlap one of {found.training} training patches")
