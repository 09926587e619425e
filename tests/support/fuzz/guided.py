"""Targets under atheris: inputs that reach new lines of the package are kept and changed further.

It is a process of its own for each target, since libFuzzer ends the process that it runs in.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

MEGABYTES, SECONDS = 1024, 30


def run_guided(name: str, inputs: int, seed: int, keep: Path) -> int:
    """Try a target on so many inputs; gives libFuzzer's exit code, 0 where nothing failed."""
    from support.fuzz.running import memory_folder

    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compactnas-fuzz-", dir=memory_folder()) as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        limits = [f"-runs={inputs}", f"-seed={seed + 1}", f"-rss_limit_mb={MEGABYTES}", f"-timeout={SECONDS}"]
        words = [*limits, f"-artifact_prefix={keep}/{name}-", "-max_len=1000000", "-print_final_stats=1", str(corpus)]
        return subprocess.run([sys.executable, "-m", "fuzz.guided", name, folder, *words], check=False).returncode


def _main(name: str, folder: Path, words: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["compactnas"]):
        from support.fuzz.targets import TARGETS, Harness, packed, unpacked
    from support.fuzz.mutation import mutated

    work = folder / "work"
    work.mkdir()
    harness = Harness(TARGETS[name], work)
    known = {file for files in harness.seeds for file in files}
    valid = {content for files in harness.seeds for content in files.values()}
    for number, files in enumerate(harness.seeds):
        (folder / "corpus" / str(number)).write_bytes(packed(files))

    def change(data: bytes, most: int, seed: int) -> bytes:
        """Half of the time by format, else libFuzzer's own way inside one file."""
        random = Random(seed)
        files = unpacked(data, known)
        file = random.choice(list(files))
        # HDF5 would corrupt this process's memory where it writes to a damaged file.
        by_format = random.random() < 0.5 and (not file.endswith(".h5") or files[file] in valid)
        files[file] = mutated(random, files[file], file) if by_format else atheris.Mutate(files[file], most)
        return packed(files)[:most]

    atheris.Setup([sys.argv[0], *words], lambda data: harness.accepts(data) and None, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
