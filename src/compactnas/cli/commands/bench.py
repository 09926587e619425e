"""`compactnas bench`: measure speed and memory of an export, and compare it with ResNets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser

    parser = Parser(
        "bench",
        "EXPORT [-o FILE.json] [--rounds N] [--seconds N] [--threads N] [--json]",
        "Measure latency, throughput and peak memory of an export at batch 1 and 256, and compare it with untrained "
        "ResNet-8, 20 and 110 for the same patches. Networks take turns, and each turn has its own process.",
        writes_file=True,
    )
    parser.add_argument("export", type=str, help="Folder of an export.")
    parser.add_argument("-o", "--output", type=str, default="", help="Also write the figures to this JSON file.")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument("--rounds", type=int, default=3, help="Number of turns of each network at each batch size.")
    parser.add_argument("--seconds", type=int, default=1, help="Seconds of each turn.")
    parser.add_argument("--threads", type=int, default=0, help="Number of threads of each engine; 0 takes its default.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.exporting.bench import bench_export
    from compactnas.io.atomic import write_json
    from compactnas.reporting.progress import Counter

    with Counter("turns") as counter:
        found = bench_export(
            Path(options.export),
            rounds=options.rounds,
            seconds=options.seconds,
            threads=options.threads,
            progress=counter.at,
        )
    if options.output:
        write_json(Path(options.output), found)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from compactnas.cli.tables import console

    threads = found["threads"] or "all"
    table = Table(
        title=Text(
            f"{found['processor']}, {found['cores']} cores, threads: {threads}, onnxruntime {found['onnxruntime']}"
        ),
        title_justify="left",
    )
    table.add_column("network", no_wrap=True)
    columns = (
        "engine",
        "batch",
        "median ms",
        "p90 ms",
        "CPU ms",
        "patches/s",
        "peak MB",
        "file KB",
        "parameters M",
    )
    for name in columns:
        table.add_column(name, justify="right")
    for timing in found["timings"]:
        table.add_row(
            timing["network"],
            timing["engine"],
            str(timing["batch"]),
            f"{timing['median_ms']:.2f}",
            f"{timing['p90_ms']:.2f}",
            f"{timing['cpu_ms']:.2f}",
            f"{timing['patches_per_s']:.0f}",
            f"{timing['peak_mb']:.0f}",
            f"{timing['file_bytes'] / 1e3:.0f}",
            f"{timing['parameters'] / 1e6:.4f}",
        )
    console().print(table)


COMMAND = Command(
    group="Measure and compare",
    summary="compare the speed of an export with ResNets",
    examples=(
        "compactnas bench export",
        "compactnas bench export --threads 1 --rounds 5",
        "compactnas bench export -o speed.json",
    ),
    build=build,
    run=main,
)
