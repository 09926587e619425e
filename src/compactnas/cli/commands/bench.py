"""`compactnas bench`: how fast an export is, and how much memory it takes, beside ResNets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compactnas.cli.options import Parser


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "bench",
        "EXPORT [--json FILE] [--rounds N] [--seconds N] [--threads N]",
        "Measure latency, throughput and peak memory of an export's files at batch 1 and 256, beside untrained "
        "ResNet-8, 20 and 110 for the same patches; all take turns, each turn in a process of its own.",
    )
    parser.add_argument("export", type=str, help="folder of an export")
    parser.add_argument("--json", type=str, default="", help="file to write the figures to")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each network at each batch size")
    parser.add_argument("--seconds", type=int, default=1, help="that a turn measures for")
    parser.add_argument("--threads", type=int, default=0, help="of each engine; 0: as many as it likes")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    from compactnas.export.bench import bench_export
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
    if options.json:
        write_json(Path(options.json), found)
    _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from compactnas.cli.commands.show import console

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
