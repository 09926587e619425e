"""Test modules that take long: `scripts/test --quick` leaves them out, or only `--sweep` runs them."""

from __future__ import annotations

SLOW = {
    "adopted": ("adopt",),
    "benchmarks": ("cures", "gpu", "kept", "layouts", "scripts"),
    "catalogues": ("injection", "scene", "scene_broken", "scene_hostile", "scene_kill", "scene_sensors"),
    "cli": ("cli", "init", "interruptions", "machine_faults", "startup"),
    "cost": ("cost_table",),
    "data": ("leakage", "prepare_broken", "prepare_kill", "real"),
    "distributed": ("ddp",),
    "estimator": ("classifier", "ten_lines"),
    "evaluation": ("calibration",),
    "exporting": ("export", "export_hostile", "format_conformance", "injection", "openvino"),
    "finding": ("find", "find_side_by_side"),
    "golden": ("golden",),
    "inputs": ("scene_inputs", "vector_inputs"),
    "io": ("fuzz", "hostile", "optimised"),
    "labels": ("hostile_polygons",),
    "mapping": (
        *("held_out", "map_kill", "map_memory", "map_ray", "mapping", "other_grids", "own_city", "smoothing"),
        *("arrays", "map_writers", "page", "page_browser", "training_data"),
    ),
    "nn": ("equal", "mobile", "network", "slimmable"),
    "reporting": ("figure_files", "hostile_report", "injection", "page_browser", "report"),
    "repository": ("docs", "notebooks", "site"),
    "runs": ("hostile_runs", "kill", "survive"),
    "scenes": ("writing",),
    "scripts": ("torture",),
    "search": (*("budget", "budget_search", "mobile", "perturbation", "search", "strategies", "strategy_conformance"),),
    "selection": ("pareto", "select", "select_side_by_side"),
    "studies": ("study", "study_folds", "study_figures", "study_kill", "study_parallel", "study_ray", "study_report"),
    "synthetic": ("synthetic",),
    "training": ("precision", "trainer"),
}
"""Test modules by folder that take about 8 s or more on one AVX2 core; `--quick` leaves them out."""

SWEEPS = {"cli": ("surroundings", "two_writers")}
"""Test modules by folder that interrupt every command at many points, for an hour or more; only `--sweep` runs them."""

LONGEST = (
    *("interruptions", "study_ray", "site", "notebooks", "study_parallel", "figure_files", "study_folds", "find"),
    *("ddp", "export", "study_report", "survive", "map_kill", "search", "select", "fuzz", "slimmable"),
    *("torture", "kept", "cli", "strategies", "study", "network", "budget", "map_ray", "study_kill", "cost_table"),
    *("training_data", "kill", "precision", "budget_search", "trainer", "synthetic", "equal", "pareto", "docs"),
    *("strategy_conformance", "mapping", "hostile_report", "study_figures", "golden", "report", "prepare_kill"),
)
"""Modules that take longest, in this order. They start first, so that no core waits for one at the end."""


def rank(module: str) -> int:
    """Return the position of a test module in the order in which modules start."""
    return LONGEST.index(module) if module in LONGEST else len(LONGEST)
