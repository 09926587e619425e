# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Compare two strategies with random search
#
# Is a search strategy worth its time? It must beat random search that does the same work: random networks of the same
# cost are trained for a short time, and the best of them is kept. This notebook compares GDAS and SNAS, each with its
# own random search, on synthetic cities: it shows how to compare, not which strategy is better. Everything is so tiny
# that it takes ten minutes on one core; nothing here is a result for real patches.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import compactnas as cn

SMALL = os.environ.get("COMPACTNAS_NOTEBOOKS") == "small"  # only the tests of this project set it
PATCHES, SEARCHES, EPOCHS, RANDOM_EPOCHS, TRAIN_EPOCHS = (34, 1, 1, 6, 1) if SMALL else (240, 3, 3, 2, 6)
CHANNELS, MOST_MACS = (4, 1e6) if SMALL else (8, 3e6)

cn.write_world("world", cities=1 if SMALL else 2, test_cities=1, patches=PATCHES, scene_px=264, seed=5)

# %% [markdown]
# ## The study
#
# A study is a file. Each search is retrained once, so that the spread below is that of the whole method: another seed
# for the search, the network and the training. All networks have about the same cost.

# %%
Path("study.yaml").write_text(f"""
recipe: smoke
data: {{path: world}}
splits: [d1]
search_split: d1
methods:
  GDAS: {{strategy: gdas}}
  SNAS: {{strategy: snas, tau_start: 1.0, tau_end: 0.1}}
baselines: [resnet8]
random: false
random_search: [GDAS, SNAS]
random_epochs: {RANDOM_EPOCHS}
searches: {SEARCHES}
selection: each
retrainings: {SEARCHES}
space: {{max_depth: 1, channels: {CHANNELS}}}
search: {{epochs: {EPOCHS}, initial_depth: 1, max_macs: {MOST_MACS}, alpha_learning_rate: 0.03, batch_size: 16}}
train: {{epochs: {TRAIN_EPOCHS}, batch_size: 16, learning_rate: 0.05}}
machine: {{device: cpu}}
""")
study = cn.read_study(Path("study.yaml"))
cn.run_study(study, Path("study"))

# %% [markdown]
# ## What came out
#
# The patches of the test part lie in cities that no network was trained on.

# %%
(table,) = cn.study_tables(study, Path("study"))
table

# %%
view = cn.study_view(study, Path("study"))
names = {method.key: method.name for method in view.methods}
accuracies = {}
for training in view.trainings:
    accuracies.setdefault(names[training.method], []).append(100 * training.evaluation.measures.oa)

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for place, (name, found) in enumerate(accuracies.items()):
    axis.plot(found, [place] * len(found), "o", color="#C2410C" if "random" in name else "#1D4ED8", alpha=0.7)
    axis.plot(np.mean(found), place, "|", color="black", markersize=22)
axis.set_yticks(range(len(accuracies)), list(accuracies))
axis.set(xlabel="accuracy in unseen cities, %: each run, and the mean", ylim=(len(accuracies) - 0.5, -0.5))
axis.grid(axis="x", color="#E5E5E5")
plt.show()

# %% [markdown]
# ## What it does not tell
#
# Compare the distances between the means with the spread of one method:

# %%
searched = {name: found for name, found in accuracies.items() if name != "ResNet-8"}
means = [np.mean(found) for found in searched.values()]
spread = max(max(found) - min(found) for found in searched.values())
print(f"n = {SEARCHES} of each; the means differ by up to {max(means) - min(means):.1f} points,")
print(f"and the runs of a single method by up to {spread:.1f} points")

# %% [markdown]
# **With n = 3 this ranks nothing.** Three runs can show that a method fails, but not that one is better by a point or
# two: with three seeds, even methods that are equal put one of them first by chance. The networks here are also far too
# small, and trained for too few epochs, to say anything about those of real data.
#
# To rank methods, decide on the number of seeds (`searches`, `retrainings`) before you look at a result, and test on
# several places ([folds](../folds.md)): the report then gives each difference with its interval. Here, one made city
# tested them all. [Strategies](../strategies.md) has what was measured on EuroSAT; there, too, most differences were
# within the noise. `compactnas study study.yaml -o study` runs the same file from a shell and writes a report.
