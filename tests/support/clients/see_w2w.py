"""What W2W (0.6) makes of a three-band map: run with the Python of an environment that holds w2w.

    python see_w2w.py WORK [MAP_3band.tif [HELD.tif]]

It lays a WRF domain of 300 m cells over the middle of the map (a `geo_em` file in the layout of WPS, Lambert
conformal), runs `w2w` on both, and looks at each WRF cell that lies well inside one class of the band `lczFilter`: a
built one must have become land use 30 + LCZ, a natural one must have kept that of the domain. HELD is looked at in
place of the map itself. Without a map, a control of one band in degrees is made here, by rasterio alone. Prints what
was seen as JSON; exit code 1 on a difference.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyproj
import rasterio
import xarray as xr

SPHERE = "+a=6370000 +b=6370000 +units=m"
CELL_M, BUILT, GRASS, URBAN, CATEGORIES = 300.0, 10, 10, 13, 21
INSIDE = 2
"""A WRF cell is well inside a class where so many cells of the map, about 100 m, are of it in each direction."""


def main() -> int:
    work, given = Path(sys.argv[1]), sys.argv[2:]
    work.mkdir(parents=True, exist_ok=True)
    map_ = work / "lcz.tif"
    shutil.copy(given[0], map_) if given else control(map_)
    with rasterio.open(given[-1] if given else map_) as raster:
        band = 2 if "lczFilter" in raster.descriptions else 1
        labels, transform, crs, bounds = raster.read(band), raster.transform, raster.crs, raster.bounds
    domain = geo_em(crs, bounds)
    domain.to_netcdf(work / "geo_em.d01.nc")
    near = str(min(domain.LU_INDEX.size, 400))
    command = [Path(sys.executable).with_name("w2w"), str(work), map_.name, "geo_em.d01.nc", "-n", "20", "-a", near]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (work / "w2w.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        print(json.dumps({"w2w": done.returncode, "said": (done.stdout + done.stderr).splitlines()[-3:]}))
        return 1
    seen = compare(work / "geo_em.d01_LCZ_params.nc", domain, labels, transform, crs)
    seen |= {"band": band, "filtered band found": "LczFilter" in done.stdout, "OK": done.stdout.count(" OK")}
    seen["warnings"] = [line.strip() for line in done.stdout.splitlines() if "WARNING" in line and "Parent" not in line]
    print(json.dumps(seen))
    return 0 if not seen["different"] and len(seen["built"]) > 1 and seen["filtered band found"] == (band == 2) else 1


def control(path: Path) -> None:
    """Stripes and blocks of classes in degrees, as WUDAPT's global map is: no file of ours."""
    rows, columns = np.mgrid[:150, :150]
    labels = (1 + (rows // 15 + 3 * (columns // 25)) % 17).astype(np.uint8)
    place = rasterio.Affine(0.001, 0, 9.0, 0, -0.001, 50.0)
    profile = {"driver": "GTiff", "height": 150, "width": 150, "count": 1, "dtype": "uint8", "nodata": 0}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=place) as raster:
        raster.write(labels, 1)


def geo_em(crs: object, bounds: object) -> xr.Dataset:
    """A domain of 300 m cells in the inner seven tenths of these bounds: grass, with a town in one corner."""
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    middle = to_degrees.transform((bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2)
    east, north = to_degrees.transform(bounds.right, bounds.top)
    lon_0, lat_0 = middle
    lambert = pyproj.Proj(f"+proj=lcc +lat_1={lat_0} +lat_2={lat_0} +lat_0={lat_0} +lon_0={lon_0} {SPHERE}")
    (x, _), (_, y) = (lambert(east, lat_0), lambert(lon_0, north))
    columns, rows = (2 * int(0.7 * reach / CELL_M) + 1 for reach in (x, y))
    xs, ys = ((np.arange(n) - (n - 1) / 2) * CELL_M for n in (columns, rows))
    lon, lat = lambert(*np.meshgrid(xs, ys), inverse=True)
    land = np.full((rows, columns), GRASS, np.float32)
    land[:2, :2] = URBAN
    cover = (np.arange(1, CATEGORIES + 1)[:, None, None] == land).astype(np.float32)
    at, by = ("Time", "south_north", "west_east"), {"MemoryOrder": "XY", "stagger": "M", "units": "category"}
    fields = {
        "XLAT_M": (at, lat[None].astype(np.float32), by),
        "XLONG_M": (at, lon[None].astype(np.float32), by),
        "LU_INDEX": (at, land[None], by | {"description": "Dominant category"}),
        "LANDUSEF": (
            ("Time", "land_cat", *at[1:]),
            cover[None],
            by | {"description": "Noah-modified 21-category IGBP-MODIS landuse"},
        ),
        "GREENFRAC": (("Time", "month", *at[1:]), np.full((1, 12, rows, columns), 0.5, np.float32), by),
    }
    truth = {name: np.float32(lat_0) for name in ("TRUELAT1", "TRUELAT2", "MOAD_CEN_LAT", "CEN_LAT")}
    truth |= {name: np.float32(lon_0) for name in ("STAND_LON", "CEN_LON")}
    numbers = {"MAP_PROJ": 1, "NUM_LAND_CAT": CATEGORIES, "ISURBAN": URBAN, "ISWATER": 17, "ISLAKE": 21}
    sizes = {"DX": np.float32(CELL_M), "DY": np.float32(CELL_M)}
    title = {"TITLE": "OUTPUT FROM GEOGRID V4.3"}
    return xr.Dataset(fields, attrs=title | truth | sizes | {name: np.int32(n) for name, n in numbers.items()})


def compare(params: Path, domain: xr.Dataset, labels: np.ndarray, transform: object, crs: object) -> dict[str, object]:
    """Land use of each WRF cell against the class of the map around its middle."""
    from_degrees = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = from_degrees.transform(domain.XLONG_M.values[0].ravel(), domain.XLAT_M.values[0].ravel())
    columns, rows = ~transform * (np.asarray(x), np.asarray(y))
    with xr.open_dataset(params) as found:
        land = found.LU_INDEX.values[0].ravel().astype(int)
    built: dict[int, int] = {}
    natural, different = 0, []
    at = np.column_stack((rows, columns, land)).astype(int)
    for row, column, use in at.tolist():
        around = labels[max(0, row - INSIDE) : row + INSIDE + 1, max(0, column - INSIDE) : column + INSIDE + 1]
        lcz = int(around.flat[0])
        if lcz == 0 or (around != lcz).any():
            continue
        if use != (lcz + 30 if lcz <= BUILT else GRASS):
            different.append([row, column, lcz, use])
        elif lcz <= BUILT:
            built[lcz] = built.get(lcz, 0) + 1
        else:
            natural += 1
    return {"cells": len(land), "built": dict(sorted(built.items())), "natural": natural, "different": different[:5]}


if __name__ == "__main__":
    sys.exit(main())
