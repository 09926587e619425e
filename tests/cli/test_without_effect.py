"""Options that have no effect are refused, or named in one note; recipes and examples are quiet."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import Namespace
from support.find_files import TIMED, WORDS, write_places
from support.tiny import tiny_config, write_patches

from compactnas.cli import main
from compactnas.cli.commands.demo import demo_config
from compactnas.cli.idle_options import FIND, PARETO, RUN, SELECT, Run
from compactnas.cli.without_effect import check, note_of_run
from compactnas.config import RECIPES, RunConfig, SearchConfig, require_objective_options
from compactnas.errors import UserError
from compactnas.finding.config import FindConfig, find_recipe
from compactnas.pipeline.running import search_stage
from compactnas.search.objectives import OBJECTIVES
from compactnas.selection.config import FrontConfig, SelectConfig
from compactnas.studies import read_study

TINY = "--machine.device cpu --machine.threads 1 --train.epochs 1 --train.batch-size 16".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_patches(tmp_path_factory.mktemp("without_effect") / "patches.npz"))


def refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("compactnas: error: ") and len(error.splitlines()) == 1, error
    assert said in error


# The objective that `auto` takes

WRONG: dict[str, Any] = {
    "complexity_weight": 0.5,
    "complexity_scale": "share",
    "complexity_unit": 1e3,
    "complexity_operations": "cell",
    "complexity_probability": "gumbel",
    "complexity_depth": "sampled",
}


@pytest.mark.parametrize("option", WRONG)
def test_auto_has_the_options_of_the_objective_that_it_takes(option: str) -> None:
    search = SearchConfig(**{option: WRONG[option]})
    require_objective_options(search)
    require_objective_options(replace(search, max_macs=1e6, complexity=False))  # setting S, in a study
    require_objective_options(replace(search, max_macs=1e6, objective="complexity"))
    budgeted = replace(search, max_macs=1e6)  # `select --max-macs` makes such a config of a finished search
    with pytest.raises(UserError, match=rf"^search.{option}: augmented_lagrangian, which search.objective=auto takes"):
        require_objective_options(budgeted)
    assert option in OBJECTIVES["complexity"].options


def test_a_new_search_refuses_options_that_its_objective_does_not_have(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(Path(data), search={"max_macs": 1e6, "complexity_weight": 0.5})
    with pytest.raises(UserError, match=r"leave out search\.complexity_weight=0\.5"):
        search_stage(config, tmp_path / "python")
    said = "--search.complexity-weight: augmented_lagrangian, which --search.objective=auto takes with a budget"
    for command in ("search", "run", "find"):
        words = [command, "--data.path", data, "-o", str(tmp_path / command), "--max-macs", "1M"]
        refused([*words, "--search.complexity-weight", "0.5"], said, capsys)
    file = tmp_path / "study.yaml"
    file.write_text("methods: {own: {max_macs: 1.0e+6}}\nsearch: {complexity_weight: 0.5}\nrandom_search: false\n")
    refused(["study", str(file), "-o", str(tmp_path / "study")], "methods.own: search.complexity_weight: aug", capsys)


# Notes on a run


@pytest.mark.parametrize("strategy", ["effects", "uniform", "evolution"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("warmup", 1),
        ("alpha_learning_rate", 0.5),
        ("alpha_weight_decay", 0.5),
        ("tau_start", 5.0),
        ("tau_end", 0.5),
        ("depth_logit", 2.0),
        ("depth_mode", "sample"),
        ("complexity_depth", "derived"),
    ],
)
def test_a_strategy_that_does_not_train_alpha_has_no_options_of_it(strategy: str, option: str, value: Any) -> None:
    said = noted(RunConfig(search=SearchConfig(strategy=strategy, **{option: value})))
    assert said == f"search.{option}: no effect, because search.strategy={strategy} does not train alpha"
    assert noted(RunConfig(search=SearchConfig(**{option: value}))) == ""


@pytest.mark.parametrize("strategy", ["effects", "uniform", "evolution"])
def test_the_cost_of_a_candidate_has_an_effect_without_alpha_too(strategy: str) -> None:
    dear = SearchConfig(strategy=strategy, complexity_weight=0.5)
    assert noted(RunConfig(search=dear)) == ""
    assert noted(RunConfig(search=replace(dear, max_macs=1e6, objective="complexity"))) == ""
    said = noted(RunConfig(search=replace(dear, max_macs=1e6)))
    assert said.startswith("search.complexity_weight: no effect, because search.strategy=")
    assert said.endswith("search.objective=augmented_lagrangian is only a loss of alpha")


def test_a_find_without_searches_has_no_options_of_them() -> None:
    choice = FindConfig(searches=0, random_share=0.3)
    given = {"random_share", "search.epochs", "search.max_macs"}
    assert check(FIND, choice, given).startswith("random_share, search.epochs: no effect, because --searches 0")
    assert check(FIND, replace(choice, searches=1), given) == ""


def noted(config: RunConfig, *, validation: bool = True) -> str:
    """Note on a config, beside the recipe `paper` with the same strategy, operations and switches."""
    ours, theirs = asdict(config), asdict(RunConfig())
    given = {
        f"{part}.{key}" for part in ("search", "train") for key in ours[part] if ours[part][key] != theirs[part][key]
    }
    return check(RUN, Run(config, validation, bool(config.train.teachers)), given)


@pytest.mark.parametrize(
    ("search", "key"),
    [
        ({"candidates": 9}, "search.candidates"),
        ({"skip_limit_edges": 1}, "search.skip_limit_edges"),
        ({"depth_logit": 2.0, "search_depth": False}, "search.depth_logit"),
        ({"normalized_operations": ("max_pool_3x3", "avg_pool_3x3")}, ""),
        ({"complexity": False, "complexity_weight": 0.5}, "search.complexity_weight"),
        ({"candidates": 9, "strategy": "effects"}, ""),
        ({"skip_limit_edges": 1, "skip_limit": "limit"}, ""),
        ({"skip_limit_operations": ("avg_pool_3x3",)}, ""),  # the number that is logged changes
        ({"skip_limit_operations": ("avg_pool_3x3",), "strategy": "effects"}, "search.skip_limit_operations"),
    ],
)
def test_options_of_a_search_need_each_other(search: dict[str, Any], key: str) -> None:
    said = noted(RunConfig(search=SearchConfig(**search)))
    assert said.startswith(f"{key}: no effect, because ") if key else not said


def test_operations_outside_the_space_cannot_be_normalised() -> None:
    config = RunConfig(search=SearchConfig(normalized_operations=("max_pool_3x3",)))
    few = replace(config, space=replace(config.space, operations=("skip_connect", "sep_conv_3x3")))
    assert noted(few) == "search.normalized_operations: no effect, because space.operations has no max_pool_3x3"


@pytest.mark.parametrize(
    ("train", "validation", "key"),
    [
        ({"optimizer": "nadam", "momentum": 0.8}, True, "train.momentum"),
        ({"optimizer": "nadam", "nesterov": False}, True, "train.nesterov"),
        ({"optimizer": "nadam", "learning_rate_min": 0.0}, True, "train.learning_rate_min"),
        ({"momentum": 0.8}, True, ""),
        ({"teacher_weight": 0.7}, True, "train.teacher_weight"),
        ({"teacher_temperature": 2.0}, True, "train.teacher_temperature"),
        ({"teacher_weight": 0.7, "teachers": ("a",)}, True, ""),
        ({"validate_every": 2}, False, "train.validate_every"),
        ({"validate_every": 0}, False, ""),
        ({"validate_every": 2}, True, ""),
    ],
)
def test_options_of_a_training_need_each_other(train: dict[str, Any], validation: bool, key: str) -> None:
    said = noted(replace(RunConfig(), train=replace(RunConfig().train, **train)), validation=validation)
    assert said.startswith(f"{key}: no effect, because ") if key else not said


def test_recipes_examples_and_the_demo_are_quiet(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none: dict[str, list[int]] = {"validation": []}
    both = ("search", "train")
    for name, recipe in RECIPES.items():
        note_of_run(Namespace(recipe=name, resume=False, output="x"), recipe(), none, both)
        require_objective_options(recipe().search)
    quick, demo = RECIPES["quick"](), demo_config(Path("world"), 0)
    options = Namespace(recipe="quick", resume=False, output="x")
    note_of_run(options, find_recipe(), none, both, base=find_recipe())
    changes = replace(quick, search=replace(quick.search, strategy="gdas", skip_limit="log"))  # README, CHANGELOG
    note_of_run(options, changes, none, both)
    note_of_run(options, replace(demo, train=quick.train), none, both)
    assert capsys.readouterr().err == ""
    for file in sorted((repository / "examples").glob("*.yaml")):
        study = read_study(file)
        for method in study.methods:
            require_objective_options(study.search_of(method))


def test_a_note_is_one_line_and_not_repeated(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    words = ["train", "--model", "resnet8", "--data.path", data, "-o", out, *TINY, "--train.teacher-weight", "0.7"]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.count("note: ") == 1
    assert "note: train.teacher_weight: no effect, because there is no teacher; name some with train" in said.err
    found = json.loads(said.out)
    assert (found["run"], found["model"]["name"], found["last_epoch"]["epoch"]) == (out, "resnet8", 1)
    assert main([*words, "--resume"]) == 0
    said = capsys.readouterr()
    assert "note: " not in said.err and said.out.startswith(f"trained: {out}; next: ")


# Options of other commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--like other", "--like: has no effect, because only --model random draws a network"),
        ("--space.channels 8", "--space.channels: has no effect, because only --model random"),
        ("--search.epochs 3", "--search.epochs: has no effect, because `compactnas train` does not search"),
        ("--search.no-complexity", "--search.no-complexity: has no effect"),
        ("--max-macs 2M", "--max-macs: has no effect, because `compactnas train` does not search"),
    ],
)
def test_a_training_refuses_options_of_searches(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "--model", "resnet8", "--data.path", "nowhere", "-o", str(tmp_path / "run")]
    refused([*base, *words.split()], said, capsys)


def test_a_training_takes_the_config_file_of_a_whole_run(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("run", "train"):
        with pytest.raises(SystemExit):
            main([command, "--space.channels", "8", "--print-config"])
        file = tmp_path / f"{command}.yaml"
        file.write_text(capsys.readouterr().out)
        words = ["train", "--config", str(file), "--model", "resnet8", "--data.path", data, *TINY]
        assert main([*words, "-o", str(tmp_path / command)]) == 0
        assert "note: " not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--ray-gpus 0.5", "--ray-gpus: has no effect, because the jobs do not run on Ray; add --ray"),
        ("--ray-cpus 2", "--ray-cpus: has no effect, because the jobs do not run on Ray"),
    ],
)
def test_options_of_ray_need_ray(words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["study", "nowhere.yaml", "-o", str(tmp_path / "out"), *words.split()], said, capsys)


def test_a_window_needs_a_purity(capsys: pytest.CaptureFixture[str]) -> None:
    refused(["assess", "map.tif", "truth.tif", "--window-m", "100"], "--window-m: has no effect, because", capsys)


# Selections and fronts


@pytest.mark.parametrize(
    ("rules", "choice", "given"),
    [
        (SELECT, SelectConfig(), "train.epochs"),
        (SELECT, SelectConfig(holdout_fraction=0.3), "holdout_fraction"),
        (PARETO, FrontConfig(holdout_fraction=0.3), "holdout_fraction"),
    ],
)
def test_a_choice_refuses_what_it_never_uses(rules: Any, choice: Any, given: str) -> None:
    with pytest.raises(UserError, match=rf"^{given}: has no effect, because "):
        check(rules, choice, {given})


@pytest.mark.parametrize(
    ("rules", "choice", "given", "noted"),
    [
        (SELECT, SelectConfig(by=("supernet",)), "train.momentum", True),
        *((SELECT, SelectConfig(by=("supernet", "synflow")), name, True) for name in ("epochs", "eta", "rungs")),
        (SELECT, SelectConfig(by=("supernet", "halving")), "initialisations", True),
        (SELECT, SelectConfig(by=("naswot",)), "initialisations", False),
        (SELECT, SelectConfig(by=("halving",)), "train.momentum", False),
        (SELECT, SelectConfig(holdout="random"), "holdout_fraction", False),
        (PARETO, FrontConfig(), "train.epochs", True),
        (PARETO, FrontConfig(retrain=True), "train.epochs", False),
        (PARETO, FrontConfig(holdout="random"), "holdout_fraction", False),
    ],
)
def test_a_choice_names_what_only_a_later_call_uses(rules: Any, choice: Any, given: str, noted: bool) -> None:
    said = check(rules, choice, {given})
    assert said.startswith(f"{given}: no effect, because ") if noted else not said


# A plan from a file


def test_a_plan_has_the_searches_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places, plan = write_places(tmp_path / "places.npz"), tmp_path / "plan.json"
    TIMED.write(plan)
    words = ["find", "--data.path", str(places), *WORDS.split(), "--plan-from", str(plan), "-o", str(tmp_path / "out")]
    refused([*words, "--searches", "0"], "--searches: the plan has 2, not 0; leave out --searches", capsys)
    assert main([*words, "--plan", "--hours", "3", "--no-ensemble", "--search.warmup", "1"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: search.warmup: no effect, because search.strategy=effects does not train alpha",
        f"note: hours: no effect, because the plan of {plan} was made for --hours 1; ensemble: no effect, because the "
        f"plan of {plan} has 2 teachers",
    ]
    assert main([*words, "--plan", "--searches", "2"]) == 0
    assert "note: " not in capsys.readouterr().err
