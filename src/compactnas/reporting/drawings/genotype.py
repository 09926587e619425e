"""Genotype: its cell and its network."""

from __future__ import annotations

from compactnas.reporting.drawings._html import image
from compactnas.reporting.figures.backbone import backbone_figure
from compactnas.reporting.figures.cell import cell_figure
from compactnas.space.genotype import Genotype


def _draw(genotype: Genotype) -> str:
    return f"<div>{image(cell_figure(genotype))}</div><div>{image(backbone_figure(genotype, None, None, None))}</div>"


DRAWING = _draw
