"""`compactnas demo`: run the whole method on a synthetic world, beside ResNet-8 and a random cell, and map a city."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.config import DataConfig, RunConfig, TrainConfig, quick
from compactnas.errors import UserError
from compactnas.space.search_space import Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from compactnas.cli.parser import Parser
    from compactnas.evaluation.metrics import Measures
    from compactnas.training.runtime import Listener

CITIES, TEST_CITIES, PATCHES, SCENE_PX = 6, 3, 2400, 320
CELL_PX = 10
"""Side of a cell of the map, in pixels of 10 m."""


def demo_config(world: Path, seed: int) -> RunConfig:
    """Make a config of S+C+D that takes about five minutes on two cores: a look at the method, not a benchmark."""
    return RunConfig(
        data=DataConfig(path=str(world)),
        space=Space(max_depth=3),
        search=replace(quick().search, candidates=16, epochs=7, batch_size=32, learning_rate=0.1),
        train=TrainConfig(epochs=10, learning_rate=0.1, augment="dihedral", validate_every=0),
        seed=seed,
    )


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser

    parser = Parser(
        "demo",
        "[-o DIR] [--seed N] [--resume]",
        "Make a synthetic world, search (S+C+D), retrain, measure on unseen cities, compare, and map one of these "
        "cities. It takes a few minutes on two cores.",
    )
    parser.add_argument("-o", "--output", type=str, default="demo-out", help="Folder of the demo.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the world and of the runs.")
    parser.add_argument("--resume", action="store_true", help="Continue a demo that was interrupted.")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    out, resume = Path(options.output), options.resume
    if out.exists() and not resume and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists already; continue with --resume, or name a new folder with --output")
    began = time.monotonic()
    world, found = out / "world", out / "found"
    config = demo_config(world, options.seed)

    from compactnas.cli.tables import print_table
    from compactnas.data import open_dataset
    from compactnas.pipeline.evaluating import evaluate_stage
    from compactnas.pipeline.running import run, train_stage
    from compactnas.reporting.progress import RichListener
    from compactnas.reporting.run.page import write_report

    listener = RichListener()
    with _stage(f"making a world of {CITIES + TEST_CITIES} cities, {TEST_CITIES} of them for testing only"):
        make_world(world, options.seed, listener)
    data = open_dataset(config.data)
    with _stage(f"searching ({config.search.setting}), then retraining what was found"):
        results = {"found (S+C+D)": run(config, found, resume=resume, listener=listener, data=data)}
    for name, model, folder in (("random cell", "random", out / "random"), ("ResNet-8", "resnet8", out / "resnet8")):
        with _stage(f"training for comparison: {name}"):
            train_stage(config, folder, model, like=str(found), resume=resume, listener=listener, data=data)
            results[name] = evaluate_stage(folder, data=data)
    report = write_report([found, out / "random", out / "resnet8"], out / "report.html")
    with _stage("mapping a city that no network was trained on"):
        picture = out / "map.png"
        about = _map(found, options.seed, picture)
    print_table(results)
    print(
        "One short run of each network on synthetic data, as a check of the installation: it tells nothing about which "
        "of them is better; the same run with another seed may turn the order around."
    )
    print(f"report: {report}")
    print(f"map: {picture}, {about} (whole demo: {time.monotonic() - began:.0f} s)")
    return 0


def _map(run: Path, seed: int, picture: Path) -> str:
    """Map the first test city with the found network, draw it, and describe the map in a few words."""
    import numpy as np

    from compactnas.data.true_colour import shown_bands
    from compactnas.exporting.engines import open_engine
    from compactnas.io.atomic import write_bytes
    from compactnas.mapping.arrays import map_array
    from compactnas.mapping.legend import legend
    from compactnas.mapping.overview import stretched
    from compactnas.mapping.triptych import Triptych
    from compactnas.synthetic.materials import BANDS
    from compactnas.synthetic.plan import PIXEL_M
    from compactnas.synthetic.scene import make_city
    from compactnas.synthetic.write import city_seed

    city, engine = make_city(city_seed(seed, CITIES), SCENE_PX), open_engine(run, "torch")
    pixels = city.reflectance.astype(np.float32)
    found = map_array(engine, pixels, CELL_PX)
    labels = (1 + found.argmax(axis=-1)).astype(np.uint8)
    view = stretched(pixels[shown_bands(BANDS)], np.ones(pixels.shape[1:], np.bool_))
    drawn = Triptych(
        view,
        (view.shape[1] / CELL_PX, view.shape[0] / CELL_PX),
        labels,
        100 * found.max(axis=-1),
        legend(engine.task.classes, lcz=engine.task.lcz),
        CELL_PX * PIXEL_M,
        (f"{city.name}, a synthetic city", "Map of Local Climate Zones", "Confidence: largest class probability"),
    )
    write_bytes(picture, drawn.draw())
    measures = _measures(labels, city.lcz, len(engine.task.classes))
    return (
        f"the zones of {city.name} in {labels.size} cells of {CELL_PX * PIXEL_M:g} m, {100 * measures.oa:.0f} % of "
        f"them right, {100 * (measures.oa_weighted or 0):.0f} % weighted by the similarity of zones"
    )


def _measures(labels: NDArray[np.uint8], zones: NDArray[np.uint8], classes: int) -> Measures:
    """Compare the cells of a map with the zone that covers most of each; cells across the edge are left out."""
    import numpy as np

    from compactnas.evaluation.metrics import confusion_measures

    rows, columns = (side // CELL_PX for side in zones.shape)
    pixels = zones[: rows * CELL_PX, : columns * CELL_PX].reshape(rows, CELL_PX, columns, CELL_PX)
    counts = np.stack([(pixels == number).sum(axis=(1, 3)) for number in range(1, 1 + classes)])
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (counts.argmax(axis=0), labels[:rows, :columns].astype(np.int64) - 1), 1)
    return confusion_measures(confusion, lcz=True)


@contextmanager
def _stage(what: str) -> Iterator[None]:
    """Print on stderr what begins and, at its end, how long it took, even without a terminal."""
    print(f"demo: {what} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    print(f"demo: {what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def make_world(folder: Path, seed: int, listener: Listener) -> None:
    """Make the world, or keep that of an earlier demo, which is always complete."""
    if folder.exists():
        return
    from compactnas.synthetic import write_world

    listener.start("cities", 1, CITIES + TEST_CITIES)
    try:
        write_world(
            folder,
            cities=CITIES,
            test_cities=TEST_CITIES,
            patches=PATCHES,
            scene_px=SCENE_PX,
            seed=seed,
            progress=lambda name, done, total: listener.step({}),
        )
    finally:
        listener.end()


COMMAND = Command(
    group="Try it",
    summary="run the whole method on synthetic data in a few minutes",
    examples=(
        "compactnas demo",
        "compactnas demo -o /tmp/demo --seed 1",
        "compactnas demo -o /tmp/demo --resume",
    ),
    build=build,
    run=main,
    after_stop="continue with --resume",
)
