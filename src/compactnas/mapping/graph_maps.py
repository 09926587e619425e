"""Compute the maps of a strip in onnxruntime or OpenVINO, with the graph of an export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compactnas.adopted.onnx_file import open_onnx
from compactnas.exporting.engines import Engine, OnnxEngine
from compactnas.exporting.manifest import Manifest
from compactnas.exporting.names import INPUT, ONNX
from compactnas.exporting.openvino import OpenVinoEngine, compile_openvino, outputs_of
from compactnas.exporting.reading import AGAIN, read_onnx
from compactnas.mapping.job import MapJob
from compactnas.mapping.levels import LevelMap
from compactnas.mapping.scene_graph import scene_graph
from compactnas.mapping.shared_maps import Strip


@dataclass(frozen=True)
class GraphMaps:
    """Maps of the levels from the graph of an export, cut by `scene_graph`.

    Attributes:
        run: Function that runs the graph on a batch of one strip and returns its maps.
        strides: Stride of each map.
    """

    run: Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]
    strides: tuple[int, ...]

    def __call__(self, strip: Strip) -> list[LevelMap]:
        return [LevelMap(y[0], stride) for y, stride in zip(self.run(strip[None]), self.strides, strict=True)]


def graph_maps(job: MapJob, engine: Engine) -> GraphMaps | None:
    """Open the graph of the engine's network for strips.

    The 8-bit engine has its maps from the float32 file: the boundary correction learns the difference.

    Returns:
        The maps; None if the engine is torch, or the graph cannot be cut.

    Raises:
        UserError: The file is damaged.
    """
    if not isinstance(engine, OnnxEngine | OpenVinoEngine):
        return None
    file = job.model / ONNX
    content = Manifest.read(job.model).content(job.model, ONNX)
    cut = scene_graph(read_onnx(content, engine.task, file), engine.task.patch_px)
    if cut is None:
        return None
    graph, strides = cut
    if isinstance(engine, OpenVinoEngine):
        compiled = compile_openvino(graph, file, job.threads, AGAIN)
        return GraphMaps(lambda batch: outputs_of(compiled, batch), strides)
    session = open_onnx(graph, file, job.threads, AGAIN, spinning=False)  # other work follows each run
    return GraphMaps(lambda batch: session.run(None, {INPUT: batch}), strides)
