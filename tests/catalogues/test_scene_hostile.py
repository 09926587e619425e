"""A catalogue cannot make a scene open files of this machine, and its malformed answers are one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.forking import finish
from support.stac_items import write_cog
from support.stac_scenes import IMPATIENT, refused, words
from support.stac_server import OLD_CALLS, Catalogue

from compactnas.cli import main
from compactnas.errors import UserError

pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")
pytest.importorskip("pystac_client", reason="scenes from catalogues need pystac-client (the scene extra)")
pytestmark = OLD_CALLS


@pytest.mark.parametrize(
    "href",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "/vsizip//etc/a.zip/a.tif",
        "/vsicurl/http://x/a.tif",
        "ftp://x/a.tif",
        "a b",
    ],
)
def test_a_catalogue_cannot_make_it_open_local_files(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str], href: str
) -> None:
    catalogue.items[0]["assets"]["blue"]["href"] = href
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert "only addresses of HTTP and S3 are opened; leave it out with --without S2B_33UUU_20240610_0_L2A" in said
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_refers_to_others_is_not_opened(catalogue: Catalogue, tmp_path: Path) -> None:
    """GDAL would open a virtual raster by its content, and the file of this machine that it names."""
    vrt = catalogue.folder / "virtual.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="40" rasterYSize="40"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{catalogue.folder / 'S2B_33UUU_20240610_0_L2A_B02.tif'}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    catalogue.items[0]["assets"]["blue"]["href"] = f"{catalogue.url}/files/virtual.tif"
    done = finish(["-c", IMPATIENT, *words(catalogue, tmp_path / "a.tif")], check=False)
    assert done.returncode == 2 and "B02: the file is cut off, damaged or no GeoTIFF" in done.stderr


def link_to_a_file(catalogue: Catalogue) -> dict[str, Any]:
    page = Catalogue.landing(catalogue)
    for link in page["links"]:
        if link["rel"] == "search":
            link["href"] = "file:///etc/passwd"
    return page


@pytest.mark.parametrize(
    ("landing", "message"),
    [
        (link_to_a_file, "refers to 'file:///etc/passwd', which is no address of HTTP"),
        (lambda _: [1, 2], "is not that of a STAC API"),
        (lambda _: {"type": "Catalog"}, "is not that of a STAC API|is no STAC API with item search"),
        (lambda one: Catalogue.landing(one) | {"conformsTo": []}, "is no STAC API with item search"),
    ],
)
def test_a_server_that_is_no_catalogue_is_one_line(
    catalogue: Catalogue,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    landing: Any,
    message: str,
) -> None:
    monkeypatch.setattr(catalogue, "landing", lambda: landing(catalogue))
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert any(part in said for part in message.split("|")), said


@pytest.mark.parametrize(
    "harm",
    [
        {"properties": None},
        {"assets": {"blue": 3}},
        {"bbox": "here", "geometry": None},
        {"properties": {"datetime": "yesterday"}},
        {"id": {"deep": []}, "assets": []},
    ],
)
def test_a_malformed_item_is_left_out_and_counted(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: dict[str, Any]
) -> None:
    monkey = catalogue.items[0] | harm
    monkey["properties"] = harm.get("properties", catalogue.items[0]["properties"])
    catalogue.items[0], catalogue.search = monkey, lambda asked: {"features": catalogue.items, "links": []}  # type: ignore[method-assign]
    try:
        assert main(words(catalogue, tmp_path / "a.tif")) == 0
    finally:
        del catalogue.search
    assert "1 of 2 items left out: " in capsys.readouterr().err
    assert len(json.loads((tmp_path / "a.json").read_text())["items"]) == 1


def test_files_of_other_numbers_than_declared_are_one_line(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cog(catalogue.folder / "float.tif", np.full((40, 40), 4.5, np.float32), 20.0)
    assets = catalogue.items[0]["assets"]
    assets["scl"]["href"] = f"{catalogue.url}/files/float.tif"
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert "its cloud mask holds numbers of type float32" in said
    assert main(words(catalogue, tmp_path / "b.tif", "--cloud-classes", "-")) == 0
    capsys.readouterr()
    assets["blue"]["raster:bands"][0]["nodata"] = -9999
    said = refused(capsys, words(catalogue, tmp_path / "c.tif", "--cloud-classes", "-"))
    assert "B02: declares -9999 as no data, but holds numbers of type uint16" in said


@pytest.mark.parametrize("file", ["landing.json", "page1.json"])
def test_an_answer_without_end_is_refused_before_it_is_parsed(file: str, tmp_path: Path) -> None:
    from support.fuzz.catalogue_inputs import answers, read_answers

    for name, content in answers(tmp_path)[0].items():
        (tmp_path / name).write_bytes(content)
    made = json.loads((tmp_path / file).read_text())
    deep: Any = [13.5, 52.5]
    for _ in range(900):  # near Python's limit for recursion, where any destructor could fail
        deep = [deep]
    (made["features"][0] if "features" in made else made)["geometry"] = {"type": "Polygon", "coordinates": deep}
    (tmp_path / file).write_text(json.dumps(made))
    with pytest.raises(UserError, match=r"is not that of a STAC API \(it is nested too deeply\); check the URL"):
        read_answers(tmp_path)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('{"description": "a\\nb"}', " (a b)"),
        ('{"description": 5}', ""),
        ("5", ""),
        ("true", ""),
        ('"description"', ""),
        ('["detail"]', ""),
        ("no JSON", ""),
        ("[" * 4000, ""),
    ],
)
def test_what_a_catalogue_says_of_an_error_is_shown_if_it_is_text(said: str, shown: str, tmp_path: Path) -> None:
    from support.fuzz.catalogue_inputs import answers, read_answers

    for name, content in answers(tmp_path)[0].items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "head.json").write_text(json.dumps({"status": 404, "headers": {}}))
    (tmp_path / "landing.json").write_text(said)
    with pytest.raises(UserError, match=f"answers with HTTP 404{re.escape(shown)}; check the URL"):
        read_answers(tmp_path)


@pytest.mark.parametrize("harm", ["a corner beyond the Earth", "a corner of 400 digits", "a corner without place"])
def test_numbers_of_an_item_are_bounded(harm: str, tmp_path: Path) -> None:
    from support.fuzz.catalogue_inputs import items, read_items

    made = json.loads(items(tmp_path)[0]["items.json"])
    for asset in made[0]["assets"].values():
        asset["proj:transform"][2] = 1e308 if "Earth" in harm else 10**17
        if "place" in harm:
            asset["proj:transform"][2:6:3] = [399960.0, "NaN"]
    (tmp_path / "items.json").write_text(json.dumps(made))
    read_items(tmp_path)
