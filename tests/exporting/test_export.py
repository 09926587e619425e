"""Exports: every format gives the network's probabilities, and what is wrong is one line that leaves nothing."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.exported import SPECS, TASK, exported, write_run
from support.forking import finish
from support.hostile import refused
from support.tiny import BANDS, CLASSES, PATCHES, SIDE

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.exporting.engines import open_engine
from compactnas.exporting.manifest import NAME, Manifest, known_files
from compactnas.exporting.names import GENOTYPE, INPUT, OUTPUT
from compactnas.exporting.parity import LIMIT
from compactnas.io.sole_writer import sole_writer

onnx = pytest.importorskip("onnx", reason="the `export` extra is not installed")
pytest.importorskip("onnxscript", reason="the `export` extra is not installed")
ort = pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")

Ask = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module", params=list(SPECS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run beside its export."""
    return exported(tmp_path_factory, request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One export that tests copy and break."""
    return exported(tmp_path_factory, "resnet8").with_name("export")


def copied(export: Path, where: Path) -> Path:
    where.mkdir()
    for file in export.iterdir():
        (where / file.name).write_bytes(file.read_bytes())
    return where


def ask_onnx(file: Path) -> Ask:
    """As somebody without this package would."""
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda patches: session.run([OUTPUT], {INPUT: patches})[0]


def ask_program(file: Path) -> Ask:
    program = torch.export.load(file).module()
    return lambda patches: program(torch.from_numpy(patches)).detach().numpy()


FORMATS: dict[str, Callable[[Path], Ask]] = {
    "model.onnx": lambda export: ask_onnx(export / "model.onnx"),
    "model.pt2": lambda export: ask_program(export / "model.pt2"),
    "model.safetensors": lambda export: open_engine(export, "torch").probabilities,
    "engine onnx": lambda export: open_engine(export, "onnx", threads=1).probabilities,
    "engine auto": lambda export: open_engine(export).probabilities,
}


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_networks_probabilities(form: str, batch: int, run: Path) -> None:
    patches = np.random.default_rng(batch).normal(0.3, 0.1, (batch, BANDS, SIDE, SIDE)).astype(np.float32)
    expected = open_engine(run).probabilities(patches)
    found = FORMATS[form](run.with_name("export"))(patches)
    assert found.shape == (batch, CLASSES) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIMIT)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01 or batch == 1, "a network that answers all the same proves nothing"


@pytest.mark.parametrize("engine", ["torch", "onnx", "int8"])
def test_every_engine_knows_its_bands_and_classes(engine: str, run: Path) -> None:
    opened = open_engine(run.with_name("export"), engine)
    assert opened.task == TASK
    patches = np.full((2, BANDS, SIDE, SIDE), 0.3, np.float32)
    assert np.allclose(opened.probabilities(patches).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_an_onnx_file_says_what_it_takes_and_gives(name: str, run: Path) -> None:
    model = onnx.load(run.with_name("export") / name)
    onnx.checker.check_model(model, full_check=True)
    says = {entry.key: json.loads(entry.value) for entry in model.metadata_props if entry.key != "scaling"}
    assert says["bands"] == list(TASK.bands) and says["classes"] == list(TASK.classes)
    assert (says["patch_px"], says["lcz"]) == (SIDE, False)
    assert says["normalisation"]["std"] == pytest.approx([0.1, 0.11, 0.12, 0.13])
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    depthwise = [node for node in model.graph.node for a in node.attribute if a.name == "group" and a.i > 1]
    assert bool(depthwise) != run.parent.name.startswith("resnet8")
    assert b"/work" not in model.SerializeToString() and str(Path.home()).encode() not in model.SerializeToString()


def test_the_folder_stands_alone(run: Path) -> None:
    export = run.with_name("export")
    manifest = Manifest.read(export)
    assert {file.name for file in export.iterdir()} == {*manifest.files, NAME}
    assert set(known_files()) - set(manifest.files) == ({GENOTYPE} if run.parent.name.startswith("resnet8") else set())
    for name in manifest.files:
        assert manifest.content(export, name) == (export / name).read_bytes()
    parity = json.loads((export / "parity.json").read_text())
    assert parity["rows"] == {"part": "test", "n": PATCHES // 4}
    assert all(found["largest_difference"] <= LIMIT for name, found in parity["files"].items() if "int8" not in name)
    int8 = parity["int8"]
    assert int8["calibrated_on"]["part"] == "train" and int8["chosen_on"]["part"] == "validation"
    kept = min(int8["tried"], key=lambda method: int8["tried"][method]["mean_difference"])
    assert int8["method"] == kept
    assert 0 < parity["files"]["model.int8.onnx"]["mean_difference"] < 0.05


def test_calibration_and_choice_share_no_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compactnas.data import open_dataset
    from compactnas.exporting import checking
    from compactnas.runs.folder import load, read_config

    run = write_run(tmp_path / "run", SPECS["resnet8"])
    data = open_dataset(read_config(run).data)
    data = replace(data, parts=data.parts | {"validation": data.parts["validation"][:0]})
    seen: list[set[int]] = []

    def quantised(content: bytes, method: str, source: object, rows: np.ndarray) -> bytes:
        seen.append(set(rows.tolist()))
        return b""

    def compared(self: object, asked: dict[str, object], source: object, rows: np.ndarray) -> dict[str, object]:
        seen.append(set(rows.tolist()))
        nothing = checking.FileAgreement(0.0, 0.0, 1.0, 1.0)
        return dict.fromkeys((*asked, checking.NETWORK), nothing)

    monkeypatch.setattr(checking, "quantised", quantised)
    monkeypatch.setattr(checking.Checking, "_compared", compared)
    monkeypatch.setattr(checking.Checking, "_onnx", lambda self, content: None)
    (tmp_path / "model.onnx").write_bytes(b"")
    made = checking.Checking(tmp_path, load(run), TASK, lambda done, total: None)._quantised(data, seed=0)[1]
    ranges, chosen = seen[0], seen[-1]
    assert made.chosen_on.part == "train" and ranges and chosen and not ranges & chosen
    assert ranges | chosen <= set(data.parts["train"].tolist())


def test_a_difference_stops_the_export_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from compactnas.exporting.formats import onnx as onnx_format

    run = write_run(tmp_path / "run", SPECS["resnet8"])
    honest = onnx_format.onnx_bytes

    def wrong(*given: object) -> bytes:
        model = onnx.load_model_from_string(honest(*given))
        bias = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [CLASSES])
        bias.raw_data = (onnx.numpy_helper.to_array(bias) + np.array([0.01, 0, 0], np.float32)).tobytes()
        return model.SerializeToString()

    monkeypatch.setattr(onnx_format, "onnx_bytes", wrong)
    monkeypatch.setattr("compactnas.exporting.checking.METHODS", ("MinMax",))
    said = refused(tmp_path, capsys, "export", str(run), "--output", str(tmp_path / "export"))
    assert "model.onnx: its probabilities differ from the network's by up to 0.00" in said


KILLED = """
import os, signal, sys
from compactnas.cli import main
from compactnas.exporting import writing
writing.write_card = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def test_a_killed_export_is_cleared_away_by_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", SPECS["resnet8"])
    words, before = (
        ["export", str(run), "--output", str(tmp_path / "export"), "--without-data"],
        set(tmp_path.iterdir()),
    )
    assert finish(["-c", KILLED, *words], check=False).returncode == -signal.SIGKILL
    left = tmp_path / ".export.part"
    assert set(tmp_path.iterdir()) == before | {left} and (left / "whole" / "model.onnx").exists()
    (left / "whole" / "older.bin").write_bytes(b"of an older version")
    with sole_writer(left):  # as a second export that is at work
        code = finish(["-m", "compactnas", *words], check=False)
        assert code.returncode == 2 and "another folder" in code.stderr and len(code.stderr.splitlines()) == 1
        assert (left / "whole" / "older.bin").exists()
    assert main(words) == 0
    assert set(tmp_path.iterdir()) == before | {tmp_path / "export"}
    assert {file.name for file in (tmp_path / "export").iterdir()} == {*Manifest.read(tmp_path / "export").files, NAME}


def test_an_answer_that_is_no_number_is_no_agreement() -> None:
    from compactnas.exporting.parity import FileAgreement, require_parity

    with pytest.raises(UserError, match=r"model\.onnx"):
        require_parity({"model.onnx": FileAgreement(float("nan"), 0.0, 1.0, None)}, {"model.onnx": LIMIT})


def test_without_data_the_card_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", SPECS["resnet8"])
    (tmp_path / "run.npz").rename(tmp_path / "moved.npz")
    said = refused(tmp_path, capsys, "export", str(run), "--output", str(tmp_path / "export"))
    assert "--data.path" in said and "--without-data" in said
    assert main(["export", str(run), "--output", str(tmp_path / "export"), "--without-data"]) == 0
    assert not (tmp_path / "export" / "model.int8.onnx").exists()
    assert "no accuracy and no 8-bit file" in (tmp_path / "export" / "README.md").read_text()
    with pytest.raises(UserError, match=r"this export has no model\.int8\.onnx"):
        open_engine(tmp_path / "export", "int8")
    words = ["--output", str(tmp_path / "other"), "--data.path", str(tmp_path / "moved.npz"), "--json"]
    capsys.readouterr()
    assert main(["export", str(run), *words]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["n"] == PATCHES // 4


HOSTILE = (
    "</td><script>alert(1)</script>",
    "a | b\n---\n# [link](https://evil.example) ![x](https://evil.example/x.png)",
    "`code` **bold** {{ 7 * 7 }} {% raw %} \x1b[2J \u202e www.evil.example ---",
)


def test_names_from_outside_do_nothing_in_the_card(tmp_path: Path) -> None:
    task = replace(TASK, classes=HOSTILE, bands=("B02", "--- {{ 1/0 }}", "<b>", "|"))
    run = write_run(tmp_path / "run", SPECS["resnet8"], task)
    assert main(["export", str(run), "--output", str(tmp_path / "export"), "--without-data"]) == 0
    text = (tmp_path / "export" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "compactnas"
    places = [line.replace("\\|", "") for line in body.splitlines() if line.startswith(("| 0 |", "| 1 |", "| 2 |"))]
    assert [line.count("|") for line in places] == [5, 5, 5, 3, 3, 3]
    for harm in ("<script", "](", "\x1b", "\u202e", "**bold", "\n# [", "www.evil", "https:", "\n---\n#"):
        assert harm not in body, harm
    assert open_engine(tmp_path / "export", "onnx").task.classes == HOSTILE
    item = json.loads((tmp_path / "export" / "item.json").read_text())
    for entry in item["properties"]["mlm:output"][0]["classification:classes"]:
        assert entry["name"].replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named_with_its_command(
    module: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("compactnas.io.extras.find_spec", lambda name: None if name == module else found(name))
    run = write_run(tmp_path / "run", SPECS["resnet8"])
    said = refused(tmp_path, capsys, "export", str(run), "--output", str(tmp_path / "export"))
    assert f"{module}: not installed; install with pip install 'compactnas[export]'" in said
    assert "compactnas[export]" in refused(tmp_path, capsys, "bench", str(small))


def test_auto_falls_back_to_torch(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.exporting.engines.find_spec", lambda name: None)
    assert type(open_engine(small)).__name__ == "TorchEngine"


def test_mistakes_are_one_line(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", SPECS["resnet8"])
    assert "name one with --output" in refused(tmp_path, capsys, "export", str(run))
    assert "exists already" in refused(tmp_path, capsys, "export", str(run), "--output", str(small))
    assert "No such file" in refused(
        tmp_path, capsys, "export", str(tmp_path / "none"), "--output", str(tmp_path / "x")
    )
    assert "rounds: 0 is less than 1" in refused(tmp_path, capsys, "bench", str(small), "--rounds", "0")
    with pytest.raises(UserError, match="needs an export"):
        open_engine(run, "onnx")
    assert "no such file" in refused(tmp_path, capsys, "bench", str(tmp_path)).lower()


def test_an_export_can_be_adopted_as_if_it_were_anybodys(small: Path, tmp_path: Path) -> None:
    """Torch's newer exporter has written it."""
    words = ["--bands", "a,b,c,d", "--classes", "x,y,z", "--scale", "1"]
    assert main(["adopt", str(small / "model.onnx"), "-o", str(tmp_path / "theirs"), *words]) == 0
    patches = np.random.default_rng(0).uniform(0, 0.5, (9, 4, SIDE, SIDE)).astype(np.float32)
    adopted, opened = (open_engine(folder) for folder in (tmp_path / "theirs", small))
    assert np.abs(adopted.probabilities(patches) - opened.probabilities(patches)).max() < 1e-6


def test_a_run_of_an_older_version_takes_names_from_its_data(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SPECS["resnet8"])
    (run / "task.json").unlink()
    opened = open_engine(run)
    assert (opened.task.bands, opened.task.classes) == (("band1", "band2", "band3", "band4"), ("0", "1", "2"))
    (tmp_path / "run.npz").unlink()
    with pytest.raises(UserError, match=r"saved no class names, and its data cannot be read"):
        open_engine(run)


def test_bench_measures_all_beside_resnets(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # ResNet-32 and ResNet-110 take long to convert.
    monkeypatch.setattr("compactnas.exporting.bench.BESIDE", ("resnet8", "resnet20"))
    words = ["--rounds", "1", "--seconds", "0", "--threads", "1", "--output", str(tmp_path / "bench.json")]
    assert main(["bench", str(small), *words]) == 0
    table = capsys.readouterr().out
    found = json.loads((tmp_path / "bench.json").read_text())
    networks = {timing["network"] for timing in found["timings"]}
    assert networks == {"model.onnx", "model.int8.onnx", "model.safetensors", "resnet8", "resnet20"}
    assert {timing["batch"] for timing in found["timings"]} == {1, 256}
    for timing in found["timings"]:
        assert timing["network"] in table
        assert 0 < timing["median_ms"] <= timing["p90_ms"]
        assert timing["patches_per_s"] == pytest.approx(1000 * timing["batch"] / timing["median_ms"])
        assert timing["peak_mb"] > 10 or sys.platform != "linux"
    cpu_ms = {(timing["network"], timing["batch"]): timing["cpu_ms"] for timing in found["timings"]}
    assert cpu_ms["resnet20", 256] > 2 * cpu_ms["resnet8", 256]


def test_the_page_runs_from_top_to_bottom(
    small: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "docs" / "export.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    copied(small, tmp_path / "lcz")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile("\n".join(blocks), "docs/export.md", "exec"), names)  # our own page
    assert float((names["same"] - torch.from_numpy(names["probabilities"])).abs().max()) <= LIMIT  # type: ignore[operator,arg-type]
