"""`compactnas show`: print what a run folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command
from compactnas.errors import UserError, shown
from compactnas.io.paths import exists

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.reporting.run.reading import RunFolder

STAGES = {"search": "genotype.json", "train": "model.json"}
"""Stage of a run -> file that it writes at its end."""


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser

    parser = Parser(
        "show",
        "RUN [--json]",
        "Print what a run holds: how its config differs from a recipe, its data, the state of its stages, the network "
        "with its costs, the evaluation, and the files. A genotype file is drawn as text.",
    )
    parser.add_argument("run", type=str, help="Folder of a run, or a genotype file.")
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    from compactnas.space.genotype import Genotype

    path = Path(options.run)
    found = {"genotype": Genotype.load(path).to_values()} if path.is_file() else describe(path)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(map(shown, _lines(found))))
    return 0


def describe(folder: Path) -> dict[str, Any]:
    """Collect the contents of a run folder as JSON values.

    Raises:
        UserError: The folder holds no run, or a file in it is damaged.
    """
    from compactnas.reporting.run.reading import read_run

    if (folder / "jobs").is_dir() and not (folder / "config.yaml").exists():
        raise UserError(f"{folder}: holds a study, not a run; name one of the folders in {folder / 'jobs'}")
    run = read_run(folder)
    recipe, different = _nearest_recipe(run.config)
    data = run.config.get("data")
    path = data.get("path", "") if isinstance(data, dict) else ""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {
        "run": str(folder),
        "recipe": recipe,
        "config": different,
        "data": {
            "path": path,
            "found": bool(path) and exists(path),
            "parts": _parts(folder / "splits.npz"),
            **_known_data(run),
        },
        "stages": {name: _stage(run, name) for name in STAGES if (folder / name).exists()},
        "model": run.spec.name if run.spec else None,
        "genotype": run.genotype.to_values() if run.genotype else None,
        "cost": _cost(run),
        "evaluation": run.evaluation.to_json() if run.evaluation else None,
        "evidence": _evidence(run),
        "warnings": list(run.warnings),
        "files": {str(file.relative_to(folder)): file.stat().st_size for file in files},
    }


def _known_data(run: RunFolder) -> dict[str, Any]:
    """Collect what the files of a run say about its patches, its split and its groups."""
    from compactnas.reporting.run.data import split_words, unit_of

    config, task = run.config.get("data"), run.task
    parts = run.data.parts if run.data else {}
    return {
        "format": run.data.format if run.data else None,
        "patch_px": task.patch_px if task else None,
        "pixel_m": task.pixel_m if task else None,
        "bands": list(task.bands) if task else None,
        "split": split_words(config) if isinstance(config, dict) else "",
        "unit": unit_of(run),
        "groups": {name: part.groups for name, part in parts.items() if part.groups is not None},
    }


def _nearest_recipe(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Find the recipe that differs least from a config, and the values that differ; the data does not count."""
    from dataclasses import asdict

    from compactnas.config import RECIPES

    values = {name: part for name, part in config.items() if name != "data"}
    best: tuple[str, dict[str, Any]] | None = None
    for recipe, make in RECIPES.items():
        different = dict(_different(values, json.loads(json.dumps(asdict(make())))))
        if best is None or len(different) < len(best[1]):
            best = recipe, different
    assert best is not None
    return best


def _different(values: dict[str, Any], defaults: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            found += _different(value, default, f"{prefix}{name}.")
        elif value != default:
            found.append((f"{prefix}{name}", value))
    return found


def _parts(file: Path) -> dict[str, int]:
    """Count the patches of each part; empty without the file."""
    from compactnas.data.npy import lengths
    from compactnas.reporting.run.reading import AGAIN

    try:
        return lengths(file) if file.exists() else {}
    except ValueError as error:
        raise UserError(f"{file}: not the parts of a split ({error}); {AGAIN}") from None


def _evidence(run: RunFolder) -> list[str]:
    """Say how far the figures of the evaluation can be relied on, and which confusions cost most."""
    from compactnas.reporting.confusions import costliest
    from compactnas.reporting.run.evidence import interval_words, majority_words

    e = run.evaluation
    if e is None or not e.n:
        return []
    costly = [one.words for one in costliest(e.confusion, e.classes)]
    return [words for words in (majority_words(e), interval_words(e), *costly) if words]


def _stage(run: RunFolder, name: str) -> dict[str, Any]:
    rows = run.search if name == "search" else run.train
    part = run.config.get(name)
    epochs = [row["epoch"] for row in rows if isinstance(row.get("epoch"), int)]
    return {
        "epochs_done": max(epochs, default=0),
        "epochs": part.get("epochs") if isinstance(part, dict) else None,
        "finished": (run.path / STAGES[name]).exists(),
    }


def _cost(run: RunFolder) -> dict[str, int] | None:
    """Count parameters and MACs of the trained network; None without one."""
    if run.spec is None:
        return None
    import torch

    from compactnas.cost.counter import count
    from compactnas.nn.registry import build as build_model

    with torch.device("meta"):
        cost = count(build_model(run.spec), run.spec.bands, run.spec.patch_px)
    return {"parameters": cost.parameters, "macs": cost.macs}


def _lines(found: dict[str, Any]) -> list[str]:
    from compactnas.reporting.figures.words import genotype_words
    from compactnas.space.genotype import Genotype

    lines = _run_lines(found) if "run" in found else []
    if found["genotype"]:
        lines += genotype_words(Genotype.from_values(found["genotype"]))
    if found.get("cost"):
        lines.append(
            f"cost: {found['cost']['parameters'] / 1e6:.4f} M parameters, {found['cost']['macs'] / 1e6:.3f} M MACs"
        )
    if evaluation := found.get("evaluation"):
        measures = evaluation["measures"]
        lines.append(
            f"evaluation: {evaluation['part']} part, {evaluation['n']} patches, OA {100 * measures['oa']:.2f} %, "
            f"AA {100 * measures['aa']:.2f} %, kappa {measures['kappa']:.3f}"
        )
        lines += [f"  {words}" for words in found["evidence"]]
    lines += [f"warning: {text}" for text in found.get("warnings", [])]
    if files := found.get("files"):
        lines.append(f"files: {len(files)}, {sum(files.values()) / 1e6:.2f} MB")
        lines += [f"  {name:<40}{size:>12,} bytes" for name, size in files.items()]
    return lines


def _run_lines(found: dict[str, Any]) -> list[str]:
    data = found["data"]
    lines = [f"run: {found['run']}", f"config: recipe {found['recipe']}" + ", but" * bool(found["config"])]
    lines += [f"  {name}: {value}" for name, value in found["config"].items()]
    parts = ", ".join(f"{name} {count:,}" for name, count in data["parts"].items() if count)
    where = data["path"] or "not named"
    moved = "" if data["found"] or not data["path"] else " (not found here; if it has moved, pass --data.path)"
    lines.append(f"data: {where}{moved}" + f"; {parts}" * bool(parts))
    if data["patch_px"]:
        from compactnas.reporting.run.data import patch_words

        bands = f"{len(data['bands'])} bands ({', '.join(data['bands'])})"
        lines.append(f"  patches: {patch_words(data['patch_px'], data['pixel_m'])}, {bands}")
    if data["split"]:
        lines.append(f"  split: {data['split']}")
    if data["groups"]:
        lines.append(f"  {data['unit']}: " + ", ".join(f"{name} {n:,}" for name, n in data["groups"].items()))
    for name, stage in found["stages"].items():
        state = "finished" if stage["finished"] else "not finished; continue with --resume"
        lines.append(f"{name}: {stage['epochs_done']} of {stage['epochs']} epochs, {state}")
    return lines + [f"network: {found['model']}"] * bool(found["model"])


COMMAND = Command(
    group="Look at results",
    summary="print what a run holds",
    examples=("compactnas show run", "compactnas show run --json", "compactnas show run/genotype.json"),
    build=build,
    run=main,
)
