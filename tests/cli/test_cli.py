"""The command line: frozen options, one line for every mistake, and a whole run by its words."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from argparse import SUPPRESS
from dataclasses import asdict, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does this itself; the command that writes options does not
from support.forking import run_file
from support.tiny import tiny_config, write_patches

from compactnas.cli import main
from compactnas.cli.command import COMMANDS, GROUPS
from compactnas.cli.help import TEXTS, spellings
from compactnas.cli.options import differences, open_data, parse
from compactnas.cli.parser import Parser
from compactnas.config import DATA_FORMATS, RECIPES, RunConfig
from compactnas.errors import UserError
from compactnas.space.genotype import Genotype

TINY_TRAIN = (
    "--machine.device cpu --machine.threads 1 --train.epochs 2 --train.batch_size 16 --train.learning_rate 0.05"
).split()
TINY = [
    *TINY_TRAIN,
    *"--space.channels 4 --space.max_depth 2 --search.initial_depth 2 --search.epochs 2 --search.batch_size 16".split(),
]


def frozen_options() -> str:
    """Every option of every command, one a line."""
    lines = []
    for name, command in COMMANDS.items():
        parser = command.build()
        shown = [action for action in parser._actions if action.help != SUPPRESS]
        options = {option for action in shown for option in spellings(action) if action.option_strings}
        positional = [action.dest for action in parser._actions if not action.option_strings]
        lines += [
            f"{name} {option}"
            for option in [*positional, *sorted(options | set(parser.aliases) - set(parser.only_in_files))]
        ]
    return "\n".join(lines) + "\n"


def test_options_are_frozen(repository: Path) -> None:
    """Scripts of users stand on these names: change them on purpose, by `python tests/cli/test_cli.py`."""
    assert frozen_options() == (repository / "tests" / "cli" / "options.txt").read_text()


def test_the_command_that_writes_the_options_finds_its_helpers() -> None:
    run_file(__file__, "options")


def commands_of(text: str) -> list[str]:
    """Lines of a document's shell blocks that call the command line, continued lines joined."""
    blocks = re.findall(r"```(?:bash|console)\n(.*?)```", text, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        line.removeprefix("$ ").split("#")[0].strip() for line in lines if re.match(r"(\$ )?compactnas [\w-]", line)
    ]


@cache
def parser_of(command: str) -> Parser:
    """Parser of a command, built once for all lines of the documents."""
    return COMMANDS[command].build()


def check_words(line: str) -> None:
    """Parse a command line of a document."""
    words = [word for word in shlex.split(line.split("|")[0])[1:] if word not in ("-h", "--help", "help")]
    if words and words[0] != "--version":
        parser = parser_of(words[0])
        if rest := [word for word in parser.words(words[1:]) if word != "--help-all"]:
            parser.parse_args(rest)


def test_commands_in_the_documents_have_options_that_exist(repository: Path) -> None:
    """No document's block is skipped: each line that starts with the command's name is parsed."""
    documents = [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]
    lines = [(file, line) for file in documents for line in commands_of(file.read_text())]
    call = re.compile(rf"^(?:\$ )?compactnas (?:{'|'.join([*COMMANDS, 'help', '-'])})", re.MULTILINE)
    assert len(lines) == sum(len(call.findall(file.read_text())) for file in documents)
    for file, line in lines:
        try:
            check_words(line)
        except (UserError, KeyError) as error:
            pytest.fail(f"{file.name}: {line}: {error}")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_three_examples_that_parse(name: str) -> None:
    command = COMMANDS[name]
    assert len(command.examples) == 3 and len(set(command.examples)) == 3
    for line in command.examples:
        assert line.split()[:2][-1] == name or line == f"compactnas {name}"
        check_words(line)


def test_the_overview_lists_each_command_once_under_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    blocks = capsys.readouterr().out.split("\n\n")
    listed = {
        block.splitlines()[0].rstrip(":"): [line.split()[0] for line in block.splitlines()[1:]] for block in blocks
    }
    groups = dict.fromkeys([*GROUPS, *(command.group for command in COMMANDS.values())])
    assert [title for title in listed if title in groups] == list(groups)  # a group that is not in GROUPS comes last
    for group in groups:
        assert listed[group] == [name for name, command in COMMANDS.items() if command.group == group]


def test_the_overview_has_room_for_long_names_and_groups_of_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = replace(COMMANDS["show"], group="Others", summary="Do more.")
    monkeypatch.setitem(COMMANDS._entries, "a_command_of_a_long_name", command)
    assert main(["--help"]) == 0
    assert "Others:\n  a_command_of_a_long_name  Do more.\n" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["train --help", "train -h", "help train", "-h train", "--help train"])
def test_help_of_a_command_is_the_same_however_it_is_asked_for(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said == COMMANDS["train"].build().format_help()
    assert "\nCommon options:\n" in said and "\nExamples:\n" in said


@pytest.mark.parametrize("command", ["run", "search", "train"])
def test_help_shows_common_options_and_help_all_shows_every_one(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = COMMANDS[command].build()
    shown = [action for action in parser._actions if action.option_strings and parser.is_common(action)]
    names = {name for action in parser._actions for name in spellings(action)}
    assert len(shown) <= 20 and parser.common <= names
    everything = [action for action in parser._actions if action.help != SUPPRESS]
    for option, wanted in (("--help", shown), ("--help-all", everything)):
        with pytest.raises(SystemExit):
            main([command, option])
        said = capsys.readouterr().out
        assert not re.search(r"Literal|<class|type:|--[\w.-]*_|, default", said)
        for action in parser._actions:
            label = f"\n  {', '.join(spellings(action))}"
            assert (f"{label} " in said or f"{label}\n" in said) == (action in wanted), (option, label)
    titles = re.findall(r"^([A-Z][\w ]+):$", said, flags=re.MULTILINE)
    groups = ["Data", "Search space", *["Search"] * (command != "train"), "Training", "Compute"]
    assert titles == ["Common options", "Other options", *groups, "Examples"]
    assert "  -o, --output PATH       Folder of the run. [required]\n" in said


def test_defaults_in_the_help_are_those_of_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["search", "--recipe", "quick", "--help"])
    assert re.search(r"--search\.epochs N [^\[]*\[default: 25\]", capsys.readouterr().out)


def test_options_that_are_on_or_off_are_flags(tmp_path: Path) -> None:
    words = ["-o", "x", "--search.no-nesterov", "--machine.data-on-device", "--search.complexity=false"]
    _, config = parse(build_run, words)
    assert (config.search.nesterov, config.machine.data_on_device, config.search.complexity) == (False, True, False)
    file = tmp_path / "config.yaml"
    file.write_text("search: {nesterov: false}\n")
    _, config = parse(build_run, ["-o", "x", "--config", str(file)])
    assert not config.search.nesterov
    _, config = parse(build_run, ["-o", "x", "--config", str(file), "--search.nesterov"])
    assert config.search.nesterov


def test_dashes_and_underscores_name_the_same_option() -> None:
    for word in ("--search.gradient-clip", "--search.gradient_clip"):
        assert parse(build_run, ["-o", "x", word, "2"])[1].search.gradient_clip == 2
    assert parse(build_run, ["-o", "x", "--threads", "3"])[1].machine.threads == 3


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
    """Every option has a text, which is a sentence."""
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: compactnas {command} ")
    for action in COMMANDS[command].build()._actions:
        if action.help == SUPPRESS:
            continue
        text = TEXTS.get(action.dest, action.help or "")
        assert text.endswith("."), (command, action.option_strings, text)
        assert text[0].isupper() or text[0] == "`", (command, action.option_strings, text)


LONG = "a" * 300
"""A name that no system takes."""

MISTAKES = [
    ("serch", "unknown command 'serch'; did you mean `search`?"),
    ("frobnicate", "`compactnas --help` lists the commands"),
    ("search --serch.epochs 3", "unknown option --serch.epochs; did you mean --search.epochs?"),
    ("search --search.epochs x", "--search.epochs: expected a whole number; found x"),
    ("search --search.gradient_clip x", "--search.gradient-clip: expected a number; found x"),
    ("search --serch.gradient_clip 3", "did you mean --search.gradient-clip?"),
    ("search --search.nesterov false", "takes no value; write --search.nesterov or --search.no-nesterov"),
    ("map RUN SCENE --no-lonlat=true", "--no-lonlat: takes no value; write --lonlat or --no-lonlat"),
    ("search --search.epochs 0 --output DIR", "error: --search.epochs: 0 is less than 1"),
    ("search --search.epochs", "--search.epochs: needs a value"),
    ("search --max-steps", "--max-steps: needs a value"),
    ("search --search 5", "--search:"),
    (
        "search --data.format tiff",
        "--data.format: unknown data format 'tiff'; use one of " + ", ".join(DATA_FORMATS),
    ),
    ("search --recipe grand", "--recipe: use one of 'paper', 'quick', 'smoke'; found grand"),
    ("search --config none.yaml", "File does not exist"),
    (f"search --config {LONG}", "File does not exist"),
    (f"search --data.path {LONG} --output DIR", f"--data.path: {LONG} does not exist; check the spelling"),
    (f"train --model {LONG} --output DIR", f"--model: '{LONG}' is unknown"),
    (f"evaluate {LONG}", "file name too long; give a shorter path"),
    ("search --config BROKEN", "not YAML"),
    ("search --config UNKNOWN", "unknown.yaml: search.epocs: unknown key; did you mean search.epochs?"),
    ("search --config MISPLACED", "misplaced.yaml: epochs: unknown key; did you mean search.epochs or train.epochs?"),
    ("search --config SERACH", "serach.yaml: serach: unknown key; did you mean search?"),
    ("search --config EMPTY", "empty.yaml: search.learning_rate: has no value; give one, or leave the key out"),
    ("search --search OTHER", "other.yaml: epoch: unknown key; did you mean epochs?"),
    ("search --config WRONG", "search.gradient_clip in WRONG: expected a number; found x"),
    ("search --output DIR --config ZERO", "search.batch_size in ZERO: 1 is less than 2"),
    ("search --output DIR --machine THREADS", "machine.threads in THREADS: -1"),
    (
        "search --search.normalized-operations max_pool_3x3,pool --output DIR",
        "unknown operation 'pool'",
    ),
    ("search --config SEQUENCE", "not a mapping of names to values"),
    ("search --data.path x.npz", "name one with --output"),
    ("search --output DIR", "data.path: is not set"),
    ("run --output DIR --data.path nothing.npz", "nothing"),
    ("run --output DIR surplus", "unknown option surplus"),
    ("run --output DIR --seed -1", "--seed: -1 is negative"),
    ("run --output DIR --space.layout cube", "space.layout: 'cube' is unknown"),
    ("train --output DIR", "--model: no model is named"),
    ("train --output DIR --model resnet9", "--model: 'resnet9' is unknown; use one of resnet8"),
    ("train --output DIR --model random --data.path PATCHES", "`random` needs"),
    ("evaluate", "missing RUN"),
    ("evaluate nothing", "nothing/config.yaml: No such file"),
    ("evaluate nothing --part some", "--part: use one of 'train', 'validation', 'test'; found some"),
    ("predict nothing --output x.csv", "nothing/config.yaml: No such file"),
    ("report nothing", "nothing"),
    ("cost", "--model: no model is named"),
    ("cost --model resnet8 --bands 0", "bands = 0 is outside"),
    ("cost --model BROKEN", "not JSON"),
    ("synth", "name one with --output"),
    ("synth --output DIR --cities 0", "cities: 0 is less than 1"),
    ("demo --output FULL", "exists already"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        "BROKEN": "search: [\n",
        "UNKNOWN": "search:\n  epocs: 3\n",
        "MISPLACED": "epochs: 3\n",
        "SERACH": "serach: {epochs: 3}\n",
        "EMPTY": "search:\n  epochs: 3\n  learning_rate:\n",
        "OTHER": "epoch: 3\n",
        "WRONG": "search: {gradient_clip: x}\n",
        "ZERO": "search: {batch_size: 1}\n",
        "THREADS": "threads: -1\n",
        "SEQUENCE": "- search\n",
    }
    places = {name: tmp_path / f"{name.lower()}.yaml" for name in texts} | {"DIR": tmp_path / "new", "FULL": tmp_path}
    for name, text in texts.items():
        places[name].write_text(text)
    places["PATCHES"] = write_patches(tmp_path / "patches.npz")
    assert main([str(places.get(word, word)) for word in line.split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    for name in ("WRONG", "ZERO", "THREADS"):
        said = said.replace(name, str(places[name]))
    assert said in output.err
    assert output.err.startswith("compactnas: error: ")
    assert len(output.err.splitlines()) == 1, output.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "run/x.pt"),
            "run/x.pt: no space left on device; free some space",
            2,
        ),
        (RuntimeError("write failed: No space left on device"), "no space left on device; free some space", 2),
        (
            PermissionError(errno.EACCES, "Permission denied", "/run"),
            "/run: permission denied; name a writable folder",
            2,
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/run"),
            "/run: read-only file system; name a writable folder",
            2,
        ),
        (MemoryError(), "out of memory; lower the batch size", 2),
        (KeyboardInterrupt(), "compactnas: interrupted; continue with --resume", 130),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    error: BaseException, said: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise error

    monkeypatch.setitem(COMMANDS._entries, "run", replace(COMMANDS["run"], run=fail))
    assert main(["run"]) == code
    output = capsys.readouterr()
    assert said in output.err
    assert len(output.err.splitlines()) == 1


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS._entries, "run", replace(COMMANDS["run"], run=fail))
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def build_run(recipe: str) -> Parser:
    return COMMANDS["run"].build(recipe)


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


@pytest.mark.parametrize("part", ["data", "space", "search", "train", "machine"])
def test_a_part_of_a_config_may_have_a_file_of_its_own(part: str, tmp_path: Path) -> None:
    changed = {
        "data": {"downsample": 2},
        "space": {"channels": 4},
        "search": {"epochs": 3},
        "train": {"epochs": 3},
        "machine": {"threads": 1},
    }[part]
    (tmp_path / "part.yaml").write_text(yaml.safe_dump(changed))
    _, config = parse(build_run, ["--output", "x", f"--{part}", str(tmp_path / "part.yaml"), "--seed", "5"])
    before = RunConfig(seed=5)
    assert config == replace(before, **{part: replace(getattr(before, part), **changed)})


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


def test_show_names_a_damaged_file(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "splits.npz").write_bytes(b"PK")
    assert main(["show", str(tmp_path / "run")]) == 2
    assert "splits.npz: not the parts of a split" in capsys.readouterr().err


def test_show_prints_what_a_run_holds(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(finished)]) == 0
    text = capsys.readouterr().out
    evaluation = json.loads((finished / "evaluation.json").read_text())
    cost = f"{evaluation['parameters'] / 1e6:.4f} M parameters, {evaluation['macs'] / 1e6:.3f} M MACs"
    for said in (
        "config: recipe ",
        "  space.channels: 4\n",
        f"data: {finished.parent / 'patches.npz'}; ",
        "test 24",
        "search: 2 of 2 epochs, finished\n",
        "train: 2 of 2 epochs, finished\n",
        "  node 1 = ",
        cost,
        f"OA {100 * evaluation['measures']['oa']:.2f} %",
        "  model.safetensors ",
    ):
        assert said in text, said
    assert main(["show", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["genotype"] == json.loads((finished / "genotype.json").read_text())
    assert found["cost"] == {key: evaluation[key] for key in ("parameters", "macs")}
    assert found["evaluation"] == evaluation
    assert found["files"]["evaluation.json"] == (finished / "evaluation.json").stat().st_size
    assert main(["show", str(finished / "genotype.json")]) == 0
    assert "  node 1 = " in capsys.readouterr().out


def test_show_names_the_state_of_an_unfinished_run(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished / "search", run / "search")
    shutil.copy(finished / "config.yaml", run)
    assert main(["show", str(run)]) == 0
    text = capsys.readouterr().out
    assert "search: 2 of 2 epochs, not finished; continue with --resume\n" in text and "train:" not in text
    shutil.copytree(finished / "train", run / "train")
    shutil.copy(finished / "model.safetensors", run)  # killed before model.json
    assert main(["show", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"]["train"]["finished"] is False
    for place, said in (("nothing", "no such folder"), ("study", "holds a study, not a run")):
        (tmp_path / "study" / "jobs").mkdir(parents=True, exist_ok=True)
        assert main(["show", str(tmp_path / place)]) == 2
        assert said in capsys.readouterr().err


def test_a_moved_run_works_or_names_the_option_for_its_data(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "elsewhere" / "run"
    shutil.copytree(finished, moved)
    assert main(["evaluate", str(moved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 24
    data = finished.parent / "patches.npz"
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace(str(data), "gone/patches.npz"))
    assert main(["evaluate", str(moved)]) == 2
    said = capsys.readouterr().err
    assert "gone/patches.npz" in said and "--data.path" in said and len(said.splitlines()) == 1
    assert main(["evaluate", str(moved), "--data.path", str(data), "--json"]) == 0
    capsys.readouterr()
    assert main(["show", str(moved)]) == 0
    assert "gone/patches.npz (not found here; if it has moved, pass --data.path)" in capsys.readouterr().out
    assert main(["report", str(moved), "-o", str(tmp_path / "page.html")]) == 0


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
    words = ["train", "--model", model, "--data.path", data, "--output", str(tmp_path / "run"), *TINY_TRAIN]
    words += ["--like", str(finished), "--space.channels", "4", "--space.max_depth", "2"] if model == "random" else []
    assert main(words) == 0
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
    from compactnas.cli.commands import demo
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
    assert "tells nothing about which" in first.out and "map.png" in first.out.splitlines()[-1]
    picture = (tmp_path / "demo" / "map.png").read_bytes()
    assert Image.open(BytesIO(picture)).width > 1000
    assert main(words) == 2
    made = (tmp_path / "demo" / "world" / "training.h5").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == first.out.splitlines()[:-1]  # the last line has the time
    assert (tmp_path / "demo" / "world" / "training.h5").stat().st_mtime_ns == made
    assert (tmp_path / "demo" / "map.png").read_bytes() == picture


def test_a_pipe_that_closes_is_no_traceback(finished: Path) -> None:
    command = f'"{sys.executable}" -m compactnas run --print-config | true'
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=os.environ, check=False)
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    (Path(__file__).parent / "options.txt").write_text(frozen_options())
