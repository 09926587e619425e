"""Feed inputs to the package, and print what came of each as a line of JSON.

    python input_outcomes.py < USES

Each line of USES is JSON: `{"train": {options of DataConfig}}` or `{"run": [words of a command line]}`, with `"map":
FOLDER` for the classes that a map holds. The outcome has `windows` (key -> LCZ), `cells` (rows of LCZ), `printed` or
`error`, and `notes`; or `traceback`. `scripts/inputs_table` runs this file with the package of another commit, so it
uses public names alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

Outcome = dict[str, Any]


def outcome_of(use: dict[str, Any]) -> Outcome:
    """Use an input in this process."""
    return _trained_on(use["train"]) if "train" in use else _run(use["run"], use.get("map"))


def _trained_on(options: dict[str, Any]) -> Outcome:
    import compactnas as cn

    try:
        source = cn.open_source(cn.DataConfig(**options))
        facts = source.facts
        pixels, _ = source.batch(_every(len(facts.labels)))
    except cn.UserError as error:
        return {"error": str(error)}
    keys = facts.keys or [str(row) for row in range(len(facts.labels))]
    return {
        "windows": dict(zip(keys, [int(label) + 1 for label in facts.labels], strict=True)),
        "groups": [str(group) for group in facts.groups] if facts.groups is not None else [],
        "bands": list(facts.bands),
        "means": [round(float(mean), 4) for mean in pixels.astype("float64").mean((0, 2, 3))],
        "notes": list(getattr(facts, "notes", ())),
    }


def _every(rows: int) -> Any:
    import numpy as np

    return np.arange(rows)


def _run(words: list[str], maps: str | None) -> Outcome:
    from compactnas.cli import main

    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        code = main(words)
    lines = errors.getvalue().strip().splitlines()
    if code:
        return {"error": lines[-1].removeprefix("compactnas: error: ") if lines else f"exit code {code}"}
    found: Outcome = {"printed": printed.getvalue(), "notes": lines}
    if maps:
        found["cells"] = _cells(Path(maps))
    return found


def _cells(folder: Path) -> list[list[int]]:
    import rasterio

    (file,) = sorted(folder.glob("*_lcz.tif"))
    with rasterio.open(file) as raster:
        rows: list[list[int]] = raster.read(1).tolist()
    return rows


def main() -> None:
    """Read uses from stdin, and print their outcomes."""
    for line in sys.stdin:
        try:
            found = outcome_of(json.loads(line))
        except Exception as error:  # noqa: BLE001 (it is the outcome)
            found = {"traceback": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
