"""`README.md` of an export: a model card as on the Hugging Face hub, with all names escaped."""

from __future__ import annotations

import html
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import nn

from compactnas.cost.counter import count
from compactnas.errors import HIDDEN
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.names import CARD, GENOTYPE, INPUT, ITEM, MODEL, OUTPUT, PARITY
from compactnas.exporting.parity import Parity
from compactnas.io.atomic import write_bytes
from compactnas.nn.registry import ModelSpec, normalise_of
from compactnas.runs.task import Task
from compactnas.runs.temperature import Temperature
from compactnas.scenes.bands import SENTINEL_BANDS, sentinel_name
from compactnas.version import __version__

PURPOSES = {
    MODEL: "description of the network",
    GENOTYPE: "genotype of the network",
    PARITY: "results of the checks below",
    ITEM: "STAC item with the MLM extension",
}
"""Purpose of each file besides those of the formats."""


def write_card(
    folder: Path, spec: ModelSpec, network: nn.Module, task: Task, parity: Parity, temperature: Temperature | None
) -> None:
    """Write the model card of the files in a folder."""
    cost, normalise = count(network, spec.bands, task.patch_px), normalise_of(network)
    figures = zip(task.bands, normalise.mean.flatten().tolist(), normalise.std.flatten().tolist(), strict=True)
    purposes = {known.file: known.purpose for known in FORMATS.values()} | PURPOSES
    present = [name for name in purposes if (folder / name).exists()]
    title = f"compactnas-{spec.name}"
    values = {
        "front": yaml.safe_dump(_front(title, task, parity), sort_keys=False),
        "title": title,
        "task": task,
        "version": __version__,
        "genotype": spec.genotype,
        "parameters": cost.parameters,
        "macs": cost.macs,
        "bands": [{"name": name, "mean": mean, "std": std} for name, mean, std in figures],
        "files": [{"name": name, "bytes": (folder / name).stat().st_size, "what": purposes[name]} for name in present],
        "parity": parity,
        "temperature": temperature,
        "input": INPUT,
        "output": OUTPUT,
    }
    text = _environment().get_template("card.md.j2").render(values)
    write_bytes(folder / CARD, text.encode("utf-8", errors="replace"))


def _front(title: str, task: Task, parity: Parity) -> dict[str, Any]:
    """Make the metadata for model hubs: tags, and the accuracy on the data."""
    words = [
        "remote-sensing",
        *(["sentinel-2"] if all(sentinel_name(band) in SENTINEL_BANDS for band in task.bands) else []),
        "neural-architecture-search",
        *(["local-climate-zones"] if task.lcz else []),
    ]
    front: dict[str, Any] = {"library_name": "compactnas", "pipeline_tag": "image-classification", "tags": words}
    if parity.oa is not None:
        data = {"name": one_line(parity.data), "type": "image-classification", "split": parity.rows.part}
        task_type = {"type": "image-classification"}
        metric = {"type": "accuracy", "value": round(parity.oa, 4)}
        front["model-index"] = [{"name": title, "results": [{"task": task_type, "dataset": data, "metrics": [metric]}]}]
    return front


def one_line(name: str) -> str:
    """Put a name on one line, and replace its invisible characters."""
    line = " ".join(name.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in HIDDEN else c for c in line)


def plain(name: str) -> str:
    """Escape a name for Markdown, so that it cannot contain markup, links or table cells."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~:@$.^=])", r"\\\1", html.escape(one_line(name), quote=False))


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("compactnas.exporting", "."),
        autoescape=False,  # noqa: S701  # Markdown: names go through `plain`
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters.update(plain=plain, thousands=lambda number: f"{number:,}")
    return made
