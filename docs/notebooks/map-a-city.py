# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Map a city from polygons
#
# You have a scene of your city, and polygons of its Local Climate Zones (LCZ) that you drew in QGIS or Google Earth.
# This notebook finds a small network for them, maps the city, and measures the map. It needs the extra `map`.
#
# Scene and polygons are made here, of a synthetic city, so that the notebook runs anywhere in a few minutes. With your
# own files, leave out the next two cells and name your files.

# %%
import json
import os
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio
from matplotlib.colors import ListedColormap

import compactnas as cn
from compactnas.lcz import CLASSES

SMALL = os.environ.get("COMPACTNAS_NOTEBOOKS") == "small"  # only the tests of this project set it
SCENE_PX, SEARCH_EPOCHS, TRAIN_EPOCHS = (264, 1, 1) if SMALL else (480, 3, 12)

cn.write_world("world", cities=1, test_cities=1, patches=60, scene_px=SCENE_PX, scenes=True, seed=3)
truth = sorted(Path("world/scenes").glob("*_lcz.tif"))[0]
scene = truth.with_name(truth.name.replace("_lcz", ""))
print(scene, truth)

# %% [markdown]
# Squares of 160 m inside one zone of the true map stand for polygons that you would draw. Every second square of a zone
# is kept back to measure the map: an accuracy on polygons that the network was trained on would mean nothing.


# %%
def draw(raster, side=16, apart=32):
    """Draw squares that lie in one zone, and share them between two files."""
    lcz, place = raster.read(1), raster.transform
    drawn, seen = {"train": [], "test": []}, Counter()
    for row in range(side, lcz.shape[0] - side, apart):
        for column in range(side, lcz.shape[1] - side, apart):
            square = lcz[row : row + side, column : column + side]
            if (square == square[0, 0]).all():
                number = int(square[0, 0])
                corners = [(column + x, row + y) for x, y in ((0, 0), (side, 0), (side, side), (0, side), (0, 0))]
                shape = {"type": "Polygon", "coordinates": [[place * corner for corner in corners]]}
                part = ("train", "test")[seen[number] % 2]
                drawn[part].append({"type": "Feature", "properties": {"lcz": number}, "geometry": shape})
                seen[number] += 1
    crs = {"type": "name", "properties": {"name": str(raster.crs)}}
    for part, features in drawn.items():
        Path(f"{part}.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
        print(f"{part}.geojson: {len(features)} polygons of {len({f['properties']['lcz'] for f in features})} zones")


with rasterio.open(truth) as raster:
    draw(raster)


# %% [markdown]
# ## Open
#
# Windows of 32 x 32 pixels (320 m) whose centres lie in a polygon become patches. The polygon of a patch is its group.


# %%
def patches(labels):
    """Cut the windows of polygons: images, names of zones, polygons, bands."""
    source = cn.open_source(cn.DataConfig(path=str(scene), labels=labels, stride_px=8))
    images, codes = source.batch(np.arange(len(source.facts.labels)))
    return images, np.array(source.facts.classes)[codes], source.facts.groups, source.facts.bands


images, zones, polygons, bands = patches("train.geojson")
print(images.shape, bands)

# %% [markdown]
# ## Find and train a network
#
# The search finds the cell and the depth of the network, within the budget; then the network is trained from scratch.
# These few epochs are enough for a look. For a real map, leave out `settings`, or take `recipe="paper"` on a GPU.

# %%
settings = {
    "search.epochs": SEARCH_EPOCHS,
    "search.batch_size": 32,
    "train.epochs": TRAIN_EPOCHS,
    "train.batch_size": 32,
}
if SMALL:
    settings |= {"space.channels": 4, "space.max_depth": 1, "search.initial_depth": 1}
    settings |= {"space.operations": ("max_pool_3x3", "dil_conv_3x3"), "search.candidates": 4}
model = cn.CompactClassifier(max_macs=20e6, recipe="quick", settings=settings)
model.fit(images, zones, groups=polygons, bands=bands)
model.genotype

# %%
others, their_zones, _, _ = patches("test.geojson")
print(f"patches of the other polygons: {100 * model.score(others, their_zones):.0f} % right")

# %% [markdown]
# ## Map
#
# `map` gives the zone of each cell of 100 m as an `xarray.DataArray`, with coordinates. With a folder, it also writes
# GeoTIFFs for QGIS and W2W, and a page to look at.

# %%
found = model.map(scene, "map")
found

# %%
with rasterio.open(next(Path("map").glob("*_wudapt.tif"))) as raster:
    confidence = raster.read(1 + raster.descriptions.index("classProbability"))
with rasterio.open(scene) as raster:
    colour = raster.read([1 + raster.descriptions.index(band) for band in ("B04", "B03", "B02")]).transpose(1, 2, 0)

figure, axes = plt.subplots(1, 3, figsize=(13, 4.8), layout="constrained")
axes[0].imshow(np.clip(colour / np.percentile(colour, 98), 0, 1))
axes[0].set_title("scene")
zone_colours = ListedColormap([zone.colour for zone in CLASSES])
axes[1].imshow(np.where(found > 0, found, np.nan), cmap=zone_colours, vmin=0.5, vmax=17.5, interpolation="nearest")
axes[1].set_title("Local Climate Zones, cells of 100 m")
shown = axes[2].imshow(confidence, vmin=0, vmax=100, interpolation="nearest")
axes[2].set_title("confidence")
figure.colorbar(shown, ax=axes[2], label="largest class probability, %", shrink=0.8)
present = [zone for zone in CLASSES if zone.number in np.unique(found)]
handles = [plt.Rectangle((0, 0), 1, 1, color=zone.colour) for zone in present]
figure.legend(handles, [f"{zone.label} {zone.name}" for zone in present], loc="outside lower center", ncols=5)
for axis in axes:
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## How good is it?
#
# The map against the polygons that were kept back. The interval comes from resampling whole polygons.

# %%
against = cn.assess(next(Path("map").glob("*_lcz.tif")), "test.geojson")
low, high = (100 * end for end in against.every.intervals["oa"])
print(f"{100 * against.every.measures.oa:.0f} % of {against.every.n} cells right (95 %: {low:.0f} to {high:.0f} %)")

# %% [markdown]
# Polygons are drawn where a zone is easy to recognise, and so they flatter every map. Here the true zone of each cell
# is known, because the city is synthetic:

# %%
whole = cn.assess(next(Path("map").glob("*_lcz.tif")), truth)
print(f"{100 * whole.every.measures.oa:.0f} % of all {whole.every.n} cells right")
whole.every.measures

# %% [markdown]
# Save the network with `model.save("run")`: `compactnas map run scene.tif` then maps other scenes of the same sensor.
# Next: [accuracy of a map](../assess.md), [polygons](../data-polygons.md), [maps](../maps.md).
