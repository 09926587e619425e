"""What each command imports, and the processor time of its start in units of `import torch`."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compactnas import cli
from compactnas.cli import main

RUN = """
import json, sys, time
from compactnas.cli import entry
try:
    entry()
except SystemExit as end:
    code = end.code
print(json.dumps([code, time.process_time(), sorted(sys.modules)]), file=sys.stderr)
"""
TORCH = "import time, torch; print(time.process_time())"
COMPILER = {"torch._dynamo", "lightning_fabric"}

ATTEMPTS = 6
"""Most pairs of starts, of a command and of torch; the smallest ratio counts, because a busy machine blurs it."""

BUDGETS = {
    "cost --model resnet20": (1.3, COMPILER | {"sympy"}),
    "show RUN": (1.3, COMPILER | {"sympy"}),
    "evaluate RUN": (1.3, COMPILER | {"h5py", "sympy"}),
    "train --model resnet8 --data.path nosuch.npz -o RUN": (1.3, COMPILER | {"h5py", "sympy"}),
    "report RUN -o RUN/page.html": (0.5, {"torch", *COMPILER}),
    "inspect PATCHES": (0.5, {"torch", *COMPILER}),
    "leakage PATCHES --data.split random": (0.5, {"torch", *COMPILER}),
    "prepare PATCHES NEW": (0.5, {"torch", *COMPILER}),
    "assess nosuch.tif nosuch.geojson": (0.5, {"torch", *COMPILER}),
    "init -o NEW": (0.4, {"torch", *COMPILER}),
    "map --help": (0.3, {"torch", "numpy", *COMPILER}),
    "select --help": (0.3, {"torch", "numpy", *COMPILER}),
    "find --help": (0.3, {"torch", "numpy", *COMPILER}),
    "study --help": (0.3, {"torch", "numpy", *COMPILER}),
}
"""Command -> most processor time in units of `import torch`, and modules that it must not import.

RUN and PATCHES are a run and its data, NEW is a file or folder that does not exist.
"""


def test_the_usual_search_for_garbage_comes_back_after_the_first() -> None:
    usual, callbacks = gc.get_threshold(), list(gc.callbacks)
    cli._collect_later()
    assert gc.get_threshold() == (cli.OBJECTS_OF_A_START, *usual[1:])
    gc.collect()
    assert (gc.get_threshold(), gc.callbacks) == (usual, callbacks)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("startup")
    labels = np.arange(80) % 4
    images = np.random.default_rng(0).normal(labels[:, None, None, None], 1, (80, 4, 8, 8)).astype(np.float32)
    np.savez(folder / "patches.npz", images=images, labels=labels)
    words = (
        f"train --model resnet8 --data.path {folder}/patches.npz --data.split random --train.epochs 1 -o {folder}/run"
    )
    assert main(words.split()) == 0
    return {"PATCHES": f"{folder}/patches.npz", "RUN": f"{folder}/run"}


@pytest.fixture(scope="module")
def torch_s() -> float:
    """Processor time of `import torch`."""
    return import_torch_s()


def import_torch_s() -> float:
    """Measure `import torch` once."""
    return float(subprocess.check_output([sys.executable, "-c", TORCH]))


@pytest.mark.parametrize("command", BUDGETS)
def test_a_command_imports_what_it_uses(command: str, places: dict[str, str], torch_s: float, tmp_path: Path) -> None:
    most, forbidden = BUDGETS[command]
    for name, path in places.items():
        command = command.replace(name, path)
    ratios = []
    for attempt in range(ATTEMPTS):
        words = command.replace("NEW", str(tmp_path / f"new{attempt}")).split()
        done = subprocess.run(
            [sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        code, seconds, modules = json.loads(done.stderr.splitlines()[-1])
        assert code == (2 if "nosuch" in command else 0), done.stderr
        assert not forbidden & set(modules)
        ratios.append(seconds / torch_s)
        if min(ratios) < most:
            return
        torch_s = import_torch_s()
    pytest.fail(f"{min(ratios):.2f} times import torch")
