"""Keep results across forks: of a forked process, what it computed is lost, and most commands compute the same again.

Only functions whose result depends on their arguments alone are kept. Nothing here writes to files.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

FUNCTIONS = (
    ("compactnas.config.values", "_parse"),
    ("compactnas.cost.table", "_table"),
    ("compactnas.cost.counter", "genotype_cost"),
    ("compactnas.reporting.study.tables", "_computed"),
)
"""Functions that are kept, by module and name."""


class Kept:
    """Function whose results the processes that are forked later know."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self.function = name, function
        self.known, self.new = dict[bytes, bytes](), dict[bytes, bytes]()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.found(pickle.dumps((args, kwargs)), lambda: self.function(*args, **kwargs))

    def found(self, key: bytes, make: Callable[[], Any]) -> Any:
        """Return the result of a key, made only if it is not known."""
        key = hashlib.sha256(key).digest()
        if key not in self.known:
            self.known[key] = self.new[key] = pickle.dumps(make())
        return pickle.loads(self.known[key])


class Drawn(Kept):
    """`Figure.savefig`: drawing takes as long as a small map. Figures of the same parts have the same picture."""

    def bound(self) -> Callable[..., Any]:
        """Make the method that stands in the class."""

        def savefig(figure: Any, file: Any, **kwargs: Any) -> None:
            kwargs.setdefault("format", Path(str(file)).suffix[1:] or "png")

            def content() -> bytes:
                buffer = BytesIO()
                self.function(figure, buffer, **kwargs)
                return buffer.getvalue()

            made = self.found(pickle.dumps((_parts(figure), kwargs)), content)
            if hasattr(file, "write"):
                file.write(made)
            else:
                Path(file).write_bytes(made)

        return savefig


SHOWN = ("get_text", "get_position", "get_array", "get_xydata", "get_offsets", "get_bbox", "get_color", "get_facecolor")
"""What tells an artist of a figure from another one."""


def _parts(figure: Any) -> list[str]:
    """Describe the parts of a figure by their data, texts, places and colours."""
    from matplotlib.offsetbox import OffsetBox

    found = [repr(tuple(figure.get_size_inches()))]
    for artist in figure.findobj(lambda artist: not isinstance(artist, OffsetBox)):  # its parts are found as well
        values = [getattr(artist, name)() for name in SHOWN if hasattr(artist, name)]
        told = [value.tobytes() if hasattr(value, "tobytes") else str(value) for value in values]
        found.append(f"{type(artist).__name__} {told}")
    return found


KEPT: dict[str, Kept] = {}


def keep() -> None:
    """Replace the functions of `FUNCTIONS` that are imported, and the drawing of figures, wherever they are named."""
    for place, name in FUNCTIONS:
        if place in sys.modules and name not in KEPT:
            function = getattr(sys.modules[place], name)
            KEPT[name] = Kept(name, function)
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is function:
                    setattr(module, name, KEPT[name])
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and "savefig" not in KEPT:
        KEPT["savefig"] = drawn = Drawn("savefig", figures.Figure.savefig)
        figures.Figure.savefig = drawn.bound()


def learnt() -> dict[str, dict[str, str]]:
    """Results that this process has found, to be passed on."""
    return {
        name: {key.hex(): value.hex() for key, value in kept.new.items()} for name, kept in KEPT.items() if kept.new
    }


def learn(found: dict[str, dict[str, str]]) -> None:
    """Take what a forked process has found."""
    for name, results in found.items():
        for key, value in results.items():
            KEPT[name].known[bytes.fromhex(key)] = bytes.fromhex(value)
