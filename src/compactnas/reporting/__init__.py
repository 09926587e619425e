"""One HTML file that shows what runs found: tables, curves, cells, confusion; it needs no network."""

from compactnas.reporting.figures.cell import draw_cell
from compactnas.reporting.run.page import write_report

__all__ = ["draw_cell", "write_report"]
