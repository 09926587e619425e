"""`compactnas cost`: count the parameters and multiply-accumulates of a network."""

from __future__ import annotations

import json

from compactnas.cli.options import Parser, require_model

CONVENTION = (
    "MACs: multiply-accumulates of convolutions and linear layers for one patch, counted by operator; "
    "papers often print them as FLOPs. Parameters: all trained weights."
)


def build() -> Parser:
    """The command's options."""
    parser = Parser(
        "cost",
        "--model MODEL [--bands N] [--classes N] [--patch-px N] [--json]",
        "Count the parameters and multiply-accumulates of a network; nothing is computed for it.",
    )
    parser.add_argument("--model", type=str, default="", help="a baseline's name, a genotype's file or a run's folder")
    parser.add_argument("--bands", type=int, default=10, help="bands of a patch")
    parser.add_argument("--classes", type=int, default=17, help="classes of the answer")
    parser.add_argument("--patch-px", type=int, default=32, help="side of a patch")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = build()
    options = parser.parse_args(parser.words(argv))
    require_model(options.model)
    import torch

    from compactnas.cost.table import count
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
    # Found cells differ by less than ResNets do.
    digits = 2 if known else 3
    print(f"{options.model}: {spec.bands} bands, {spec.classes} classes, {spec.patch_px} px")
    print(f"{cost.parameters / 1e6:.4f} M parameters, {cost.macs / 1e6:.{digits}f} M MACs")
    print(CONVENTION)
    return 0
