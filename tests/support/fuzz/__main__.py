"""`scripts/fuzz`: each target for long, or one saved input again."""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from support.fuzz.running import Result, memory_folder, run
from support.fuzz.targets import TARGETS, Harness


def main() -> int:
    """Run it; 1 where something failed, 2 where nothing could be tried."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS, help="one of them; every one if none is named")
    parser.add_argument("--inputs", type=int, default=0, help="inputs of each; 100,000 for most if not given")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs; the same seed gives the same inputs")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for inputs that fail")
    parser.add_argument("--replay", type=Path, help="try this input of --target alone, and show what happens")
    parser.add_argument("--atheris", action="store_true", help="let coverage guide the inputs (the fuzz extra)")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    if options.replay:
        return _replay(names, options.replay)
    if options.atheris:
        return _guided(names, options.inputs, options.seed, options.keep)
    failed = False
    for name in names:
        target = TARGETS[name]
        if target.missing:
            print(f"{name}: skipped, {target.missing}")
            continue
        result = run(target, options.inputs or target.inputs, options.seed, options.keep, name, _tell)
        failed |= bool(result.failures)
        _show(name, result)
    return int(failed)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(name: str, result: Result) -> None:
    print(
        f"{name}: {result.inputs - result.left_out} inputs, {result.refused} refused, {result.seconds:.0f} s, "
        f"peak {result.peak / 2**20:.0f} MB, {len(result.failures)} kinds of failure",
        flush=True,
    )
    for kind, (file, _) in result.failures.items():
        print(f"  {kind}: scripts/fuzz --target {name} --replay {file}", flush=True)


def _replay(names: list[str], file: Path) -> int:
    if len(names) != 1:
        print("scripts/fuzz: error: name the one --target of the input", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="compactnas-fuzz-", dir=memory_folder()) as folder:
        accepted = Harness(TARGETS[names[0]], Path(folder)).accepts(file.read_bytes())
    print(f"{file}: {'read' if accepted else 'refused in one line'}")
    return 0


def _guided(names: list[str], inputs: int, seed: int, keep: Path) -> int:
    if find_spec("atheris") is None:
        print("scripts/fuzz: error: atheris is not installed; pip install 'compactnas[fuzz]'", file=sys.stderr)
        return 2
    from support.fuzz.guided import run_guided

    codes = [
        run_guided(name, inputs or TARGETS[name].inputs, seed, keep) for name in names if not TARGETS[name].missing
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
