"""Processes that start with fresh memory."""

from __future__ import annotations

import sys
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext  # the first is missing on Windows


def fresh_processes(*modules: str) -> ForkServerContext | SpawnContext:
    """Return the way to start processes that run functions of some modules.

    On Linux, they are forked from a process that has already imported the modules, so that they start at once. On
    macOS, its frameworks may abort a forked process, and Windows has no fork: there, each process imports them anew.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context
