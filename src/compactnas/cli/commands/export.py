"""`compactnas export`: a trained network as a folder that runs anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.cli.options import Parser, add_data_options, parse_with_run
from compactnas.errors import UserError

if TYPE_CHECKING:
    from compactnas.export.parity import Parity


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "export",
        "RUN --output DIR [--data.path PATH ...] [--without-data] [--json]",
        "Write the network of a run to a folder that stands alone: ONNX in float32 and in 8 bits, a torch.export "
        "program, safetensors, a model card and a STAC item, each checked against the network on patches of its data.",
    )
    add_data_options(parser)
    parser.add_argument("-o", "--output", type=str, default="", help="folder to make")
    parser.add_argument(
        "--without-data", action="store_true", help="the data is gone: no 8-bit file, no accuracy, made patches"
    )
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    options, data = parse_with_run(build, argv)
    if not options.output:
        raise UserError("no folder for the export; name one with --output")
    from compactnas.export.writing import export_run
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

    from compactnas.cli.commands.show import console

    where = f"{parity.rows.n} patches, " + (f"{parity.rows.part} part of {parity.data}" if parity.data else "made ones")
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
            f"8 bits: {parity.int8.method}, calibrated on {ranges.n} patches of the {ranges.part} part, "
            f"chosen on {chosen.n} of the {chosen.part} part"
        )
    print(f"made: {out}; next: compactnas bench {out}")
