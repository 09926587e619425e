"""Write one HTML file that shows the tables, curves, cells and confusion matrices of runs. It works offline."""

from compactnas.reporting.figures.cell import draw_cell
from compactnas.reporting.run.page import write_report

__all__ = ["draw_cell", "write_report"]
