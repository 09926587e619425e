"""What goes wrong with a catalogue is one line; the same command goes on afterwards, with the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.forking import finish
from support.stac_scenes import IMPATIENT, refused, words
from support.stac_server import OLD_CALLS, Catalogue

from compactnas.catalogues import making
from compactnas.cli import main

pytest.importorskip("rasterio", reason="scenes need rasterio (the scene extra)")
pytest.importorskip("odc.stac", reason="scenes from catalogues need odc-stac (the scene extra)")
pytest.importorskip("pystac_client", reason="scenes from catalogues need pystac-client (the scene extra)")
pytestmark = OLD_CALLS


@pytest.fixture(scope="module")
def whole(made: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene of an undisturbed command."""
    folder = tmp_path_factory.mktemp("whole")
    finish(["-c", IMPATIENT, *words(made, folder / "a.tif")])
    return folder


def same(one: Path, other: Path) -> bool:
    return {file.name: file.read_bytes() for file in one.iterdir()} == {
        file.name: file.read_bytes() for file in other.iterdir()
    }


def test_a_server_that_fails_in_the_middle_is_told_and_the_rest_follows(
    catalogue: Catalogue, whole: Path, tmp_path: Path
) -> None:
    catalogue.broken["20240613_0_L2A_B05"] = 3
    command = ["-c", IMPATIENT, *words(catalogue, tmp_path / "a.tif")]
    done = finish(command, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 1 and not done.stdout, done
    assert "item S2B_33UUU_20240613_0_L2A, B05: the server answers with HTTP 500, after 1 retries" in lines[0]
    assert "blocks are kept in" in lines[0] and lines[0].endswith("give the same command again to go on")
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif.part"]
    kept = len(list(tmp_path.glob("a.tif.part/block_*")))
    catalogue.broken.clear()
    before = catalogue.asked["/search"]
    finish(command)
    assert catalogue.asked["/search"] == before, "the items of the first search are taken"
    assert same(tmp_path, whole) and kept > 0


def test_a_file_that_is_cut_off_is_told_and_the_rest_follows_when_it_is_whole(
    catalogue: Catalogue, whole: Path, tmp_path: Path
) -> None:
    command = ["-c", IMPATIENT, *words(catalogue, tmp_path / "a.tif")]
    for band, share in (("B05", 0.6), ("B02", 0.1)):  # pixels that are warped and pixels that are not; the header too
        file = catalogue.folder / f"S2B_33UUU_20240610_0_L2A_{band}.tif"
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])
        try:
            done = finish(command, check=False)
        finally:
            file.write_bytes(content)
        lines = done.stderr.splitlines()
        assert done.returncode == 2 and len(lines) == 1, done
        assert f"item S2B_33UUU_20240610_0_L2A, {band}: the file is cut off, damaged or no GeoTIFF" in lines[0]
    finish(command)
    assert same(tmp_path, whole)


def test_a_server_that_fails_the_search_is_one_line_and_leaves_nothing(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.broken["/search"] = 0
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert "answers with HTTP 500, 5 times; try again later" in said and "127.0.0.1" in said
    catalogue.broken.clear()
    catalogue.broken["/search"] = 1
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):  # a short failure is not seen
        assert main(words(catalogue, tmp_path / "a.tif")) == 0
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        catalogue.broken.clear()


def test_an_empty_search_says_what_would_widen_it(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "a.tif"
    said = refused(capsys, [*words(catalogue, out), "--dates", "2019-06"])
    assert "has no item around 52.5" in said and "from 2019-06; give a longer season with --dates" in said
    assert "longitude comes first" in said
    said = refused(capsys, words(catalogue, out, "--max-cloud", "10"))
    assert "none of 2 items around" in said and "2 cloud cover above 10 %" in said and "raise --max-cloud" in said
    said = refused(capsys, words(catalogue, out, "--without", " , ".join(item["id"] for item in catalogue.items)))
    assert "2 named with --without" in said
    said = refused(capsys, words(catalogue, out, "--collection", "sentinel-2-l1c"))
    assert "has no item" in said and "--collection" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dates", "summer"], "--dates: 'summer' is no date; write --dates 2024-05-01/2024-09-30"),
        (
            ["--dates", "2024-09-30/2024-05-01"],
            "--dates: 2024-09-30/2024-05-01 ends before it begins; write 2024-05-01/",
        ),
        (["--dates", "2024-02-30"], "--dates: '2024-02-30' is not in the calendar"),
        (["--dates", "2024-13"], "--dates: '2024-13' is not in the calendar"),
        (["--max-cloud", "0"], "--max-cloud: 0 is not a percentage"),
        (["--bands", "B02,B99"], "no item has B99"),
        (["--bands", "B02,B2"], "--bands: names B02 twice"),
        (["--pixel-m", "0.5"], "--pixel-m: 0.5 is less than 1 m"),
        (["--catalogue", "earthsearch"], "did you mean 'earth-search'"),
        (["--collection", "modis"], "--collection: 'modis' is not known"),
        (["--cloud-classes", "clouds"], "--cloud-classes: 'clouds' is no list of numbers"),
        (["--threads", "0"], "--threads: 0 is not between 1 and 64"),
        (["-o", "scene.png"], "--output: scene.png is no GeoTIFF"),
        (["--catalogue", "http://no-such-host.invalid/stac"], "no-such-host.invalid: the name of the host cannot be"),
        (["--catalogue", "http://127.0.0.1:9/stac"], "127.0.0.1:9: refuses the connection"),
    ],
)
def test_a_bad_option_is_one_line(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert message in refused(capsys, words(catalogue, tmp_path / "a.tif", *more))
    assert list(tmp_path.iterdir()) == []


def test_other_options_do_not_go_on_with_a_part(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.broken["B05"] = 2
    assert finish(["-c", IMPATIENT, *words(catalogue, tmp_path / "a.tif")], check=False).returncode == 2
    catalogue.broken.clear()
    done = finish(["-c", IMPATIENT, *words(catalogue, tmp_path / "a.tif", "--max-cloud", "50")], check=False)
    assert done.returncode == 2
    assert "holds part of another scene (max_cloud 60.0, not 50.0); give the same command again" in done.stderr


def test_a_box_may_begin_with_a_minus_sign(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["scene", "-74.3,40.4,-73.7,41", *words(catalogue, tmp_path / "a.tif")[2:]]
    assert "has no item around 40.70 N, 74.00 W from 2024" in refused(capsys, command)


def test_a_missing_package_is_one_line(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "NEEDED", ("rasterio", "no_such_package.stac"))
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert said.endswith("install with pip install 'compactnas[scene]'")


def test_files_on_s3_need_keys(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    catalogue.items[0]["assets"]["blue"]["href"] = "s3://eodata/Sentinel-2/B02.jp2"
    said = refused(capsys, words(catalogue, tmp_path / "a.tif"))
    assert "its files are on S3 and need keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said


def test_a_scene_that_is_all_clouds_is_one_line(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, words(catalogue, tmp_path / "a.tif", "--cloud-classes", "4,9"))
    assert "no pixel has a clear observation on any of 2 days; raise --max-cloud" in said
    assert list(tmp_path.iterdir()) == []


def test_an_item_to_leave_out_that_is_not_found_is_told(
    catalogue: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(catalogue, tmp_path / "a.tif", "--without", "S2B_misspelt")) == 0
    assert "--without: the search found no item S2B_misspelt" in capsys.readouterr().err
