"""The command line: frozen options, one line for every mistake, and a whole run by its words."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from dataclasses import asdict, replace
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import yaml
from support.tiny import tiny_config, write_patches

from compactnas.cli import COMMANDS, main
from compactnas.cli.options import Parser, differences, open_data, parse
from compactnas.config import RECIPES, RunConfig
from compactnas.space.genotype import Genotype

TINY = (
    "--machine.device cpu --machine.threads 1 --space.channels 4 --space.max_depth 2 --search.initial_depth 2 "
    "--search.epochs 2 --search.batch_size 16 --train.epochs 2 --train.batch_size 16 --train.learning_rate 0.05"
).split()


def parser_of(command: str) -> Parser:
    build = import_module(f"compactnas.cli.commands.{COMMANDS[command][1]}").build
    made: Parser = build("paper") if signature(build).parameters else build()
    return made


def frozen_options() -> str:
    """Every option of every command, one a line."""
    lines = []
    for command in COMMANDS:
        parser = parser_of(command)
        options = {option for action in parser._actions for option in action.option_strings} | set(parser.aliases)
        positional = [action.dest for action in parser._actions if not action.option_strings]
        lines += [f"{command} {name}" for name in [*positional, *sorted(options)]]
    return "\n".join(lines) + "\n"


def test_options_are_frozen(repository: Path) -> None:
    """Scripts of users stand on these names: change them on purpose, by `python tests/cli/test_cli.py`."""
    assert frozen_options() == (repository / "tests" / "cli" / "options.txt").read_text()


def commands_of(text: str) -> list[str]:
    """Lines of a document's shell blocks that call the command line, continued lines joined."""
    blocks = re.findall(r"```(?:bash|console)\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ").split("#")[0].strip() for line in lines if re.match(r"(\$ )?compactnas \w", line)]


def test_commands_in_the_documents_have_options_that_exist(repository: Path) -> None:
    found = 0
    for file in [repository / "README.md", *(repository / "docs").glob("*.md")]:
        for line in commands_of(file.read_text()):
            words = shlex.split(line)[1:]
            parser = parser_of(words[0])
            parser.parse_args([word for word in parser.words(words[1:]) if word != "--help"])
            found += 1
    assert found >= 5


def test_help_is_quick_and_loads_no_torch() -> None:
    code = "import sys; from compactnas.cli import main; main(['--help']); print(sorted(sys.modules))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert not [name for name in ("torch", "jsonargparse", "numpy") if f"'{name}'" in said]
    for command in COMMANDS:
        assert f"\n  {command} " in said
    # Processor time, since a busy machine says nothing of the program.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_parsing_a_run_loads_no_torch() -> None:
    code = (
        "import sys\nfrom compactnas.cli import main\n"
        "assert main(['run', '--output', 'x', '--search.epochs', 'many']) == 2\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_each_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: compactnas {command} ")
    for action in parser_of(command)._actions:
        assert action.help, (command, action.option_strings)


MISTAKES = [
    ("serch", "unknown command 'serch'; did you mean `search`?"),
    ("frobnicate", "`compactnas --help` lists the commands"),
    ("search --serch.epochs 3", "unknown option --serch.epochs; did you mean --search.epochs?"),
    ("search --search.epochs x", "--search.epochs: expected a whole number; found x"),
    ("search --search.epochs 0 --output DIR", "search.epochs: 0 is less than 1"),
    ("search --search.epochs", "expected one argument"),
    ("search --max-steps", "expected one argument"),
    ("search --search 5", "--search:"),
    (
        "search --data.format tiff",
        "--data.format: use one of 'auto', 'so2sat', 'npz', 'folder', 'scene', 'packed'; found tiff",
    ),
    ("search --recipe grand", "--recipe: use one of 'paper', 'quick', 'smoke'; found grand"),
    ("search --config none.yaml", "File does not exist"),
    ("search --config BROKEN", "not YAML"),
    ("search --config UNKNOWN", "does not accept option 'epocs'"),
    ("search --config SEQUENCE", "not a mapping of names to values"),
    ("search --data.path x.npz", "name one with --output"),
    ("search --output DIR", "data.path: is not set"),
    ("run --output DIR --data.path nothing.npz", "nothing"),
    ("run --output DIR surplus", "unknown option surplus"),
    ("run --output DIR --seed -1", "seed: -1 is negative"),
    ("run --output DIR --space.layout cube", "space.layout: 'cube' is unknown"),
    ("train --output DIR", "--model: no model is named"),
    ("train --output DIR --model resnet9", "--model: 'resnet9' is unknown; use one of resnet8"),
    ("train --output DIR --model random --data.path PATCHES", "`random` needs"),
    ("evaluate", "required: run"),
    ("evaluate nothing", "nothing/config.yaml: No such file"),
    ("evaluate nothing --part some", "--part: use one of 'train', 'validation', 'test'; found some"),
    ("predict nothing --output x.csv", "nothing/config.yaml: No such file"),
    ("report nothing", "nothing"),
    ("cost", "--model: no model is named"),
    ("cost --model resnet8 --bands 0", "bands = 0 is outside"),
    ("cost --model BROKEN", "not JSON"),
    ("synth", "name one with --output"),
    ("synth --output DIR --cities 0", "cities: 0 is less than 1"),
    ("demo --output FULL", "is there already"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"BROKEN": "search: [\n", "UNKNOWN": "search:\n  epocs: 3\n", "SEQUENCE": "- search\n"}
    places = {name: tmp_path / f"{name.lower()}.yaml" for name in texts} | {"DIR": tmp_path / "new", "FULL": tmp_path}
    for name, text in texts.items():
        places[name].write_text(text)
    places["PATCHES"] = write_patches(tmp_path / "patches.npz")
    assert main([str(places.get(word, word)) for word in line.split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert said in output.err
    assert output.err.startswith("compactnas: error: ")
    assert len(output.err.splitlines()) == 1, output.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "run/x.pt"),
            "run/x.pt: no space left on device; free some",
            2,
        ),
        (RuntimeError("write failed: No space left on device"), "no space left on device; free some", 2),
        (PermissionError(errno.EACCES, "Permission denied", "/run"), "/run: permission denied; name a folder", 2),
        (OSError(errno.EROFS, "Read-only file system", "/run"), "/run: read-only file system; name a folder", 2),
        (MemoryError(), "out of memory; lower the batch size", 2),
        (KeyboardInterrupt(), "compactnas: interrupted; go on with --resume", 130),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    error: BaseException, said: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr("compactnas.cli.commands.run.main", fail)
    assert main(["run"]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert len(output.err.splitlines()) == 1


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("compactnas.cli.commands.run.main", fail)
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def build_run(recipe: str) -> Parser:
    made: Parser = import_module("compactnas.cli.commands.run").build(recipe)
    return made


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_gives_the_defaults_and_is_printed_where_it_differs(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_patches(tmp_path / "patches.npz")
    _, config = parse(build_run, ["--recipe", recipe, "--output", "x", "--data.path", str(data)])
    assert config == replace(RECIPES[recipe](), data=config.data)
    open_data(config, recipe)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"recipe {recipe}: {line}" for line in differences(recipe)]
    assert (recipe == "paper") == (not lines)
    if recipe == "quick":
        assert "recipe quick: search.epochs: 25 (paper: 105)" in lines


def test_a_printed_config_gives_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--recipe",
        "smoke",
        "--output",
        "x",
        "--data.bands",
        "B02,B03",
        "--search.batch-size",
        "7",
        "--max-steps",
        "4",
    ]
    with pytest.raises(SystemExit):
        main(["run", *words, "--print-config"])
    file = tmp_path / "config.yaml"
    file.write_text(capsys.readouterr().out)
    _, config = parse(build_run, ["--config", str(file)])
    assert config == parse(build_run, build_run("paper").words(words))[1]
    assert config.data.bands == ("B02", "B03")
    assert (config.search.batch_size, config.search.max_steps, config.train.max_steps) == (7, 4, 4)
    assert config.space == RECIPES["smoke"]().space


def test_words_given_later_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("search:\n  epochs: 9\n  batch_size: 9\n")
    _, config = parse(build_run, ["--output", "x", "--config", str(file), "--search.epochs", "4"])
    assert (config.search.epochs, config.search.batch_size, config.train) == (4, 9, RunConfig().train)


def test_cost_prints_the_papers_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--model", "resnet8", "--bands", "10", "--classes", "17"]) == 0
    assert "0.0793 M parameters, 13.53 M MACs" in capsys.readouterr().out
    # Row S of the paper: 4 units of 3x3 and 2 of 5x5, depth 3 in each block.
    nodes = ((("sep_conv_3x3", 0),), (("sep_conv_3x3", 0), ("sep_conv_5x5", 1)), (("skip_connect", 0),))
    file = tmp_path / "genotype.json"
    file.write_text(Genotype(nodes, (3, 3, 3)).to_json())
    assert main(["cost", "--model", str(file)]) == 0
    assert "0.2045 M parameters, 30.369 M MACs" in capsys.readouterr().out
    assert main(["cost", "--model", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bands"], found["classes"], found["patch_px"]) == (10, 17, 32)
    assert round(found["macs"] / 1e6, 3) == 30.369
    assert "multiply-accumulates" in found["convention"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run by its words; its data lies beside it."""
    home = tmp_path_factory.mktemp("cli")
    data = write_patches(home / "patches.npz")
    assert main(["run", "--data.path", str(data), "--output", str(home / "run"), *TINY]) == 0
    return home / "run"


def test_a_run_leaves_all_files_and_its_config(finished: Path) -> None:
    names = "environment.json genotype.json model.json model.safetensors evaluation.json report.html splits.npz"
    for name in names.split():
        assert (finished / name).stat().st_size > 0, name
    config = tiny_config(finished.parent / "patches.npz", search={"alpha_learning_rate": 3e-4})
    assert yaml.safe_load((finished / "config.yaml").read_text()) == json.loads(json.dumps(asdict(config)))


def test_a_finished_run_resumes_to_the_same_and_refuses_another_config(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {
        name: (finished / name).read_bytes() for name in ("genotype.json", "model.safetensors", "evaluation.json")
    }
    assert main(["run", "--output", str(finished), "--resume"]) == 0  # all options come from the run's own config
    assert {name: (finished / name).read_bytes() for name in before} == before
    capsys.readouterr()
    assert main(["run", "--output", str(finished), "--resume", "--search.epochs", "3"]) == 2
    assert "search.epochs" in capsys.readouterr().err
    assert main(["run", "--output", str(finished), "--data.path", str(finished.parent / "patches.npz"), *TINY]) == 2
    assert "--resume" in capsys.readouterr().err


def test_what_stands_on_a_run(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(finished), "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert (evaluation["part"], evaluation["n"]) == ("test", 24)
    assert main(["evaluate", str(finished)]) == 0
    table = capsys.readouterr().out
    assert f"{100 * evaluation['measures']['oa']:.2f}" in table
    assert f"{evaluation['parameters'] / 1e6:.4f}" in table
    file = tmp_path / "classes.csv"
    assert main(["predict", str(finished), "--output", str(file), "--part", "test"]) == 0
    lines = file.read_text().splitlines()
    assert lines[0] == "row,key,class,name,probability"
    labels = [int(line.split(",")[0]) % 3 for line in lines[1:]]
    right = sum(int(line.split(",")[2]) == label for line, label in zip(lines[1:], labels, strict=True))
    assert right / 24 == pytest.approx(evaluation["measures"]["oa"])
    assert main(["report", str(finished), "--output", str(tmp_path / "page.html"), "--title", "Two <b>"]) == 0
    assert "Two &lt;b&gt;" in (tmp_path / "page.html").read_text()
    assert main(["cost", "--model", str(finished), "--bands", "4", "--classes", "3", "--patch-px", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["macs"] == evaluation["macs"]


def test_other_data_for_a_run_must_fit_it(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(finished), "--data.bands", "0,1"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    other = write_patches(tmp_path / "other.npz", patches=48)
    assert main(["evaluate", str(finished), "--data.path", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 12


@pytest.mark.parametrize("model", ["resnet8", "random"])
def test_baselines_train_by_the_same_words(
    model: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(finished.parent / "patches.npz")
    words = ["train", "--model", model, "--like", str(finished), "--data.path", data, "--output", str(tmp_path / "run")]
    assert main([*words, *TINY]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["n"] == 24


def test_max_steps_says_what_the_whole_would_take(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "--data.path", str(finished.parent / "patches.npz"), "--output", str(tmp_path / "run"), *TINY]
    assert main([*words, "--search.batch_size", "4", "--max-steps", "3"]) == 0
    said = capsys.readouterr().err
    assert "stopped after 3 steps" in said
    assert "GiB of memory" in said


def test_a_demo_compares_three_networks_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from compactnas.cli import demo
    from compactnas.synthetic.plan import SMALLEST_PX

    def small(world: Path, seed: int) -> RunConfig:
        return tiny_config(world, search={"epochs": 1, "batch_size": 8}, train={"epochs": 1}, seed=seed)

    for name, value in {"CITIES": 1, "TEST_CITIES": 1, "PATCHES": 34, "SCENE_PX": SMALLEST_PX}.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "demo_config", small)
    words = ["demo", "--output", str(tmp_path / "demo")]
    assert main(words) == 0
    first = capsys.readouterr()
    for name in ("found (S+C+D)", "random cell", "ResNet-8"):
        assert name in first.out
    assert "test part, 34 patches" in first.out
    assert (tmp_path / "demo" / "report.html").read_text().count("<svg") > 3
    assert main(words) == 2
    made = (tmp_path / "demo" / "world" / "training.h5").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == first.out.splitlines()[:-1]  # the last line has the time
    assert (tmp_path / "demo" / "world" / "training.h5").stat().st_mtime_ns == made


def test_a_pipe_that_closes_is_no_traceback(finished: Path) -> None:
    command = f'"{sys.executable}" -m compactnas run --print-config | true'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=os.environ, check=False)
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    (Path(__file__).parent / "options.txt").write_text(frozen_options())
