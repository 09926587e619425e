"""Options of a run as frozen dataclasses, and the recipes.

The command line reads configs from YAML and dotted options. Other code takes the values that it needs, not the
config. Torch is not imported here.
"""

from compactnas.config.choices import OBJECTIVES, STRATEGIES
from compactnas.config.data import DATA_FORMATS, OPTIONS_OF_SPLITS, SPLIT_FIELDS, DataConfig, PixelDtype, Split
from compactnas.config.machine import MOST_PROCESSORS, NEUTRAL, MachineConfig, Precision
from compactnas.config.run import RECIPES, RunConfig, paper, quick, smoke
from compactnas.config.search import OBJECTIVE_OPTIONS, SearchConfig, require_objective_options
from compactnas.config.train import TrainConfig
from compactnas.config.values import from_values

__all__ = [
    "DATA_FORMATS",
    "MOST_PROCESSORS",
    "NEUTRAL",
    "OBJECTIVES",
    "OBJECTIVE_OPTIONS",
    "OPTIONS_OF_SPLITS",
    "RECIPES",
    "SPLIT_FIELDS",
    "STRATEGIES",
    "DataConfig",
    "MachineConfig",
    "PixelDtype",
    "Precision",
    "RunConfig",
    "SearchConfig",
    "Split",
    "TrainConfig",
    "from_values",
    "paper",
    "quick",
    "require_objective_options",
    "smoke",
]
