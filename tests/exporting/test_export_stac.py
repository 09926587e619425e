"""The STAC item of an export: what it says, the schemas of STAC and its extensions, the MLM extension's classes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from support.exported import SPECS, TASK
from support.injection import HOST, NAMES

from compactnas import lcz
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.names import ONNX
from compactnas.exporting.parity import Parity, Rows
from compactnas.exporting.stac import CLASSIFICATION, MLM, write_item
from compactnas.nn.registry import build

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
SCHEMAS = Path(__file__).parents[1] / "support" / "stac"
ITEM = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
MLM_1_4, CLASSES_1_1 = MLM.replace("v1.6.0", "v1.4.0"), CLASSIFICATION.replace("v2.0.0", "v1.1.0")


@pytest.fixture
def item(tmp_path: Path) -> dict[str, Any]:
    spec = replace(SPECS["paper"], classes=17)
    for known in FORMATS.values():
        (tmp_path / known.file).write_bytes(b"x" * 10)
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
    for key in ("bands", "raster:bands"):
        assert given["bands"] == [band["name"] for band in item["assets"][ONNX][key]] == list(TASK.bands)
    assert given["input"]["shape"] == [-1, 4, 8, 8] and len(given["input"]["dim_order"]) == 4
    assert "value_scaling" not in given  # the network does it
    assert answer["result"]["shape"] == [-1, 17]
    assert [entry["value"] for entry in answer["classification:classes"]] == list(range(17))
    water = answer["classification:classes"][16]
    assert (water["name"], water["description"], water["color_hint"]) == ("Water", "Water", "6A6AFF")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\+[0-9A-Za-z.-]+)?", says["mlm:framework_version"]), torch.__version__
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]+[a-zA-Z0-9]", says["mlm:name"])
    models = [asset for asset in item["assets"].values() if "mlm:model" in asset["roles"]]
    assert len(models) == len(FORMATS)
    assert all(asset["mlm:artifact_type"] and asset["file:size"] == 10 for asset in models)
    assert all(asset["href"].startswith("./") for asset in item["assets"].values())


def faults(item: dict[str, Any]) -> list[str]:
    """What the schemas of STAC and of the item's extensions find wrong; none is fetched, one that is not here fails."""
    jsonschema = pytest.importorskip("jsonschema", reason="the `stac` extra is not installed")
    local = pytest.importorskip("pystac.validation.local_validator", reason="the `stac` extra is not installed")
    from referencing import Registry, Resource

    schemas: dict[str, Any] = dict(local.get_local_schema_cache())
    for file in SCHEMAS.glob("*.json"):
        schema = json.loads(file.read_text())
        schemas[schema["$id"].rstrip("#")] = schema
    schemas[CLASSES_1_1] = schemas[CLASSIFICATION]  # the newer one asks for more
    registry = Registry().with_resources((name, Resource.from_contents(schema)) for name, schema in schemas.items())
    older = item | {"stac_extensions": [MLM_1_4 if name == MLM else name for name in item["stac_extensions"]]}
    asked = [schemas[name] for name in (ITEM, *older["stac_extensions"])]
    validators = [jsonschema.Draft7Validator(schema, registry=registry) for schema in asked]
    return [f"{error.json_path}: {error.message}" for one in validators for error in one.iter_errors(older)]


def test_the_item_is_valid_by_the_schemas(item: dict[str, Any]) -> None:
    assert not faults(item)


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "core: no datetime": lambda item: item["properties"].pop("datetime"),
    "core: no assets": lambda item: item.pop("assets"),
    "core: a band whose name is a number": lambda item: item["assets"][ONNX].update(bands=[{"name": 7}]),
    "mlm: no input": lambda item: item["properties"].pop("mlm:input"),
    "mlm: a task that it does not know": lambda item: item["properties"].update({"mlm:tasks": ["guessing"]}),
    "mlm: a shape that is text": lambda item: item["properties"]["mlm:input"][0]["input"].update(shape="4 x 8 x 8"),
    "mlm: bands that are not described": lambda item: item["assets"][ONNX].pop("raster:bands"),
    "raster: a mean that is no number": lambda item: item["assets"][ONNX]["raster:bands"][0]["statistics"].update(
        mean="x"
    ),
    "mlm: a model without the kind of its file": lambda item: item["assets"][ONNX].pop("mlm:artifact_type"),
    "mlm: a field that it does not have": lambda item: item["properties"].update({"mlm:colour": "red"}),
    "classification: a name with a space": lambda item: item["properties"]["mlm:output"][0]["classification:classes"][
        0
    ].update(name="Compact high-rise"),
    "file: a length below nothing": lambda item: item["assets"][ONNX].update({"file:size": -1}),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_broken_item_is_not(change: Callable[[dict[str, Any]], object], item: dict[str, Any]) -> None:
    change(item)
    assert faults(item)


def test_the_extensions_own_classes_take_it(item: dict[str, Any]) -> None:
    schema = pytest.importorskip("stac_model.schema", reason="the `stac` extra is not installed")
    pystac = pytest.importorskip("pystac")
    properties = schema.MLModelProperties.model_validate(item["properties"])
    assert schema.SCHEMA_URI == MLM and MLM in item["stac_extensions"]
    assert [str(band) for band in properties.input[0].bands] == list(TASK.bands)
    assert [entry.description for entry in properties.output[0].classes] == list(lcz.NAMES)
    assert schema.MLModelExtension.ext(pystac.Item.from_dict(item)).name == "mlm"
    item["properties"]["mlm:input"][0]["input"]["shape"] = [-1]
    with pytest.raises(ValueError, match="equal length"):
        schema.MLModelProperties.model_validate(item["properties"])


def test_names_of_strangers_are_values_alone(tmp_path: Path) -> None:
    """Read by a parser of STAC: classes, bands and the data's name change no id, title, link, key or media type."""
    pystac = pytest.importorskip("pystac", reason="STAC items are read by pystac (the scene extra)")
    (tmp_path / ONNX).write_bytes(b"x" * 10)
    spec = replace(SPECS["paper"], classes=len(NAMES))
    task = replace(TASK, bands=NAMES[: len(TASK.bands)], classes=NAMES)
    write_item(tmp_path, spec, build(spec), task, Parity(NAMES[0], Rows(NAMES[1], 24), 0.5), MADE)
    text = (tmp_path / "item.json").read_text()
    item = pystac.Item.from_dict(json.loads(text))
    assert item.id == "compactnas-genotype" and item.links == [] and item.common_metadata.title is None
    assert item.assets.keys() == {ONNX, "card"}
    for asset in item.assets.values():
        shown = f"{asset.href} {asset.title} {asset.media_type} {asset.roles}"
        assert "sprung" not in shown and HOST not in shown
    (answer,) = item.properties["mlm:output"]
    assert all(re.fullmatch(r"[0-9A-Za-z_-]+", entry["name"]) for entry in answer["classification:classes"])
    assert item.properties["mlm:pretrained_source"] == NAMES[0]
    assert "\x1b" not in text and "\u202e" not in text, "control characters are escaped"
