"""What W2W (0.6) makes of a map and of a real WRF domain: run with the Python of an environment that holds w2w.

    python see_w2w_sample.py WORK MAP.tif GEO_EM.nc

It runs `w2w` on copies of both files, and looks at the map's cells around the middle of each WRF cell, within half its
side. If none is built, the WRF cell must not have become urban. If it has become urban, and one class has most of the
built cells, more than twice as many as the next, its land use must be 30 + LCZ. Prints what was seen as JSON; exit
code 1 on a difference, and 3 if W2W refuses the map because it does not cover the domain.
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

BUILT, URBAN = 10, 30
REFUSED = "LCZ domain should be larger than WRF domain"


def main() -> int:
    work, map_, domain = (Path(word) for word in sys.argv[1:4])
    work.mkdir(parents=True, exist_ok=True)
    for file in (map_, domain):
        shutil.copyfile(file, work / file.name)
    command = [Path(sys.executable).with_name("w2w"), str(work), map_.name, domain.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (work / "w2w.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        print(json.dumps({"w2w": done.returncode, "said": (done.stdout + done.stderr).splitlines()[-4:]}))
        return 3 if REFUSED in done.stdout else 1
    with rasterio.open(map_) as raster:
        band = 2 if "lczFilter" in raster.descriptions else 1
        seen = compare(work / domain.name.replace(".nc", "_LCZ_params.nc"), raster, band)
    seen |= {"band": band, "OK": done.stdout.count(" OK")}
    print(json.dumps(seen))
    return 0 if seen["natural"] and sum(seen["built"].values()) > 10 and not seen["different"] else 1


def compare(params: Path, raster: object, band: int) -> dict[str, object]:
    """Land use of each WRF cell against the class that fills its surroundings in the map."""
    with xr.open_dataset(params) as found:
        land, cell_m = found.LU_INDEX.values[0].astype(int), float(found.attrs["DX"])
        longitude, latitude = found.XLONG_M.values[0], found.XLAT_M.values[0]
        if found.attrs["MAP_PROJ"] == 6:  # DX is in degrees on a domain in longitude and latitude
            cell_m = float(np.diff(latitude[:, 0]).mean()) * 111_195
    labels, place = raster.read(band), raster.transform
    labels = np.where((labels > 100) & (labels < 108), labels - 90, labels)
    side_m = -place.e * (1 if raster.crs.is_projected else 111_195)
    half = cell_m / side_m / 2
    x, y = pyproj.Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True).transform(longitude, latitude)
    rows, columns = (y - place.f) / place.e, (x - place.c) / place.a
    built: dict[int, int] = {}
    natural, different = 0, []
    for row, column, use in zip(rows.ravel(), columns.ravel(), land.ravel(), strict=True):
        down, along = (slice(max(0, int(at - half)), int(at + half) + 1) for at in (row, column))
        counts = np.bincount(labels[down, along].ravel().clip(0), minlength=18)[1 : BUILT + 1]
        lcz, (second, first) = 1 + int(counts.argmax()), sorted(counts)[-2:]
        if (not first and use > URBAN) or (first > 2 * second and use > URBAN and use != lcz + URBAN):
            different.append([int(row), int(column), lcz if first else 0, int(use)])
        elif not first:
            natural += 1
        elif use > URBAN and first > 2 * second:
            built[lcz] = built.get(lcz, 0) + 1
    urban = int((land > URBAN).sum())
    return {"urban": urban, "built": dict(sorted(built.items())), "natural": natural, "different": different[:5]}


if __name__ == "__main__":
    sys.exit(main())
