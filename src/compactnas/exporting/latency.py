"""Measure a latency table: each operation at each shape, with whole networks as a check.

An operation is timed as on an edge of a cell, with its result added to a map, in a chain of several. A chain of one
addition gives the time of a call itself. Two things are fitted to whole networks: the time of a network besides its
edges, and for each family of operations the share of their summed times that the engine takes in a whole network.
Onnxruntime leaves out dead nodes; torch computes them.
"""

from __future__ import annotations

import logging
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from compactnas.adopted.onnx_file import require_onnx
from compactnas.cost.latency_table import LatencyTable
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.exporting.graphs import OPSET, quiet
from compactnas.exporting.latency_fit import fit, left_out
from compactnas.nn.network import Network
from compactnas.nn.norms import final_norm
from compactnas.nn.operations import build_operation
from compactnas.nn.state import State
from compactnas.search.random_genotype import random_connected
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE, OPERATIONS
from compactnas.space.search_space import Space
from compactnas.training.optim import to_device

Call = Callable[[], object]
LatencyEngine = Literal["onnx", "torch"]

LENGTH = 5
"""Number of operations in a chain."""

ADDITION = "skip_connect"
"""Operation that costs only its addition."""

LEAST_SHARE = 0.05
"""Smallest plausible share of an operation's own time that it takes in a network; less means noisy timings."""

CALL_S = 0.002
"""Shorter calls are repeated until this many seconds have passed."""


class OperationChain(nn.Module):
    """A chain of one operation, each time with its result added to the map, as on an edge of a cell."""

    def __init__(self, name: str, channels: int, length: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(build_operation(name, channels, final_norm) for _ in range(length))

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        for operation in self.operations:
            x = x + operation(State(x))
        return x


def measure_latency(
    space: Space,
    bands: int,
    classes: int,
    patch_px: int,
    *,
    engine: LatencyEngine = "onnx",
    batch: int = 1,
    threads: int = 1,
    networks: int = 20,
    rounds: int = 15,
    seed: int = 0,
    tell: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> LatencyTable:
    """Measure the operations of a space on this machine.

    Args:
        space: Search space with the operations and the largest depth to measure.
        bands: Number of bands of a patch.
        classes: Number of classes.
        patch_px: Side of a patch.
        engine: `onnx` (onnxruntime) or `torch`, on the CPU.
        batch: Number of patches in a call.
        threads: Number of threads of the engine.
        networks: Number of random networks of the space that are measured as a whole.
        rounds: Number of measurements of everything in turn; the shortest time counts.
        seed: Random seed of the networks.
        tell: Function that receives the stage, the number of finished items and their total.

    Raises:
        UserError: The engine is not installed, the space has widths, or the timings are too noisy.
    """
    if space.widths:
        raise UserError("space.widths: a latency table holds full widths only; leave them out")
    if space.layout_of.residual:
        raise UserError(
            f"space.layout: a latency table holds cells only, not the layers of {space.layout}; limit MACs or "
            "parameters instead"
        )
    if engine == "onnx":
        require_onnx("onnx", "onnxscript", "onnxruntime")
    generator = torch.Generator().manual_seed(seed)
    genotypes = [random_connected(space, generator) for _ in range(networks)]
    torch.set_num_threads(threads)
    names = [ADDITION, *(name for name in space.operations if name not in (NONE, ADDITION))]
    built = _rows(space, names, patch_px, batch)
    built += [(Network(genotype, bands, classes), (batch, bands, patch_px, patch_px)) for genotype in genotypes]
    calls = list(_calls(built, engine, threads, tell))
    seconds = timed(calls, rounds, lambda done: tell("measuring", done, rounds))
    macs = CostTable.of(space, space.max_depth, bands, classes, patch_px)
    return LatencyTable(
        device=platform.processor() or platform.machine(),
        engine=engine,
        threads=threads,
        batch=batch,
        layout=space.layout,
        channels=space.channels,
        blocks=space.blocks,
        nodes=space.nodes,
        operations=space.operations,
        bands=bands,
        classes=classes,
        patch_px=patch_px,
        **_fitted(space, names, seconds, macs, genotypes, live_only=engine == "onnx"),
    )


def _calls(
    built: Sequence[tuple[nn.Module, tuple[int, ...]]],
    engine: LatencyEngine,
    threads: int,
    tell: Callable[[str, int, int], None],
) -> Iterator[Call]:
    """Make a call of each module with its input shape, one after the other."""
    for done, (module, shape) in enumerate(built, 1):
        yield make_call(module, shape, engine, threads)
        tell("building", done, len(built))


def _fitted(
    space: Space,
    names: Sequence[str],
    seconds: NDArray[np.float64],
    macs: CostTable,
    genotypes: list[Genotype],
    *,
    live_only: bool,
) -> dict[str, Any]:
    """Fit the entries of the table to the measured chains and networks.

    Raises:
        UserError: The timings are too noisy.
    """
    columns = _columns(space, names, seconds[: -len(genotypes)].reshape(space.blocks, len(names) + 1))
    kinds, sums = _sums(space, columns, macs, genotypes, live_only=live_only)
    whole = seconds[-len(genotypes) :]
    fitted = fit(sums, whole)
    known = sums[:, :-1].any(axis=0)
    if not known.any() or (fitted[1:-1][known] < LEAST_SHARE).any():
        raise UserError("latency: timings are too noisy; repeat on an idle machine, with more --rounds")
    errors = [abs(1 - left_out(sums, whole, place) / whole[place]) for place in range(len(whole))]
    return {
        "operations_ns": _nanoseconds(columns * (fitted[1:-1] @ kinds)),
        "overhead_ns": _nanoseconds(macs.overhead.numpy() * fitted[-1]),
        "fixed_ns": round(1e9 * fitted[0]),
        "networks": len(genotypes),
        "median_error": round(float(median(errors)), 4),
        "worst_error": round(float(max(errors)), 4),
    }


def _rows(space: Space, names: Sequence[str], patch_px: int, batch: int) -> list[tuple[nn.Module, tuple[int, ...]]]:
    """Build chains with their input shapes: for each block one addition, then a chain of each operation."""
    built: list[tuple[nn.Module, tuple[int, ...]]] = []
    for block, channels in enumerate(space.block_channels):
        side = -(-patch_px // 2**block)
        rows = [OperationChain(ADDITION, channels, 1), *(OperationChain(name, channels, LENGTH) for name in names)]
        built += [(row, (batch, channels, side, side)) for row in rows]
    return built


def _sums(
    space: Space, columns: NDArray[np.float64], macs: CostTable, genotypes: Sequence[Genotype], *, live_only: bool
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Sum the times of each network's operations by family, and its costs besides its edges.

    Returns:
        Operations of each family, (families, operations); sums, (networks, families + 1).
    """
    families = families_of(space)
    kinds = np.array([[OPERATIONS[name].family == family for name in space.operations] for family in families])
    parts = [CostTable(torch.from_numpy(columns * kind), torch.zeros_like(macs.overhead), 0) for kind in kinds]
    sums = np.array([[float(p.cells(space, one, live_only=live_only).sum()) for p in parts] for one in genotypes])
    beside = [float(macs.overhead[range(space.blocks), [d - 1 for d in one.depths]].sum()) for one in genotypes]
    return kinds, np.column_stack([sums, beside])


def families_of(space: Space) -> list[str]:
    """List the families of a space's operations, which an engine fuses alike; those without weights come last."""
    families = dict.fromkeys(OPERATIONS[name].family for name in space.operations)
    return sorted(families, key=lambda family: not family)


def _columns(space: Space, names: Sequence[str], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the seconds of each operation, (blocks, operations), from those of the chains of `_rows`."""
    addition = np.maximum(seconds[:, 1] - seconds[:, 0], 0) / (LENGTH - 1)
    call = seconds[:, 0] - addition
    columns = np.zeros((space.blocks, len(space.operations)))
    for place, name in enumerate(names):
        if name in space.operations:
            columns[:, space.operations.index(name)] = np.maximum(seconds[:, place + 1] - call, 0) / LENGTH
    return columns


def timed(calls: Sequence[Call], rounds: int, tell: Callable[[int], None]) -> NDArray[np.float64]:
    """Measure the seconds of each call: the minimum over the rounds, which other programs disturb least."""
    repeats = []
    for call in calls:
        call()
        began = time.perf_counter()
        call()
        repeats.append(max(1, round(CALL_S / max(time.perf_counter() - began, 1e-9))))
    times = np.empty((rounds, len(calls)))
    for done in range(rounds):
        for place, (call, repeat) in enumerate(zip(calls, repeats, strict=True)):
            began = time.perf_counter()
            for _ in range(repeat):
                call()
            times[done, place] = (time.perf_counter() - began) / repeat
        tell(done + 1)
    found: NDArray[np.float64] = times.min(axis=0)
    return found


def _nanoseconds(seconds: NDArray[np.float64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(round(1e9 * float(value)) for value in row) for row in seconds)


def make_call(module: nn.Module, shape: tuple[int, ...], engine: LatencyEngine, threads: int) -> Call:
    """Make a function that runs a module on one batch of this shape, in an engine."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    module = module.eval()
    if engine == "torch":
        return _torch_call(module, x)
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(_onnx(module, x), options, providers=["CPUExecutionProvider"])
    given = {"x": x.numpy()}
    return lambda: session.run(None, given)


def _torch_call(module: nn.Module, x: Tensor) -> Call:
    module, x = to_device(module, x.device, torch.channels_last), x.contiguous(memory_format=torch.channels_last)

    def call() -> object:
        with torch.inference_mode():
            return module(x)

    return call


def _onnx(module: nn.Module, x: Tensor) -> bytes:
    with quiet(logging.getLogger("torch.onnx")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the converter about itself
        converted: Any = torch.onnx.export(
            module, (x,), dynamo=True, opset_version=OPSET, input_names=["x"], external_data=False, verbose=False
        )
    content: bytes = converted.model_proto.SerializeToString()
    return content
