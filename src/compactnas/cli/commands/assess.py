"""`compactnas assess`: measure a map against a reference raster or polygons, or its coverage of a WRF domain."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compactnas.cli.command import Command
from compactnas.errors import UserError
from compactnas.lcz import CLASSES

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.mapping.assess import Assessment, Score

COLUMNS = {
    "oa": "OA %",
    "aa": "AA %",
    "kappa": "kappa",
    "macro_f1": "F1 %",
    "oa_weighted": "OAw %",
    "oa_urban": "OAu %",
    "oa_built_natural": "OAbu %",
}
"""Measure -> heading of its column."""


def build() -> Parser:
    """Make the parser, with the options of `compactnas.mapping.assess.assess`."""
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser
    from compactnas.mapping.assess import assess

    parser = Parser(
        "assess",
        "MAP TRUTH [-o FILE] [options]",
        "Measure a map of Local Climate Zones against a reference: a raster (GeoTIFF with cells of any size, in any "
        "coordinate system) or polygons with a field `lcz` or `class` (GeoJSON, KML, GeoPackage, shapefile, ...). With "
        "the geo_em file of a WRF domain instead of a reference, measure how much of the domain the map covers.",
        writes_file=True,
    )
    parser.add_argument("map", type=str, help="GeoTIFF of LCZ 1 to 17, with 0 as no data.")
    parser.add_argument("truth", type=str, help="GeoTIFF or polygons of the reference, or geo_em file of a WRF domain.")
    parser.add_function_arguments(assess, None, skip={"map_file", "truth_file", "seen"})
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.add_argument(
        "-o",
        "--output",
        type=str,
        default="",
        help="Also write FILE.json, the confusion matrix as FILE.csv, or a map of the agreement as FILE.html.",
    )
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parsed(parser.words(argv)).as_dict()
    map_file, truth_file = Path(options.pop("map")), Path(options.pop("truth"))
    as_json, output = options.pop("json"), Path(options.pop("output") or ".")
    suffix = output.suffix.lower()
    if output != Path() and suffix not in (".json", ".csv", ".html"):
        raise UserError(f"--output: {output} does not end in .json, .csv or .html; name a file with such a suffix")
    from compactnas.cli.idle_options import ASSESS
    from compactnas.cli.without_effect import check
    from compactnas.io.atomic import write_bytes, write_json
    from compactnas.mapping.agreement import Compared
    from compactnas.mapping.assess import assess
    from compactnas.scenes.wrf import is_domain

    given = {name for name in options if options[name] != parser.get_default(name)}
    if is_domain(truth_file):
        return _cover(map_file, truth_file, options["band"], given, output, as_json)
    check(ASSESS, options, given)
    compared = Compared(map_file) if suffix == ".html" else None
    found = assess(map_file, truth_file, **options, seen=compared.add if compared else None)
    if compared:
        compared.write(output, truth_file, _facts(found))
    elif suffix == ".json":
        write_json(output, found.to_json())
    elif output != Path():
        write_bytes(output, _csv(found.every).encode())
    if as_json:
        print(json.dumps(found.to_json()))
    else:
        _show(found)
    return 0


def _facts(found: Assessment) -> list[str]:
    """Sentences about the accuracy for the page."""
    measures = found.every.measures
    oa = f"OA {_written('oa', measures.oa)} %"
    if "oa" in found.every.intervals:
        oa += f" (95 % interval {_ends('oa', found.every)} %)"
    facts = [f"{found.every.n} cells compared: {oa}, AA {_written('aa', measures.aa)} %, kappa {measures.kappa:.3f}."]
    if found.unmapped:
        facts.append(f"{found.unmapped} cells with a label have no class in the map and are left out.")
    return facts


def _cover(map_file: Path, domain_file: Path, band: str, given: set[str], output: Path, as_json: bool) -> int:
    """Measure how much of a WRF domain a map covers."""
    from compactnas.io.atomic import write_json
    from compactnas.mapping.domain import cover

    for name in sorted(given - {"band"}):
        flag = name.replace("_", "-")
        raise UserError(f"--{flag}: needs a reference, but {domain_file} is a WRF domain; leave --{flag} out")
    if output != Path() and output.suffix.lower() != ".json":
        raise UserError(f"--output: {output} is for a reference, but {domain_file} is a WRF domain; name a .json")
    found = cover(map_file, domain_file, band=band)
    if output != Path():
        write_json(output, found.to_json())
    if as_json:
        print(json.dumps(found.to_json()))
        return 0
    print(f"{found.map} covers {_percent(found.covered)} of the {found.cells} cells of {found.domain}")
    if found.classified < found.covered:
        print(f"{_percent(found.classified)} of the cells have a class in the map")
    if not found.w2w:
        west, south, east, north = found.domain_bounds
        print(
            "W2W would refuse this map: it must reach beyond the domain on all sides; map a larger scene, at least "
            f"{west:.4f} to {east:.4f} degrees east and {south:.4f} to {north:.4f} degrees north"
        )
    return 0


def _percent(share: float) -> str:
    """Write a share, rounded down: 99.99 % is not all."""
    return f"{int(1000 * share) / 10:g} %"


def _csv(score: Score) -> str:
    """Write the confusion matrix with headings: rows true, columns mapped, by LCZ number."""
    text = io.StringIO()
    numbers = range(1, len(score.confusion) + 1)
    csv.writer(text, lineterminator="\n").writerows(
        [["true", *numbers], *([n, *row] for n, row in zip(numbers, score.confusion.tolist(), strict=True))]
    )
    return text.getvalue()


def _show(found: Assessment) -> None:
    from compactnas.cli.tables import console

    stdout = console()
    print(f"{found.map} against {found.truth}, cells of {found.cell}")
    for warning in found.warnings:
        print(f"warning: {warning}")
    stdout.print(_summary(found))
    for note in _notes(found):
        print(note)
    stdout.print(_classes(found.every))
    stdout.print(_confusion(found.every))


def _notes(found: Assessment) -> list[str]:
    notes = ["OAw: weighted by similarity; OAu: inside the built classes; OAbu: built against natural, without LCZ E"]
    notes += found.notes
    if found.every.intervals:
        notes.append(
            f"below each figure: 95 % interval from {found.draws} bootstrap samples of {found.every.units} units, each "
            f"a {found.unit}"
        )
    if found.share is not None:
        notes.append(f"on average, {100 * found.share:.1f} % of the reference pixels in a cell have its class")
    if found.purity and found.pure is None:
        notes.append(f"no window of {found.window_m:g} m has one class in {100 * found.purity:g} % of its pixels")
    if found.covered is not None and found.covered < 1:
        notes.append(
            f"the map covers {_percent(found.covered)} of the labels of the reference; the others do not count"
        )
    if found.unmapped:
        notes.append(f"{found.unmapped} cells with a label have no class in the map and are left out")
    measures = found.every.measures
    if measures.classes_present < measures.classes:
        notes.append(f"AA and F1 over the {measures.classes_present} of {measures.classes} classes that are present")
    return notes


def _summary(found: Assessment) -> Any:
    from rich.table import Table

    table = Table("cells")
    for name in ("n", *COLUMNS.values()):
        table.add_column(name, justify="right")
    scores = {"all": found.every}
    if found.pure:
        scores[f"{100 * found.purity:g} % pure, {found.window_m:g} m"] = found.pure
    for what, score in scores.items():
        values = [_written(name, getattr(score.measures, name)) for name in COLUMNS]
        table.add_row(what, str(score.n), *values)
        if score.intervals:
            table.add_row("", "", *(_ends(name, score) for name in COLUMNS), style="dim")
    return table


def _classes(score: Score) -> Any:
    from rich.table import Table

    table = Table("LCZ", "name")
    for head in ("true", "mapped", "precision %", "recall %", "F1 %", "95 %"):
        table.add_column(head, justify="right")
    for row in score.to_json()["classes"]:
        if row["true"] or row["mapped"]:
            shares = (_written(name, row[name]) for name in ("precision", "recall", "f1"))
            ends = _ends(f"f1_{row['lcz']}", score)
            table.add_row(
                CLASSES[row["lcz"] - 1].label, row["name"], str(row["true"]), str(row["mapped"]), *shares, ends
            )
    return table


def _confusion(score: Score) -> Any:
    from rich.table import Table

    table = Table("true", title="rows true, columns mapped", title_justify="left", box=None, padding=(0, 1, 0, 0))
    shown = [n for n in range(len(score.confusion)) if score.confusion[n].any() or score.confusion[:, n].any()]
    for n in shown:
        table.add_column(CLASSES[n].label, justify="right")
    for n in shown:
        table.add_row(CLASSES[n].label, *(str(count) if count else "." for count in score.confusion[n, shown].tolist()))
    return table


def _ends(name: str, score: Score) -> str:
    ends = score.intervals.get(name)
    return "" if ends is None else "-".join(_written(name, end) for end in ends)


def _written(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name == "kappa" else f"{100 * value:.1f}"


COMMAND = Command(
    group="Measure and compare",
    summary="measure a map against a reference raster or polygons",
    examples=(
        "compactnas assess city/scene_lcz.tif polygons.geojson --held-out run",
        "compactnas assess city/scene_lcz.tif reference.tif -o agreement.html",
        "compactnas assess city/scene_wudapt.tif geo_em.d01.nc",
    ),
    build=build,
    run=main,
)
