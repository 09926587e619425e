"""Record a training step as a CUDA graph and replay it.

A step of a compact network has a few hundred kernels of a few microseconds each. Launching them from Python takes
longer than running them; a CUDA graph launches all of them at once. See `torch.cuda.graph`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before recording, in which libraries choose kernels and optimisers create their state."""


class ReplayedStep:
    """Step on a CUDA device that is recorded once and then replayed.

    The step must do the same for all inputs and must not read values from the device. Everything that it changes
    besides its outputs (weights, momentum, running averages) must stay at the same memory address: make a new
    object if a tensor has moved, such as after restoring a checkpoint.

    Args:
        step: Function from tensors to tensors, all on the current device.
    """

    def __init__(self, step: Callable[..., tuple[Tensor, ...]]) -> None:
        self.step, self.calls = step, 0
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # absent from torch's stubs
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the step. The next call overwrites the outputs.

        Args:
            inputs: Tensors with the same shapes in each call.
        """
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._aside(inputs)
        self.graph = self.graph or self._record(inputs)
        for kept, given in zip(self.inputs, inputs, strict=True):
            kept.copy_(given)
        self.graph.replay()
        return self.outputs

    def _aside(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Run the step without recording, on the stream that will record it."""
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            outputs = self.step(*inputs)
        current.wait_stream(self.stream)
        return outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        self.inputs = tuple(torch.empty_like(given) for given in inputs)
        graph = torch.cuda.CUDAGraph()
        # The prefetch thread may allocate memory on the device meanwhile.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self.outputs = self.step(*self.inputs)
        return graph
