"""Numbers of the random streams of a run.

Each reader of random numbers draws from `drawing(seed, stream, ...)`, so that none affects another. The values are
part of the meaning of a seed: changing one changes the results of every seed.
"""

from __future__ import annotations

from enum import IntEnum


class Stream(IntEnum):
    """Number of a random stream, by its reader.

    Three numbers have two names each. Their readers still draw differently, because the rest of the key differs:

    - 3: batches of a training draw from `(3, epoch)`, candidates of a search from `(3,)`.
    - 5 and 6: augmentations draw from `(stream, epoch, step)`, batches of a selection from `(stream, epoch)`.
    """

    EVALUATION = 0
    """Batches of an evaluation, in a fixed order."""
    SEARCH_WEIGHTS = 1
    """Batches of D_T in a search."""
    SEARCH_ALPHA = 2
    """Batches of D_V in a search."""
    TRAIN = 3
    """Batches of a training."""
    CANDIDATES = 3
    """Candidates that a search measures on its supernet."""
    HOLDOUT = 4
    """Random hold-out of a selection among networks."""
    MIX = 5
    """Mixup and CutMix."""
    PROXY = 5
    """Batch on which a selection computes its proxies."""
    JITTER = 6
    """Radiometric jitter."""
    CALIBRATION = 6
    """Batches that calibrate batch norm in a selection."""
    POOL = 7
    """Random candidates of a find, and the patches that rank them."""
