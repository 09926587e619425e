"""Labels and colours of the candidate operations in figures."""

from __future__ import annotations

import re

from compactnas.space.operation_specs import OPERATIONS


def operation_label(name: str) -> str:
    """Label of an operation in drawings; the name itself if the operation is unknown."""
    if name not in OPERATIONS:
        return name
    return re.sub(r"(?<=\d)x(?=\d)", "\N{MULTIPLICATION SIGN}", OPERATIONS[name].label)


def operation_styles() -> str:
    """Write the CSS of the operations' colours, for light and dark backgrounds."""
    light = (f".cn-{name} {{ --cn-colour: {operation.colours[0]}; }}" for name, operation in OPERATIONS.items())
    dark = (f".cn-{name} {{ --cn-colour: {operation.colours[1]}; }}" for name, operation in OPERATIONS.items())
    lines = (f".cn-{name} .cn-edge {{ {operation.line} }}" for name, operation in OPERATIONS.items() if operation.line)
    dark_scheme = "@media (prefers-color-scheme: dark) {\n" + "\n".join(dark) + "\n}"
    return "\n".join([*light, dark_scheme, *lines, ""])
