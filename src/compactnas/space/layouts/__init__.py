"""Macro networks, one file each: module NAME holds the layout NAME in the constant `LAYOUT`.

To add one, write a module that holds a `compactnas.space.layout.Layout`. A new kind of stem, reduction or head is built
in `compactnas.nn.backbone`. The tests that run over all layouts check it.
"""

from __future__ import annotations

from compactnas.registry import Registry
from compactnas.space.layout import Layout

LAYOUTS: Registry[Layout] = Registry(
    "layout", "compactnas.space.layouts", "LAYOUT", first=("paper", "lean", "nasnet", "mobile")
)
"""Layouts by the name that `space.layout` takes."""


def with_widths() -> str:
    """List the layouts whose widths can be searched for."""
    *first, last = [name for name, layout in LAYOUTS.items() if layout.has_widths]
    return f"{', '.join(first)} and {last}"
