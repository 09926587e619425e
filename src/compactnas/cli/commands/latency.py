"""`compactnas latency`: measure what the operations of a space take on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from compactnas.cli.options import Parser, instance
from compactnas.errors import UserError
from compactnas.space.search_space import Space


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "latency",
        "OUT [--bands N] [--classes N] [--patch-px N] [--engine NAME] [--batch N] [--threads N] [options]",
        "Measure each operation of a space on this machine: what `search --max-latency-ms` counts with.",
    )
    parser.add_argument("out", type=str, help="file of the table, JSON")
    parser.add_argument("--bands", type=int, default=10, help="of a patch")
    parser.add_argument("--classes", type=int, default=17, help="of the answer")
    parser.add_argument("--patch-px", type=int, default=32, help="side of a patch")
    parser.add_argument("--engine", type=Literal["onnx", "torch"], default="onnx", help="onnxruntime, or torch")
    parser.add_argument("--batch", type=int, default=1, help="patches of a call")
    parser.add_argument("--threads", type=int, default=1, help="of the engine")
    parser.add_argument("--networks", type=int, default=20, help="whole networks that are measured beside it")
    parser.add_argument("--rounds", type=int, default=15, help="of measurements; the least counts")
    parser.add_argument("--json", action="store_true", help="print the table")
    parser.add_class_arguments(Space, "space")
    return parser


MOST = {"bands": 10_000, "classes": 10_000, "patch_px": 4096, "batch": 65_536, "threads": 4096, "rounds": 10_000}
FEWEST_NETWORKS, MOST_NETWORKS = 8, 200


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    for name, most in MOST.items():
        if not 1 <= options[name] <= most:
            raise UserError(f"--{name.replace('_', '-')}: {options[name]} is outside 1 to {most}")
    if not FEWEST_NETWORKS <= options.networks <= MOST_NETWORKS:
        raise UserError(f"--networks: {options.networks} is outside {FEWEST_NETWORKS} to {MOST_NETWORKS}")
    out = Path(options.output)
    if out.is_dir():
        raise UserError(f"{out}: is a folder; name a file for the table")
    from compactnas.export.latency import measure_latency

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
        f"fixed parts {table.fixed_ns / 1e6:.3f} ms of a call of {table.batch}; an edge in each block, in microseconds:"
    )
    for name, column in zip(table.operations, zip(*table.operations_ns, strict=True), strict=True):
        print(f"  {name:15} " + "  ".join(f"{value / 1e3:8.1f}" for value in column))
    print(
        f"{table.networks} whole networks are predicted to {100 * table.median_error:.1f} % (median), "
        f"{100 * table.worst_error:.1f} % (worst)"
    )
    print(f"written: {out}")
    return 0


def _tell(what: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {done} of {of}  ", end="\n" if done == of else "", file=sys.stderr, flush=True)
