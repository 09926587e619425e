"""A task for processes side by side: adding a number."""

from __future__ import annotations

import torch

from compactnas.training.runtime import Listener
from compactnas.training.workers import Work


def adder(offset: int) -> Work:
    """Make the function that adds a number to its task; it also returns its number of threads."""

    def add(task: int, listener: Listener) -> tuple[int, int]:
        listener.warn(f"adding to {task}")
        return task + offset, torch.get_num_threads()

    return add
