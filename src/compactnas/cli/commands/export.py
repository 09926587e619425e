"""`compactnas export`: write a trained network as files for other software."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.command import Command
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser
    from compactnas.exporting.parity import Parity


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import COMMON_DATA, JSON, add_data_options
    from compactnas.cli.parser import Parser

    parser = Parser(
        "export",
        "RUN -o DIR [--without-data] [--data.path PATH] [options]",
        "Write the network of a run to a self-contained folder: ONNX in float32 and int8, a torch.export program, "
        "safetensors, a model card and a STAC item. Each file is checked against the network on patches.",
        common=(*COMMON_DATA, "--output", "--without-data", "--json"),
        required=("--output",),
    )
    add_data_options(parser, "Folder of a run.")
    parser.add_argument("-o", "--output", type=str, default="", help="Folder of the export.")
    parser.add_argument(
        "--without-data",
        action="store_true",
        help="Export without the data of the run: no int8 file, no accuracy, and checks on random patches.",
    )
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import parse_with_run

    options, data = parse_with_run(build, argv, adopted=False)
    if not options.output:
        raise UserError("no folder for the export; name one with --output")
    from compactnas.exporting.writing import export_run
    from compactnas.reporting.progress import Counter

    with Counter("patches") as counter:
        parity = export_run(
            Path(options.run), Path(options.output), data=data, without_data=options.without_data, progress=counter.at
        )
    if options.json:
        print(json.dumps(parity.to_json(), indent=2))
    else:
        _show(Path(options.output), parity)
    return 0


def _show(out: Path, parity: Parity) -> None:
    from rich.table import Table
    from rich.text import Text

    from compactnas.cli.tables import console

    where = f"{parity.rows.n} patches, " + (f"{parity.rows.part} part of {parity.data}" if parity.data else "random")
    table = Table(title=Text(where), title_justify="left")
    table.add_column("file")
    for name in ("bytes", "largest difference", "same class %", "OA %"):
        table.add_column(name, justify="right")
    if parity.oa is not None:
        table.add_row("the network itself", "", "", "", f"{100 * parity.oa:.2f}")
    for name, found in parity.files.items():
        size, oa = (out / name).stat().st_size, "" if found.oa is None else f"{100 * found.oa:.2f}"
        table.add_row(name, f"{size:,}", f"{found.largest_difference:.1e}", f"{100 * found.same_class:.2f}", oa)
    console().print(table)
    if parity.int8 is not None:
        ranges, chosen = parity.int8.calibrated_on, parity.int8.chosen_on
        print(
            f"int8: {parity.int8.method}, calibrated on {ranges.n} patches of the {ranges.part} part, "
            f"chosen on {chosen.n} of the {chosen.part} part"
        )
    print(f"made: {out}; next: compactnas bench {out}")


COMMAND = Command(
    group="Use a network",
    summary="write a trained network as files for other software",
    examples=(
        "compactnas export run -o export",
        "compactnas export run -o export --without-data",
        "compactnas export run -o export --data.path elsewhere/so2sat",
    ),
    build=build,
    run=main,
)
