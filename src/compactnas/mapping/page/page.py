"""Write the page of a map. It loads nothing; texts from files are escaped."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.io.atomic import write_bytes
from compactnas.mapping.overview import Overview
from compactnas.mapping.page.ground import POINTS, Ground
from compactnas.mapping.page.layers import Layer, LegendRow, jpeg, palette_png
from compactnas.scenes.scene import Place

LONGEST = 1500
"""Largest number of cells along the longer side of a map on the page; of larger maps, every nth cell is shown."""
SCENE_BYTES = 2 * 2**20
"""Largest picture of the scene. With it and three layers of random values, a page stays below 10 MB."""


@dataclass(frozen=True)
class Picture:
    """A picture under the layers, as the page shows it.

    Attributes:
        source: JPEG as a `data:` URI.
        columns: Width in cells of the map.
        rows: Height in cells of the map.
        caption: Caption.
    """

    source: str
    columns: float
    rows: float
    caption: str

    @classmethod
    def of(cls, overview: Overview) -> Picture:
        """Encode an overview of a scene."""
        return cls(_uri("jpeg", jpeg(overview.pixels, SCENE_BYTES)), overview.columns, overview.rows, overview.caption)


def write_page(
    file: Path, title: str, place: Place, layers: Sequence[Layer], picture: Picture | None, facts: Sequence[str]
) -> Path:
    """Write a map as one HTML file of less than 10 MB.

    Args:
        file: File to write.
        title: Title of the page.
        place: Georeference of the map.
        layers: Layers, the one that is shown first at the start.
        picture: Picture of the scene under the layers; None for no picture.
        facts: Further facts about the map, each one sentence.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    thin = -(-max(place.height, place.width) // LONGEST)
    ground = Ground.of(place)
    script = resources.files(__package__).joinpath("page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("compactnas.mapping.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: _clean(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(
        title=title,
        script=script,
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        layers=[_shown(layer, thin, ground) for layer in layers],
        picture=picture,
        facts=[_size(place, ground, thin), *facts],
        aspect=f"{place.width * ground.width_m:.3f} / {place.height * ground.height_m:.3f}",
        wide=(_percent(picture.columns, place.width), _percent(picture.rows, place.height)) if picture else (),
        cover=tuple(_percent(-(-side // thin) * thin, side) for side in (place.width, place.height)),
        data=_data(place, ground, thin, layers),
    )
    write_bytes(file, text.encode("utf-8", errors="replace"))
    return file


def _size(place: Place, ground: Ground, thin: int) -> str:
    text = f"{place.width} x {place.height} cells of {ground.cell_text}, {ground.crs}, north is up."
    return text + (f" The page shows one of {thin} x {thin} cells; the shares are those of all cells." * (thin > 1))


def _data(place: Place, ground: Ground, thin: int, layers: Sequence[Layer]) -> dict[str, Any]:
    """Values for the script."""
    at = place.transform
    return {
        "columns": -(-place.width // thin),
        "rows": -(-place.height // thin),
        "whole": [place.width / thin, place.height / thin],
        "thin": thin,
        "cell_m": [ground.width_m * thin, ground.height_m * thin],
        "corner": [at.c, at.f],
        "cell": [at.a, at.e],
        "crs": _clean(ground.crs),
        "unit": ground.unit,
        "points": POINTS,
        "lonlat": ground.lonlat,
        "layers": [{"key": e.key, "name": _clean(e.name), "texts": [_clean(t) for t in e.texts]} for e in layers],
    }


def _shown(layer: Layer, thin: int, ground: Ground) -> dict[str, Any]:
    """Values of a layer for the template."""
    counts = np.bincount(layer.values.ravel(), minlength=256)
    total = int(counts[1:].sum())
    area = total * ground.cell_km2
    rows = [_row(row, int(counts[row.first : row.last + 1].sum()), total, area) for row in layer.legend]
    image = palette_png(np.ascontiguousarray(layer.values[::thin, ::thin]), layer.colours)
    return {
        "key": layer.key,
        "name": layer.name,
        "note": layer.note,
        "source": _uri("png", image),
        "rows": rows,
        "total_km2": _km2(area, area),
        "nothing": f"{100 * counts[0] / layer.values.size:.1f}" if counts[0] else "",
    }


def _row(row: LegendRow, count: int, total: int, area_km2: float) -> dict[str, Any]:
    red, green, blue = (int(row.colour[at : at + 2], 16) for at in (1, 3, 5))
    share = count / max(total, 1)
    return {
        "row": row,
        "ink": "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else "#FFFFFF",
        "share": ("<0.1" if share < 0.0005 else f"{100 * share:.1f}") if count else "",
        "km2": _km2(share * area_km2, area_km2) if count else "",
    }


def _km2(area: float, total: float) -> str:
    """Write an area with the same number of decimals in all rows of a legend."""
    decimals = 2 if total < 100 else 1 if total < 1000 else 0
    least: float = 10.0**-decimals
    return f"{area:,.{decimals}f}" if area >= least / 2 else f"<{least:g}"


def _percent(part: int | float, whole: int) -> str:
    return f"{100 * part / whole:.4f}%"


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode()}"


def _clean(text: str) -> str:
    """Replace control characters and others that cannot be shown."""
    return "".join(c if c.isprintable() or c in "\n\t\xa0" else "\N{REPLACEMENT CHARACTER}" for c in text)
