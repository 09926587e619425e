"""Test modules that `scripts/test --quick` leaves out."""

from __future__ import annotations

SLOW = {
    "benchmarks": ("kept",),
    "cli": ("cli",),
    "cost": ("cost_table",),
    "data": ("prepare_kill",),
    "distributed": ("ddp",),
    "export": ("export",),
    "golden": ("golden",),
    "io": ("fuzz",),
    "mapping": ("map_kill", "map_ray"),
    "nn": ("equal", "network", "slimmable"),
    "runs": ("kill", "survive"),
    "scripts": ("torture",),
    "search": ("budget", "budget_search", "search", "strategies"),
    "selection": ("pareto", "select"),
    "studies": ("study", "study_kill", "study_ray", "study_report"),
    "synthetic": ("synthetic",),
    "training": ("precision", "trainer"),
}
"""Folder -> test modules that take more than 20 s on one AVX2 core; `--quick` leaves them out."""
