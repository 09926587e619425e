"""Commands to interrupt, in settings so small that each takes about a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from support.sweep.warm import Call

MACHINE = "--machine.device cpu --machine.threads 1"
EACH_STEP = "--machine.checkpoint_minutes 1e-9"
SPACE = "--space.channels 4 --space.max_depth 2 --space.nodes 2 --space.blocks 1"
SEARCH = f"{SPACE} --search.initial_depth 2 --search.batch_size 8 --search.epochs 2 --search.alpha_learning_rate 0.05"
TRAIN = "--train.epochs 2 --train.batch_size 16 --train.learning_rate 0.05"
PATCHES = 24


@dataclass(frozen=True)
class Case:
    """A command that is interrupted.

    Attributes:
        name: Name of the command.
        call: The command.
        place: Folder that it writes to, with everything beside its output.
        output: What the command makes, below the place.
        again: Words that are added when the command is given again.
        prime: Python that the warm process runs once, so that each command needs less time.
    """

    name: str
    call: Call
    place: Path
    output: str
    again: tuple[str, ...] = ()
    prime: str = ""

    @property
    def resumed(self) -> Call:
        """The command that is given after an interruption."""
        return Call((*self.call.words, *self.again), self.call.cwd, self.call.code, self.call.env)


Maker = Callable[[Path], AbstractContextManager[tuple[str, str, str]]]
"""Function that writes the inputs of a command to a folder, and yields its words, its output and its code."""


def _patches(folder: Path) -> Path:
    from support.tiny import write_patches

    return write_patches(folder / "patches.npz", PATCHES)


def _search(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    return nullcontext(
        (f"search --recipe paper --data.path {_patches(folder)} {MACHINE} {EACH_STEP} {SEARCH}", "run", "")
    )


def _train(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    return nullcontext(
        (f"train --model resnet8 --data.path {_patches(folder)} {MACHINE} {EACH_STEP} {TRAIN}", "run", "")
    )


def _run(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    words = f"run --recipe paper --data.path {_patches(folder)} {MACHINE} {SEARCH} {TRAIN}"
    return nullcontext((words.replace("epochs 2", "epochs 1"), "run", ""))


def _study(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from support.study_files import write_study

    file = write_study(
        folder,
        methods=["S+C+D"],
        splits=["official"],
        searches=1,
        retrainings=1,
        search={"epochs": 1, "batch_size": 16, "alpha_learning_rate": 0.05},
        space={"channels": 4, "max_depth": 2, "nodes": 2, "blocks": 1},
    )
    return nullcontext((f"study {file}", "study", ""))


def _prepare(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    code = "from compactnas.data.packing import pack\npack.SAVE_EVERY_S = 0.0\npack.CHUNK_BYTES = 2**12"
    return nullcontext((f"prepare {_patches(folder)} {{output}}", "set", code))


def _synth(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    return nullcontext(("synth --cities 1 --test-cities 1 --patches 17 --scene-px 264 --scenes", "world", ""))


def _export(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from support.exported import SPECS, write_run

    return nullcontext((f"export {write_run(folder / 'model', SPECS['resnet8'])}", "export", ""))


def _map(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from support.map_files import numbers, write_model, write_scene

    model, scene = write_model(folder / "model"), write_scene(folder / "scene.tif", numbers(40, 40))
    code = "from compactnas.mapping import grid\ngrid.BLOCK_ROWS = 2"
    return nullcontext((f"map {model} {scene} --threads 1", "map", code))


def _adopt(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from support.foreign import OPTIONS, write_foreign

    write_foreign(folder / "model.onnx")
    return nullcontext((" ".join(("adopt", str(folder / "model.onnx"), *OPTIONS)), "adopted", ""))


def _searched(folder: Path, *seeds: int) -> list[Path]:
    from compactnas.pipeline.running import search_stage
    from support.tiny import tiny_config, write_patches

    data = write_patches(folder / "patches.npz", 48)
    for seed in seeds:
        config = tiny_config(
            data, space={"nodes": 2, "blocks": 1}, search={"epochs": 2, "alpha_learning_rate": 0.3}, seed=seed
        )
        search_stage(config, folder / f"seed{seed}")
    return [folder / f"seed{seed}" for seed in seeds]


def _select(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    (run,) = _searched(folder, 0)
    few = "--candidates 2 --initialisations 1 --epochs 1 --eta 2 --rungs 2"
    return nullcontext((f"select {run} --by parameters,supernet,halving {few}", "selected", ""))


def _pareto(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    (run,) = _searched(folder, 0)
    return nullcontext((f"pareto {run} --points 2 --samples 2 --retrain --train.epochs 1", "front", ""))


def _report(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from support.fake_run import write_run

    return nullcontext((f"report {write_run(folder / 'run', epochs=3)}", "report.html", ""))


def _find(folder: Path) -> AbstractContextManager[tuple[str, str, str]]:
    from dataclasses import replace

    from support.find_files import PLAN, TIMED, WORDS, write_places

    few = replace(PLAN, searches=1, search_epochs=1, candidates=4, entrants=2, rungs=(1,), teachers=1, epochs=1)
    replace(TIMED, plan=few).write(folder / "plan.json")
    words = f"find --data.path {write_places(folder / 'patches.npz')} --plan-from {folder / 'plan.json'} {WORDS}"
    words += " --space.nodes 2 --space.blocks 1 --train.average-last 0"
    return nullcontext((words, "found", ""))


@contextmanager
def _scene(folder: Path) -> Iterator[tuple[str, str, str]]:
    from support.stac_items import KINDS, bounds_of, city, write_item
    from support.stac_server import Catalogue, served

    box = ",".join(map(str, bounds_of(5, 5, 315, 315)))
    with served(Catalogue(folder / "files")) as catalogue:
        catalogue.items = [
            write_item(catalogue.folder, KINDS["earth search 1"], city(day, 64), f"2024-06-1{day}", catalogue.url)
            for day in range(2)
        ]
        code = "from compactnas.catalogues import grid\ngrid.BLOCK_PX = (32,)"
        words = f"scene {box} --dates 2024 --catalogue {catalogue.url} --bands B02"
        yield words, "scenes/a.tif", code


MAKERS: dict[str, Maker] = {
    "search": _search,
    "train": _train,
    "run": _run,
    "study": _study,
    "prepare": _prepare,
    "export": _export,
    "map": _map,
    "select": _select,
    "find": _find,
    "pareto": _pareto,
    "synth": _synth,
    "scene": _scene,
    "adopt": _adopt,
    "report": _report,
}
PRIMES = {
    "synth": """
from functools import cache
from compactnas.synthetic import write
write.make_city = cache(write.make_city)
for index in range(2):
    write.make_city(write.city_seed(0, index), 264)
""",
    "export": """
import tempfile
from functools import cache
from pathlib import Path
from compactnas.exporting import checking, graphs, writing
from compactnas.exporting.formats import onnx

class Once:
    def __init__(self, function, chosen):
        self.made = cache(lambda key: function(*self.given))
        self.chosen = chosen
    def __call__(self, *given):
        self.given = given
        return self.made(self.chosen(*given))

graphs.trace = Once(graphs.trace, lambda *given: len(given))
onnx.onnx_bytes = Once(onnx.onnx_bytes, lambda *given: len(given))
checking.quantised = Once(checking.quantised, lambda content, method, *rest: method)
with tempfile.TemporaryDirectory() as folder:
    writing.export_run(Path("{inputs}") / "model", Path(folder) / "export")
""",
}
"""Cities are drawn, and graphs are made, once, because this takes longer than all the rest."""
RESUMED = ("search", "train", "run", "select", "pareto", "find")
"""Commands with the option `--resume`; the others are given again as they are."""


@contextmanager
def made(name: str, home: Path) -> Iterator[Case]:
    """Write the inputs of a command to a new folder, and yield its case."""
    folder, place = home / name / "inputs", home / name / "place"
    folder.mkdir(parents=True)
    place.mkdir()
    with ExitStack() as stack:
        words, output, code = stack.enter_context(MAKERS[name](folder))
        words = words if "{output}" in words else f"{words} --output {{output}}"
        call = Call(tuple(words.format(output=place / output).split()), folder, code)
        yield Case(
            name,
            call,
            place,
            output,
            ("--resume",) if name in RESUMED else (),
            PRIMES.get(name, "").replace("{inputs}", str(folder)),
        )
