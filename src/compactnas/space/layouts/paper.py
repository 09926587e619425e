"""`paper`: the macro network of NAS-Bench-201 with the operations of DARTS, as in the paper."""

from __future__ import annotations

from compactnas.space.layout import Layout

LAYOUT = Layout(inputs=1, output="last", has_widths=True)
