"""`compactnas map`: map a whole city from a satellite scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from compactnas.cli.parser import Parser
    from compactnas.mapping.executor import Executor
    from compactnas.mapping.job import MapJob


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.parser import Parser
    from compactnas.config.engine import EngineName
    from compactnas.config.reading import Reading
    from compactnas.mapping.config import MapConfig, Outputs

    parser = Parser(
        "map",
        "MODEL SCENE [SCENE ...] -o DIR [options]",
        "Map the Local Climate Zones of a scene (Sentinel-2, Landsat, HLS) with the network of a run, an export or "
        "`adopt`. Writes "
        "GeoTIFFs of the classes, the filtered classes and the probabilities, a picture, and a page to open in a "
        "browser. Several scenes of the same place (seasons) vote. To continue an interrupted map, give the same "
        "command again.",
        common=(
            *("--output", "--engine", "--threads", "--ray", "--ray-address", "--name", "--lonlat"),
            *("--stride-px", "--bands", "--scale", "--mask", "--batch-size"),
        ),
        required=("--output",),
    )
    parser.add_argument("model", type=str, help="Folder of a run, an export or an adopted network.")
    parser.add_argument(
        "scene",
        type=str,
        nargs="+",
        help="GeoTIFF, VRT, netCDF or Zarr, or folder or product with a file for each band.",
    )
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the map.")
    parser.add_argument("--engine", type=EngineName, default="auto", help="Software that runs the network.")
    parser.add_argument("--threads", type=int, default=0, help="Number of threads; 0 takes all cores, or one with Ray.")
    parser.add_argument("--ray", action="store_true", help="Classify blocks in parallel on this machine with Ray.")
    parser.add_argument("--ray-address", type=str, default="", help="Address of a Ray cluster, HOST:PORT or `auto`.")
    for config in (Outputs, MapConfig, Reading):
        parser.add_class_arguments(config, None, skip={"caller"})
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv))
    if not options.output:
        raise UserError("no folder for the map; name one with --output")
    if options.threads < 0:
        raise UserError(f"--threads: {options.threads} is negative; give 0 (all cores) or more")
    out = Path(options.output)
    from compactnas.mapping.config import Outputs, config_of
    from compactnas.mapping.mapping import make_map
    from compactnas.reporting.progress import Counter, RichListener

    job, outputs = job_of(options), config_of(Outputs, vars(options))
    with Counter("cells") as counter:
        about = make_map(job, out, outputs, counter.at, RichListener().warn, executor_of(options))
    cells = about["cells"]
    print(
        f"mapped: {out / about['files'][0]}, {cells['columns']} x {cells['rows']} cells in {about['seconds']:.0f} s; "
        f"page: {out / about['page']}"
    )
    return 0


def executor_of(options: Namespace) -> Executor:
    """Choose the executor that classifies the blocks."""
    if options.ray or options.ray_address:
        from compactnas.mapping.executors.ray import ray_executor

        return ray_executor(options.ray_address, max(1, options.threads))
    from compactnas.mapping.executors.local import run_locally

    return run_locally


def job_of(options: Namespace) -> MapJob:
    """Build the job that the options describe."""
    from compactnas.config.reading import Reading
    from compactnas.mapping.config import MapConfig, config_of
    from compactnas.mapping.job import MapJob

    scenes = tuple(Path(scene) for scene in options.scene)
    readings = config_of(Reading, vars(options)).for_scenes(len(scenes))
    return MapJob(
        Path(options.model), options.engine, options.threads, scenes, readings, config_of(MapConfig, vars(options))
    )


COMMAND = Command(
    group="Use a network",
    summary="map a city from a satellite scene",
    examples=(
        "compactnas map run scene.tif -o city",
        "compactnas map export spring.tif summer.tif -o city --lonlat",
        "compactnas map run scene.SAFE -o city --min-valid 0.9 --threads 4",
    ),
    build=build,
    run=main,
    after_stop="give the same command again to continue",
)
