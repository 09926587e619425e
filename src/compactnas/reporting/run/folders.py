"""Find the runs that a folder holds: itself, the retrained networks of a Pareto front, or a run in each subfolder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.errors import UserError

OWN = ("config.yaml", "genotype.json", "evaluation.json", "search", "train")
"""Any of these makes a folder a run."""


def run_folders(folders: Sequence[Path]) -> list[Path]:
    """List the folders of runs, in order.

    Raises:
        UserError: A folder holds a study, which has a page of its own.
    """
    found: list[Path] = []
    for folder in folders:
        networks = sorted(folder.glob("networks/*/evaluation.json"), key=_cost)
        if (folder / "jobs").is_dir() and not (folder / "config.yaml").exists():
            raise UserError(f"{folder}: holds a study, whose page is {folder / 'report.html'}; name one of its jobs")
        if (folder / "pareto" / "front.json").exists():
            found += [folder, *(file.parent for file in networks)]
        elif any((folder / name).exists() for name in OWN) or not folder.is_dir():
            found.append(folder)
        else:
            inner = sorted(path for path in folder.iterdir() if (path / "config.yaml").is_file())
            found += inner or [folder]
    return found


def _cost(file: Path) -> tuple[float, str]:
    """Order networks by the budget in their names, such as 10M."""
    name = file.parent.name
    try:
        return float(name.removesuffix("M")), name
    except ValueError:
        return float("inf"), name
