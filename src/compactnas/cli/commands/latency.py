"""`compactnas latency`: measure the latency of each operation of a space on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser
    from compactnas.space.search_space import Space

    parser = Parser(
        "latency",
        "-o FILE.json [--bands N] [--classes N] [--patch-px N] [--engine NAME] [--threads N] [options]",
        "Measure each operation of a search space on this machine. `search --max-latency-ms` reads the table.",
        common=(
            *("--output", "--bands", "--classes", "--patch-px", "--engine", "--batch", "--threads", "--networks"),
            *("--rounds", "--json", "--space.layout", "--space.channels"),
        ),
        required=("--output",),
        writes_file=True,
    )
    parser.add_argument("-o", "--output", type=str, default="", help="JSON file of the table.")
    parser.add_argument("--bands", type=int, default=10, help="Number of bands of a patch.")
    parser.add_argument("--classes", type=int, default=17, help="Number of classes.")
    parser.add_argument("--patch-px", type=int, default=32, help="Side of a patch in pixels.")
    parser.add_argument("--engine", type=Literal["onnx", "torch"], default="onnx", help="Engine: onnxruntime or torch.")
    parser.add_argument("--batch", type=int, default=1, help="Number of patches in a call.")
    parser.add_argument("--threads", type=int, default=1, help="Number of threads of the engine.")
    parser.add_argument("--networks", type=int, default=20, help="Number of whole networks to check the table with.")
    parser.add_argument("--rounds", type=int, default=15, help="Number of measurements; the shortest one counts.")
    parser.add_argument("--json", action="store_true", help="Print the table as JSON.")
    parser.add_class_arguments(Space, "space")
    return parser


MOST = {"bands": 10_000, "classes": 10_000, "patch_px": 4096, "batch": 65_536, "threads": 4096, "rounds": 10_000}
FEWEST_NETWORKS, MOST_NETWORKS = 8, 200


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import instance
    from compactnas.space.search_space import Space

    parser = build()
    options = parser.parsed(parser.words(argv))
    for name, most in MOST.items():
        if not 1 <= options[name] <= most:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: {options[name]} is outside 1 to {most}; give a number in this range")
    if not FEWEST_NETWORKS <= options.networks <= MOST_NETWORKS:
        raise UserError(
            f"--networks: {options.networks} is outside {FEWEST_NETWORKS} to {MOST_NETWORKS}; give a number in this "
            "range"
        )
    if not options.output:
        raise UserError("no file for the table; name one with --output")
    out = Path(options.output)
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file for the table")
    from compactnas.exporting.latency import measure_latency

    table = measure_latency(
        instance(Space, options.space),
        options.bands,
        options.classes,
        options.patch_px,
        engine=options.engine,
        batch=options.batch,
        threads=options.threads,
        networks=options.networks,
        rounds=options.rounds,
        tell=_tell,
    )
    table.write(out)
    if options.json:
        print(json.dumps(asdict(table), indent=2))
        return 0
    print(
        f"fixed parts: {table.fixed_ns / 1e6:.3f} ms for a call of {table.batch}; one edge of each block in "
        "microseconds:"
    )
    for name, column in zip(table.operations, zip(*table.operations_ns, strict=True), strict=True):
        print(f"  {name:15} " + "  ".join(f"{value / 1e3:8.1f}" for value in column))
    print(
        f"error of the predictions for {table.networks} whole networks: {100 * table.median_error:.1f} % (median), "
        f"{100 * table.worst_error:.1f} % (worst)"
    )
    print(f"written: {out}")
    return 0


def _tell(what: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {done} of {of}  ", end="\n" if done == of else "", file=sys.stderr, flush=True)


COMMAND = Command(
    group="Measure and compare",
    summary="measure the latency of operations on this machine",
    examples=(
        "compactnas latency -o board.json",
        "compactnas latency -o board.json --engine torch --threads 4",
        "compactnas latency -o board.json --bands 3 --classes 10 --patch-px 64",
    ),
    build=build,
    run=main,
)
