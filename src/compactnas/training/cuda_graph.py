"""A step of many small kernels that is launched as one: recorded as a CUDA graph, and replayed from then on.

A compact network leaves a GPU waiting for its launches: a step of a few hundred kernels of some microseconds each takes
as long as Python takes to launch them. Source: CUDA graphs as `torch.cuda.graph` has them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls that run as they are before one is recorded: libraries choose their kernels, optimisers make their state."""


class Replayed:
    """A step on a CUDA device that does the same for all inputs of one shape, and never asks the device for a number.

    What the step changes besides its outputs (weights, momentum, running averages) must stay in the same memory from
    call to call; where it is put elsewhere, the step has to be recorded anew by a new object.

    Args:
        step: tensors in, tensors out, all on the current device.
    """

    def __init__(self, step: Callable[..., tuple[Tensor, ...]]) -> None:
        self.step, self.calls = step, 0
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # absent from torch's stubs
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()
        self.outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The step's outputs, which lie in the same memory each time after the first calls: read them before the next.

        Args:
            inputs: of the same shapes in each call.
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
        """The step as it is, on the stream that it will be recorded on."""
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            outputs = self.step(*inputs)
        current.wait_stream(self.stream)
        return outputs

    def _record(self, inputs: tuple[Tensor, ...]) -> torch.cuda.CUDAGraph:
        self.inputs = tuple(torch.empty_like(given) for given in inputs)
        graph = torch.cuda.CUDAGraph()
        # Batches are made in another thread meanwhile, which may take memory from the device.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self.outputs = self.step(*self.inputs)
        return graph
