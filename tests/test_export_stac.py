"""The STAC item of an export: by the rules of the extension, and by its own classes where they are installed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import SPECS, TASK

from compactnas import lcz
from compactnas.export.manifest import INT8, ONNX, PROGRAM, WEIGHTS
from compactnas.export.parity import Parity, Rows
from compactnas.export.stac import write_item
from compactnas.models import build

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    spec = replace(SPECS["paper"], classes=17)
    for name in (ONNX, INT8, PROGRAM, WEIGHTS):
        (tmp_path / name).write_bytes(b"x" * 10)
    task = replace(TASK, classes=lcz.NAMES, lcz=True)
    write_item(tmp_path, spec, build(spec), task, Parity("a world", Rows("test", 24), 0.5), MADE)
    found: dict[str, Any] = json.loads((tmp_path / "item.json").read_text())
    return found


def test_the_item_describes_what_goes_in_and_comes_out(item: dict[str, Any]) -> None:
    says = item["properties"]
    assert (item["type"], item["stac_version"], item["geometry"]) == ("Feature", "1.1.0", None)
    assert "bbox" not in item  # it has none without a geometry
    assert says["datetime"] == "2026-11-24T12:30:00Z"
    (given,), (answer,) = says["mlm:input"], says["mlm:output"]
    assert given["bands"] == [band["name"] for band in item["assets"][ONNX]["bands"]] == list(TASK.bands)
    assert given["input"]["shape"] == [-1, 4, 8, 8] and len(given["input"]["dim_order"]) == 4
    assert "value_scaling" not in given  # the network does it
    assert answer["result"]["shape"] == [-1, 17]
    assert [entry["value"] for entry in answer["classification:classes"]] == list(range(17))
    water = answer["classification:classes"][16]
    assert (water["name"], water["description"], water["color_hint"]) == ("Water", "Water", "6A6AFF")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\+[0-9A-Za-z.-]+)?", says["mlm:framework_version"]), torch.__version__
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]+[a-zA-Z0-9]", says["mlm:name"])
    models = [asset for asset in item["assets"].values() if "mlm:model" in asset["roles"]]
    assert len(models) == 4 and all(asset["mlm:artifact_type"] and asset["file:size"] == 10 for asset in models)
    assert all(asset["href"].startswith("./") for asset in item["assets"].values())


def test_the_extensions_own_classes_take_it(item: dict[str, Any]) -> None:
    schema = pytest.importorskip("stac_model.schema", reason="the `stac` extra is not installed")
    pystac = pytest.importorskip("pystac")
    properties = schema.MLModelProperties.model_validate(item["properties"])
    assert schema.SCHEMA_URI in item["stac_extensions"]
    assert [str(band) for band in properties.input[0].bands] == list(TASK.bands)
    assert [entry.description for entry in properties.output[0].classes] == list(lcz.NAMES)
    read = pystac.Item.from_dict(item)
    assert schema.MLModelExtension.ext(read).name == "mlm"
    core = pystac.Item.from_dict(
        item | {"stac_extensions": []}
    )  # its schemas are in the package, the others on the net
    core.validate()


def test_a_wrong_item_is_not_taken(item: dict[str, Any]) -> None:
    schema = pytest.importorskip("stac_model.schema", reason="the `stac` extra is not installed")
    item["properties"]["mlm:input"][0]["input"]["shape"] = [-1]
    with pytest.raises(ValueError, match="equal length"):
        schema.MLModelProperties.model_validate(item["properties"])
