"""Search for compact networks that classify satellite image patches.

Public names are imported when they are first used, so that `import compactnas` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compactnas.version import __version__

if TYPE_CHECKING:
    from compactnas import datasets
    from compactnas.config import (
        DataConfig,
        MachineConfig,
        RunConfig,
        SearchConfig,
        TrainConfig,
        paper,
        quick,
        smoke,
    )
    from compactnas.cost.constraints import Budget, budgets_of
    from compactnas.cost.counter import count, genotype_cost
    from compactnas.cost.table import CostTable
    from compactnas.data import Dataset, open_dataset, open_source
    from compactnas.data.batches import Batches
    from compactnas.data.packing.pack import pack, prepare
    from compactnas.data.samples import PackedSamples, SamplesSource
    from compactnas.errors import UserError
    from compactnas.estimator.classifier import CompactClassifier
    from compactnas.evaluation.evaluation import Evaluation
    from compactnas.evaluation.metrics import Measures, confusion_measures
    from compactnas.exporting.writing import export_run as export
    from compactnas.mapping.assess import assess
    from compactnas.mapping.scenes import map_scene as map
    from compactnas.nn.network import Network
    from compactnas.nn.registry import ModelSpec, build
    from compactnas.nn.sample import Sample
    from compactnas.nn.supernet import SuperNet
    from compactnas.pipeline.evaluating import evaluate_stage, predict
    from compactnas.pipeline.running import run, search_stage, train_stage
    from compactnas.reporting.run.page import write_report
    from compactnas.runs.folder import load
    from compactnas.search.architecture import Architecture
    from compactnas.search.derivation import derive, derive_within
    from compactnas.search.loading import load_search
    from compactnas.search.objectives import OBJECTIVES
    from compactnas.search.sampling import Draw
    from compactnas.search.searcher import Searcher, conclude
    from compactnas.search.strategies import STRATEGIES
    from compactnas.search.strategies.darts import Darts
    from compactnas.search.strategies.gdas import Gdas
    from compactnas.search.strategies.proxyless import Proxyless
    from compactnas.search.strategies.snas import Snas
    from compactnas.search.strategies.uniform import Uniform
    from compactnas.search.strategy import Strategy
    from compactnas.selection.agreement import kendall_tau
    from compactnas.selection.config import SelectConfig
    from compactnas.selection.run import select_stage
    from compactnas.space.genotype import Genotype
    from compactnas.space.search_space import Space
    from compactnas.studies.config import read_study
    from compactnas.studies.reading import study_view
    from compactnas.studies.running import run_study
    from compactnas.studies.tables import study_tables
    from compactnas.synthetic import write_world

_NAMES = {
    "config": "DataConfig MachineConfig RunConfig SearchConfig TrainConfig paper quick smoke",
    "cost.counter": "count genotype_cost",
    "cost.table": "CostTable",
    "data": "Dataset open_dataset open_source",
    "estimator.classifier": "CompactClassifier",
    "exporting.writing": "export_run=export",
    "mapping.assess": "assess",
    "mapping.scenes": "map_scene=map",
    "data.batches": "Batches",
    "data.packing.pack": "pack prepare",
    "data.samples": "PackedSamples SamplesSource",
    "synthetic": "write_world",
    "errors": "UserError",
    "evaluation.evaluation": "Evaluation",
    "space.genotype": "Genotype",
    "evaluation.metrics": "Measures confusion_measures",
    "nn.registry": "ModelSpec build",
    "nn.network": "Network",
    "nn.sample": "Sample",
    "pipeline.evaluating": "evaluate_stage predict",
    "pipeline.running": "run search_stage train_stage",
    "reporting.run.page": "write_report",
    "runs.folder": "load",
    "cost.constraints": "Budget budgets_of",
    "search.architecture": "Architecture",
    "search.derivation": "derive derive_within",
    "search.loading": "load_search",
    "search.objectives": "OBJECTIVES",
    "search.sampling": "Draw",
    "search.searcher": "Searcher conclude",
    "search.strategies": "STRATEGIES",
    "search.strategies.darts": "Darts",
    "search.strategies.proxyless": "Proxyless",
    "search.strategies.snas": "Snas",
    "search.strategies.uniform": "Uniform",
    "search.strategy": "Strategy",
    "selection.agreement": "kendall_tau",
    "selection.config": "SelectConfig",
    "selection.run": "select_stage",
    "space.search_space": "Space",
    "studies.config": "read_study",
    "studies.reading": "study_view",
    "studies.running": "run_study",
    "studies.tables": "study_tables",
    "search.strategies.gdas": "Gdas",
    "nn.supernet": "SuperNet",
}
"""Public names by module; `NAME_THERE=PUBLIC_NAME` for a name that would hide a builtin or say too little there."""

_HOMES = {
    name.rpartition("=")[2]: (module, name.partition("=")[0])
    for module, names in _NAMES.items()
    for name in names.split()
}
"""Module of each public name, and its name there."""

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "Architecture",
    "Batches",
    "Budget",
    "CompactClassifier",
    "CostTable",
    "Darts",
    "DataConfig",
    "Dataset",
    "Draw",
    "Evaluation",
    "Gdas",
    "Genotype",
    "MachineConfig",
    "Measures",
    "ModelSpec",
    "Network",
    "PackedSamples",
    "Proxyless",
    "RunConfig",
    "Sample",
    "SamplesSource",
    "SearchConfig",
    "Searcher",
    "SelectConfig",
    "Snas",
    "Space",
    "Strategy",
    "SuperNet",
    "TrainConfig",
    "Uniform",
    "UserError",
    "__version__",
    "assess",
    "budgets_of",
    "build",
    "conclude",
    "confusion_measures",
    "count",
    "datasets",
    "derive",
    "derive_within",
    "evaluate_stage",
    "export",
    "genotype_cost",
    "kendall_tau",
    "load",
    "load_search",
    "map",
    "open_dataset",
    "open_source",
    "pack",
    "paper",
    "predict",
    "prepare",
    "quick",
    "read_study",
    "run",
    "run_study",
    "search_stage",
    "select_stage",
    "smoke",
    "study_tables",
    "study_view",
    "train_stage",
    "write_report",
    "write_world",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("compactnas.datasets")
    if name not in _HOMES:
        raise AttributeError(f"module 'compactnas' has no attribute {name!r}")
    module, there = _HOMES[name]
    value = getattr(import_module(f"compactnas.{module}"), there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
