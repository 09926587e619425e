"""`compactnas cost`: count the parameters and multiply-accumulates of a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compactnas.cli.command import Command

if TYPE_CHECKING:
    from compactnas.cli.parser import Parser


CONVENTION = (
    "MACs: multiply-accumulates of convolutions and linear layers for one patch, counted by operator; "
    "papers often print them as FLOPs. Parameters: all trained weights."
)


def build() -> Parser:
    """Make the parser of the command."""
    from compactnas.cli.options import JSON
    from compactnas.cli.parser import Parser

    parser = Parser(
        "cost",
        "--model MODEL [--bands N] [--classes N] [--patch-px N] [--json]",
        "Count the parameters and multiply-accumulates (MACs) of a network. Nothing is trained.",
        required=("--model",),
    )
    parser.add_argument("--model", type=str, default="", help="Baseline, genotype file or run folder.")
    parser.add_argument("--bands", type=int, default=10, help="Number of bands of a patch.")
    parser.add_argument("--classes", type=int, default=17, help="Number of classes.")
    parser.add_argument("--patch-px", type=int, default=32, help="Side of a patch in pixels.")
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    from compactnas.cli.options import require_model

    parser = build()
    options = parser.parsed(parser.words(argv))
    require_model(options.model)
    import torch

    from compactnas.cost.counter import count
    from compactnas.nn.baselines import BASELINES
    from compactnas.nn.registry import SEARCHED, ModelSpec
    from compactnas.nn.registry import build as build_model
    from compactnas.space.genotype import Genotype

    known = options.model in BASELINES
    spec = ModelSpec(
        name=options.model if known else SEARCHED,
        bands=options.bands,
        classes=options.classes,
        patch_px=options.patch_px,
        genotype=None if known else Genotype.load(options.model),
    )
    with torch.device("meta"):
        cost = count(build_model(spec), spec.bands, spec.patch_px)
    if options.json:
        sizes = {"bands": spec.bands, "classes": spec.classes, "patch_px": spec.patch_px}
        found = {"parameters": cost.parameters, "macs": cost.macs}
        print(json.dumps({"model": options.model, **sizes, **found, "convention": CONVENTION}))
        return 0
    # Searched cells differ less in MACs than ResNets do.
    digits = 2 if known else 3
    print(f"{options.model}: {spec.bands} bands, {spec.classes} classes, {spec.patch_px} px")
    print(f"{cost.parameters / 1e6:.4f} M parameters, {cost.macs / 1e6:.{digits}f} M MACs")
    print(CONVENTION)
    return 0


COMMAND = Command(
    group="Measure and compare",
    summary="count the parameters and MACs of a network",
    examples=(
        "compactnas cost --model resnet20",
        "compactnas cost --model demo-out/found",
        "compactnas cost --model genotype.json --bands 3 --classes 10 --patch-px 64",
    ),
    build=build,
    run=main,
)
