"""Search for compact networks that classify satellite image patches.

The names below are loaded when they are first used, so that `import compactnas` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compactnas.version import __version__

if TYPE_CHECKING:
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
    from compactnas.cost import CostTable, count, genotype_cost
    from compactnas.data import Dataset, open_dataset, open_source
    from compactnas.data.batches import Batches
    from compactnas.data.formats.samples import PackedSamples, SamplesSource
    from compactnas.data.packing import pack, prepare
    from compactnas.data.world import write_world
    from compactnas.errors import UserError
    from compactnas.evaluate import Evaluation
    from compactnas.genotype import Genotype
    from compactnas.measures import Measures, confusion_measures
    from compactnas.models import ModelSpec, build
    from compactnas.network import Network, Sample
    from compactnas.pipeline import evaluate_stage, predict, run, search_stage, train_stage
    from compactnas.report import write_report
    from compactnas.runs import load
    from compactnas.sampling import Architecture, derive
    from compactnas.selecting.agreement import kendall_tau
    from compactnas.selecting.config import SelectConfig
    from compactnas.selecting.stage import select_stage
    from compactnas.space import Space
    from compactnas.strategies.gdas import Gdas
    from compactnas.supernet import SuperNet

_NAMES = {
    "config": "DataConfig MachineConfig RunConfig SearchConfig TrainConfig paper quick smoke",
    "cost": "CostTable count genotype_cost",
    "data": "Dataset open_dataset open_source",
    "data.batches": "Batches",
    "data.packing": "pack prepare",
    "data.formats.samples": "PackedSamples SamplesSource",
    "data.world": "write_world",
    "errors": "UserError",
    "evaluate": "Evaluation",
    "genotype": "Genotype",
    "measures": "Measures confusion_measures",
    "models": "ModelSpec build",
    "network": "Network Sample",
    "pipeline": "evaluate_stage predict run search_stage train_stage",
    "report": "write_report",
    "runs": "load",
    "sampling": "Architecture derive",
    "selecting.agreement": "kendall_tau",
    "selecting.config": "SelectConfig",
    "selecting.stage": "select_stage",
    "space": "Space",
    "strategies.gdas": "Gdas",
    "supernet": "SuperNet",
}
"""Module -> the public names that live in it."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Architecture",
    "Batches",
    "CostTable",
    "DataConfig",
    "Dataset",
    "Evaluation",
    "Gdas",
    "Genotype",
    "MachineConfig",
    "Measures",
    "ModelSpec",
    "Network",
    "PackedSamples",
    "RunConfig",
    "Sample",
    "SamplesSource",
    "SearchConfig",
    "SelectConfig",
    "Space",
    "SuperNet",
    "TrainConfig",
    "UserError",
    "__version__",
    "build",
    "confusion_measures",
    "count",
    "derive",
    "evaluate_stage",
    "genotype_cost",
    "kendall_tau",
    "load",
    "open_dataset",
    "open_source",
    "pack",
    "paper",
    "predict",
    "prepare",
    "quick",
    "run",
    "search_stage",
    "select_stage",
    "smoke",
    "train_stage",
    "write_report",
    "write_world",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'compactnas' has no attribute {name!r}")
    value = getattr(import_module(f"compactnas.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
