"""Write a genotype in words: its cell or layers, and the whole network."""

from __future__ import annotations

from compactnas.reporting.figures.layers import operations_by_block
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS


def genotype_words(genotype: Genotype) -> list[str]:
    """Draw a genotype as text, one line for each node of the cell or for each block of layers."""
    if LAYOUTS[genotype.layout].residual:
        return _layer_words(genotype)
    inputs = LAYOUTS[genotype.layout].inputs
    states = ["input"] if inputs == 1 else [f"input {number + 1}" for number in range(inputs)]
    states += [f"node {number + 1}" for number in range(len(genotype.nodes))]
    widths = f", widths {'-'.join(map(str, genotype.widths))}" if genotype.widths else ""
    depths = "-".join(map(str, genotype.depths))
    lines = [f"genotype: layout {genotype.layout}, {genotype.channels} channels, depths {depths}{widths}"]
    for number, edges in enumerate(genotype.nodes):
        terms = [f"{name}({states[source]})" for name, source in edges]
        lines.append(f"  {states[inputs + number]} = {' + '.join(terms) or '0'}")
    last = LAYOUTS[genotype.layout].output == "last"
    lines.append(f"  output = {states[-1]}" if last else "  output = concatenation of all nodes")
    return lines


def _layer_words(genotype: Genotype) -> list[str]:
    depths = "-".join(map(str, genotype.depths))
    channels = "-".join(map(str, genotype.block_channels))
    lines = [f"genotype: layout {genotype.layout}, channels {channels}, depths {depths} behind the reductions"]
    for block, names in enumerate(operations_by_block(genotype)):
        first = f"reduction {names[0]}, " if block else ""
        layers = names[1:] if block else names
        same = f"{len(layers)} x {layers[0]}" if len(set(layers)) == 1 else ", ".join(layers)
        lines.append(f"  block {block + 1}: {first}layers {same}")
    return lines


def network_words(genotype: Genotype, bands: int | None, classes: int | None, patch_px: int | None) -> list[str]:
    """List the parts of the whole network, from the patch to the classes, as `backbone_figure` draws them."""
    layout = LAYOUTS[genotype.layout]
    unit = "layer" if layout.residual else "cell"
    side = f", {patch_px} x {patch_px} px" if patch_px else ""
    lines = [f"patch: {bands or ''} bands{side}".replace("  ", " ")]
    lines.append(f"stem: conv 3x3, {layout.stem_multiplier * genotype.block_channels[0]} channels")
    for block, (depth, channels) in enumerate(zip(genotype.depths, genotype.block_channels, strict=True)):
        size = f", {-(-patch_px // 2**block)} px" if patch_px else ""  # a stride of 2 rounds up
        halved = "after a reduction of stride 2: " if block else ""
        lines.append(f"block {block + 1}: {halved}{depth} {unit}{'s' * (depth != 1)}, {channels} channels{size}")
    lines.append(f"classify: mean, linear, {classes or ''} classes".replace("  ", " "))
    return lines
