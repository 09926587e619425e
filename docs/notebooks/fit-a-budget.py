# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A network under 20 M MACs
#
# A satellite, a camera or a microcontroller sets a budget. This notebook finds a network for patches like EuroSAT's
# (three bands of 8 bits, 32 px) that needs less than 20 M multiply-accumulates (MACs) for a patch, compares its cost
# with ResNets, and exports it to ONNX. It needs the extra `export`.
#
# If there is a folder `EuroSAT_RGB` with a folder of JPEG files for each class, it is taken. **Otherwise the data is
# made**: a synthetic world in true colour, with ten kinds of land cover. The accuracy below is then that of the
# synthetic world, and says nothing about EuroSAT.

# %%
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import compactnas as cn
from compactnas.nn.baselines import BASELINES

SMALL = os.environ.get("COMPACTNAS_NOTEBOOKS") == "small"  # only the tests of this project set it
PATCHES, SEARCH_EPOCHS, TRAIN_EPOCHS = (60, 1, 1) if SMALL else (600, 4, 10)

# %%
COVERS = {
    "dense houses": ("Compact high-rise", "Compact mid-rise", "Compact low-rise"),
    "open houses": ("Open high-rise", "Open mid-rise", "Open low-rise"),
    "huts": ("Lightweight low-rise",),
    "halls": ("Large low-rise", "Heavy industry"),
    "scattered houses": ("Sparsely built",),
    "forest": ("Dense trees",),
    "trees and bush": ("Scattered trees", "Bush, scrub"),
    "grass": ("Low plants",),
    "bare ground": ("Bare rock or paved", "Bare soil or sand"),
    "water": ("Water",),
}
cover_of = {zone: cover for cover, zones in COVERS.items() for zone in zones}


def true_colour(part):
    """Turn reflectance into 8-bit red, green and blue, and zones into land covers."""
    red, green, blue = (part.images[:, part.bands.index(band)] for band in ("B04", "B03", "B02"))
    images = np.clip(np.stack([red, green, blue], axis=1) * 850, 0, 255).astype(np.uint8)
    return images, np.array([cover_of[zone] for zone in part.labels]), part.groups


if Path("EuroSAT_RGB").is_dir():
    data = cn.open_dataset(cn.DataConfig(path="EuroSAT_RGB", downsample=2, split="random"))
    names = np.array(data.source.facts.classes)
    taken = data.parts["train"][:PATCHES], data.parts["test"][:PATCHES]
    (images, labels), (test_images, test_labels) = (data.source.batch(np.sort(rows)) for rows in taken)
    labels, test_labels, groups = names[labels], names[test_labels], None
else:
    print("made data: synthetic cities, not EuroSAT")
    train, test = cn.datasets.synthetic(PATCHES, cities=1 if SMALL else 3, test_cities=1, scene_px=264)
    images, labels, groups = true_colour(train)
    test_images, test_labels, _ = true_colour(test)

figure, axes = plt.subplots(1, 10, figsize=(13, 1.7), layout="constrained")
for axis, name in zip(axes, np.unique(labels), strict=False):
    axis.imshow(images[np.flatnonzero(labels == name)[0]].transpose(1, 2, 0))
    axis.set_title(name, fontsize=8)
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## Search within the budget
#
# The network found keeps the budget, and uses at least 95 % of it. Without a budget, the search weighs cost against
# accuracy by a fixed factor, and you learn the cost only afterwards. A limit of parameters works in the same way
# (`max_parameters`).

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
model.fit(images, labels, groups=groups, bands=("R", "G", "B"))
model.genotype

# %%
model.history.plot()

# %% [markdown]
# ## What it costs
#
# The counts are exact: they do not depend on a machine.

# %%
classes, patch_px = len(model.classes_), images.shape[-1]
costs = {"found": cn.genotype_cost(model.genotype, 3, classes, patch_px)}
for name in ("resnet8", "resnet20", "resnet110"):
    network = cn.build(cn.ModelSpec(name, 3, classes, patch_px))
    costs[BASELINES[name].label] = cn.count(network, 3, patch_px)
for name, cost in costs.items():
    print(f"{name:12} {cost.macs / 1e6:7.2f} M MACs {cost.parameters / 1e3:8.1f} thousand parameters")
assert costs["found"].macs <= 20e6

# %%
figure, axis = plt.subplots(figsize=(6, 2.2), layout="constrained")
axis.barh(list(costs), [cost.macs / 1e6 for cost in costs.values()], color=["#C2410C", "#999999", "#999999", "#999999"])
axis.axvline(20, color="black", linestyle="--", linewidth=1)
axis.text(21, 1, "budget", fontsize=8, va="center")
axis.set(xscale="log", xlim=(8, 300), xlabel="M MACs of a patch, logarithmic")
axis.set_xticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
axis.minorticks_off()
axis.invert_yaxis()
plt.show()

# %% [markdown]
# ## What it can do
#
# Patches of cities that the network has not seen.

# %%
print(f"{100 * model.score(test_images, test_labels):.1f} % of {len(test_labels)} patches right")
guess = np.mean(test_labels == max(set(labels), key=list(labels).count))
print(f"always the most frequent class: {100 * guess:.1f} %")

confusion = np.zeros((classes, classes), int)
places = {name: place for place, name in enumerate(model.classes_)}
for true, said in zip(test_labels, model.predict(test_images), strict=True):
    confusion[places[true], places[said]] += 1
figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
share = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
for row, column in np.argwhere(confusion):
    colour = "white" if share[row, column] > 0.5 else "black"
    axis.text(column, row, confusion[row, column], ha="center", va="center", fontsize=8, color=colour)
axis.set_xticks(range(classes), model.classes_, rotation=45, ha="right")
axis.set_yticks(range(classes), model.classes_)
axis.set(xlabel="predicted", ylabel="true")
plt.show()

# %% [markdown]
# ## Take it away
#
# The exported files need nothing of compactnas. Here onnxruntime runs the network on one core of this machine; a
# latency budget of your own device is in [budgets](../budgets-latency.md).

# %%
import onnxruntime

folder = model.export("exported")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
patch = test_images[:1].astype(np.float32)
name = session.get_inputs()[0].name
(probabilities,) = session.run(None, {name: patch})
np.testing.assert_allclose(probabilities, model.predict_proba(patch), atol=1e-5)
times = []
for _ in range(50):
    began = time.perf_counter()
    session.run(None, {name: patch})
    times.append(1000 * (time.perf_counter() - began))
print(f"{(folder / 'model.onnx').stat().st_size / 1024:.0f} KiB, {np.median(times):.2f} ms for a patch")

# %% [markdown]
# Next: [budgets](../budgets.md), [export](../export.md).
