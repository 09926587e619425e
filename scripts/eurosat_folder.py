"""Write EuroSAT RGB as a folder of JPEG files by class, with its splits as CSV files inside it.

    python scripts/eurosat_folder.py eurosat_rgb_64_jpeg.npz DEST

The archive holds the original JPEG bytes (`jpeg_bytes`, `offsets`, `labels`, `class_names`,
`filenames`, `split_spatial` with 0/1/2 = train/validation/test); they are written unchanged. The splits:

    split_spatial.csv        all 27,000: training, validation and test apart by longitude
    split_spatial_small.csv  400 training patches of each class (those of eurosat_rgb_32_small.npz
                             if it lies beside the archive, else drawn), no validation, the whole test
    split_spatial_chosen.csv the same training patches, the whole validation and the whole test: to choose by
    split_spatial_uneven.csv training patches of classes that are not equally frequent: from as many of the first as the
                             rarest has, evenly on the logarithm down to a tenth of that; whole validation, whole test
    split_reverse.csv        the other way round, to choose by as well: training on the validation places, validation
                             on as many patches of the training places, the others of them as test; no test places
    split_random.csv         the spatial training part cut at random, 80 % training, 20 % test
    split_random_small.csv   the same test part, and the training patches of both others
    fold_1.csv to fold_5.csv the same five folds of 5,400 patches from west to east (eurosat_places.py); fold K is the
                             test part of fold_K.csv, the next fold (after the fifth the first) its validation part,
                             and the other three its training part
    find_1.csv to find_5.csv the same test parts; all other folds train, each of them a group (for `compactnas find`)
    places.csv               the group of each patch: those of folds 1 to 3 that are probably of one place, or its fold
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from eurosat_places import FOLDS, places_of
from numpy.typing import NDArray

SMALL = "eurosat_rgb_32_small.npz"
SMALL_PER_CLASS = 400
RAREST_SHARE = 0.1
HEADERS = ("path", "split", "group")
SEED = 0


def small_training(
    archive: Path, names: NDArray[np.str_], labels: NDArray[np.int64], training: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which patches train in the small split."""
    beside = archive.with_name(SMALL)
    if beside.exists():
        with np.load(beside, allow_pickle=False) as small:
            chosen = small["filenames"][small["split_spatial"] == 0]
        return training & np.isin(names, chosen)
    rng = np.random.default_rng(SEED)
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        mask[rng.choice(np.flatnonzero(training & (labels == label)), SMALL_PER_CLASS, replace=False)] = True
    return mask


def uneven_training(labels: NDArray[np.int64], training: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which patches train where the first class is the most frequent one and the last the rarest."""
    rng = np.random.default_rng(SEED)
    rows = [np.flatnonzero(training & (labels == label)) for label in np.unique(labels)]
    most = min(map(len, rows))
    mask = np.zeros(len(labels), bool)
    for own, share in zip(rows, np.geomspace(1, RAREST_SHARE, len(rows)), strict=True):
        mask[rng.choice(own, round(share * most), replace=False)] = True
    return mask


def write_rows(path: Path, headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> int:
    """Write rows in the order of the paths, under as many headers as they have; gives the number of rows."""
    rows = sorted(rows)
    with path.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(headers[: len(rows[0])])
        writer.writerows(rows)
    return len(rows)


def fold_rows(paths: list[str], folds: NDArray[np.int64], test: int) -> Iterable[tuple[str, str]]:
    """Part of each patch where one fold tests: the next fold chooses, the others train."""
    validation = test % FOLDS + 1
    for path, fold in zip(paths, folds.tolist(), strict=True):
        yield path, "test" if fold == test else "validation" if fold == validation else "train"


def find_rows(paths: list[str], folds: NDArray[np.int64], test: int) -> Iterable[tuple[str, str, str]]:
    """Part and group of each patch where one fold tests and all others train."""
    for path, fold in zip(paths, folds.tolist(), strict=True):
        yield path, "test" if fold == test else "train", f"fold {fold}"


def write(archive: Path, dest: Path) -> None:
    """Write the images and the splits; DEST must not exist."""
    with np.load(archive, allow_pickle=False) as data:
        names, labels, split = data["filenames"], data["labels"].astype(np.int64), data["split_spatial"]
        classes, offsets, jpegs = data["class_names"], data["offsets"], data["jpeg_bytes"]
        places = places_of(data)
    dest.mkdir(parents=True)
    for name in classes:
        (dest / str(name)).mkdir()
    paths = [f"{classes[label]}/{name}" for label, name in zip(labels, names, strict=True)]
    for path, start, end in zip(paths, offsets[:-1], offsets[1:], strict=True):
        (dest / path).write_bytes(jpegs[start:end].tobytes())
    words = np.array(("train", "validation", "test"))[split]
    small = small_training(archive, names, labels, split == 0)
    uneven = uneven_training(labels, split == 0)
    training = np.random.default_rng(SEED).permutation(np.flatnonzero(split == 0))
    fifth = round(0.2 * len(training))
    forth, back = ([path for path, part in zip(paths, split, strict=True) if part == number] for number in (0, 1))
    forth.sort()  # drawn by this generator, as for results/beyond.jsonl
    random.Random(SEED).shuffle(forth)
    held = set(forth[: len(back)])
    splits = {
        "split_spatial": zip(paths, words, strict=True),
        "split_spatial_small": ((paths[row], words[row]) for row in np.flatnonzero(small | (split == 2))),
        "split_spatial_chosen": ((paths[row], words[row]) for row in np.flatnonzero(small | (split > 0))),
        "split_spatial_uneven": ((paths[row], words[row]) for row in np.flatnonzero(uneven | (split > 0))),
        "split_reverse": [(path, "train") for path in back]
        + [(path, "validation" if path in held else "test") for path in forth],
        "split_random": [(paths[row], "test" if place < fifth else "train") for place, row in enumerate(training)],
        "split_random_small": (
            (paths[row], "test" if place < fifth else "train")
            for place, row in enumerate(training)
            if place < fifth or small[row]
        ),
        **{f"fold_{number}": fold_rows(paths, places.folds, number) for number in range(1, FOLDS + 1)},
        **{f"find_{number}": find_rows(paths, places.folds, number) for number in range(1, FOLDS + 1)},
    }
    print(f"{dest}: {len(paths)} images in {len(classes)} classes; {places.said}")
    for name, rows in splits.items():
        print(f"{dest / name}.csv: {write_rows(dest / f'{name}.csv', HEADERS, rows)} rows")
    groups = zip(paths, places.groups.tolist(), strict=True)
    print(f"{dest / 'places.csv'}: {write_rows(dest / 'places.csv', ('path', 'group'), groups)} rows")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("archive", type=Path, help="eurosat_rgb_64_jpeg.npz")
    parser.add_argument("dest", type=Path, help="folder to make; it must not exist yet")
    arguments = parser.parse_args()
    if arguments.dest.exists():
        sys.exit(f"{arguments.dest}: exists already; remove it or choose another folder")
    try:
        write(arguments.archive, arguments.dest)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{arguments.archive}: {error}")


if __name__ == "__main__":
    main()
