"""Say how long a run would take on this machine before it begins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from compactnas.distributed.launch import is_rank_zero

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.config import RunConfig
    from compactnas.data import Dataset

NAMES = {"search": "search", "train": "training"}


def announce(options: Namespace, config: RunConfig, data: Dataset, *, retrain: bool) -> None:
    """Print on stderr the estimated time of a run with the recipe `paper`, and of `quick`.

    Nothing is measured for a run that is short, resumed, stopped early or shared by several devices.

    Args:
        options: Parsed options of the command.
        config: Config of the run.
        data: Data of the run.
        retrain: Whether the run trains the found network too.
    """
    stopped = config.search.max_steps or config.train.max_steps
    if options.recipe != "paper" or options.resume or stopped or config.machine.world_size > 1:
        return
    if not is_rank_zero(config.machine):
        return
    from compactnas.studies.forecast import forecast, is_long

    if not is_long(config, data, retrain=retrain):
        return
    print("recipe paper: timing a few steps ...", file=sys.stderr, flush=True)
    try:
        run, quick = forecast(config, data, retrain=retrain)
    except (RuntimeError, OSError, MemoryError) as error:
        print(f"recipe paper: time unknown, its steps could not be measured ({_first_line(error)})", file=sys.stderr)
        return
    print(text(run, quick), file=sys.stderr, flush=True)


def text(run: dict[str, float], quick: dict[str, float]) -> str:
    """Write both estimates in one line, each from the seconds of its stages."""
    from compactnas.io.durations import duration
    from compactnas.studies.estimating import TIMED

    stages = ", ".join(f"{NAMES[stage]} {duration(seconds)}" for stage, seconds in run.items())
    line = f"recipe paper: about {duration(sum(run.values()))} on this machine ({stages}; from {TIMED} steps of each)"
    if sum(quick.values()) < sum(run.values()):
        line += f"; --recipe quick takes about {duration(sum(quick.values()))}"
    return line


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
