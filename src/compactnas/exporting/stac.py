"""`item.json`: an export as a STAC item with the Machine Learning Model extension, for catalogues.

Source: the extension's specification, version 1.6 (https://github.com/stac-extensions/mlm).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from compactnas.exporting.formats import FORMATS, ExportFormat
from compactnas.exporting.names import CARD, INPUT, ITEM, OUTPUT
from compactnas.exporting.parity import Parity
from compactnas.io.atomic import write_json
from compactnas.lcz import CLASSES
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import ModelSpec, normalise_of
from compactnas.runs.task import Task

MLM = "https://stac-extensions.github.io/mlm/v1.6.0/schema.json"
CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"

TASK = "scene-classification"
"""Task in the terms of the MLM extension: one class for a whole patch."""


def write_item(folder: Path, spec: ModelSpec, network: nn.Module, task: Task, parity: Parity, made: datetime) -> None:
    """Write the item to the folder of the files that it lists.

    Args:
        folder: Folder of the export.
        spec: Description of the network.
        network: Network with its normalisation.
        task: Bands and classes of the network.
        parity: Measurements of the export.
        made: Time when the network was trained.
    """
    bands = _bands(network, task)
    described = {"bands": bands, "raster:bands": bands}
    present = [known for known in FORMATS.values() if (folder / known.file).exists()]
    assets = {known.file: _asset(folder, known) | described for known in present}
    assets["card"] = {"href": f"./{CARD}", "title": "model card", "type": "text/markdown", "roles": ["metadata"]}
    write_json(
        folder / ITEM,
        {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [MLM, CLASSIFICATION, FILE, RASTER],
            "id": f"compactnas-{spec.name}",
            "geometry": None,
            "properties": _properties(spec, network, task, parity, made),
            "links": [],
            "assets": assets,
        },
    )


def _properties(spec: ModelSpec, network: nn.Module, task: Task, parity: Parity, made: datetime) -> dict[str, Any]:
    px = task.patch_px
    inside = "The input is raw values: the network itself subtracts each band's mean and divides by its deviation."
    return {
        "datetime": made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": f"Classifies patches of {px} x {px} pixels. {inside}",
        "mlm:name": f"compactnas-{spec.name}",
        "mlm:architecture": BASELINES[spec.name].architecture if spec.name in BASELINES else "CNN",
        "mlm:framework": "PyTorch",
        "mlm:framework_version": torch.__version__,
        "mlm:tasks": [TASK],
        "mlm:total_parameters": sum(weight.numel() for weight in network.parameters()),
        "mlm:memory_size": sum(t.numel() * t.element_size() for t in network.state_dict().values()),
        "mlm:batch_size_suggestion": 256,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:pretrained": True,
        "mlm:pretrained_source": parity.data or "not known",
        "mlm:input": [
            {
                "name": INPUT,
                "bands": list(task.bands),
                "input": {
                    "shape": [-1, len(task.bands), px, px],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "resize_type": None,
                "pre_processing_function": None,
            }
        ],
        "mlm:output": [
            {
                "name": OUTPUT,
                "tasks": [TASK],
                "result": {"shape": [-1, len(task.classes)], "dim_order": ["batch", "class"], "data_type": "float32"},
                "classification:classes": [_class(task, number) for number in range(len(task.classes))],
                "post_processing_function": None,
            }
        ],
    }


def _bands(network: nn.Module, task: Task) -> list[dict[str, Any]]:
    """List the bands with the mean and deviation that normalise them.

    STAC 1.1 has `bands` in an asset. The MLM extension's schema looks for `bands` in the properties, where STAC's own
    schema does not accept them alone, or else for `raster:bands` in the assets of the models.
    """
    normalise = normalise_of(network)
    figures = zip(task.bands, normalise.mean.flatten().tolist(), normalise.std.flatten().tolist(), strict=True)
    return [
        {"name": name, "data_type": "float32", "statistics": {"mean": mean, "stddev": std}}
        for name, mean, std in figures
    ]


def _class(task: Task, number: int) -> dict[str, Any]:
    """Describe a class by its index in the output; its name has only the characters that the extension allows."""
    full = task.classes[number]
    entry: dict[str, Any] = {"value": number, "name": re.sub(r"[^0-9A-Za-z_-]+", "_", full) or f"class_{number}"}
    entry["description"] = full or entry["name"]
    if task.lcz:
        entry["color_hint"] = CLASSES[number].colour.removeprefix("#")
    return entry


def _asset(folder: Path, known: ExportFormat) -> dict[str, Any]:
    return {
        "href": f"./{known.file}",
        "title": known.title,
        "type": known.media_type,
        "roles": list(known.roles),
        "file:size": (folder / known.file).stat().st_size,
        "mlm:artifact_type": known.artefact,
    }
