"""Facts about the 17 Local Climate Zones (LCZ): names, colours, similarity, So2Sat counts.

Sources: classes, Stewart & Oke 2012 (doi:10.1175/BAMS-D-11-00019.1); colours and similarity,
WUDAPT (the similarity in HUMINEX, Bechtel et al. 2017, doi:10.3390/urbansci1020015); So2Sat LCZ42
and its counts, Zhu et al. 2020 (doi:10.1109/MGRS.2020.2964708), files of version 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LczClass:
    """One Local Climate Zone.

    Attributes:
        number: Number of the class, 1 to 17, as in rasters and So2Sat.
        letter: Letter of a natural class, "A" to "G" (Stewart & Oke 2012); "" for a built one.
        name: Name of the class.
        group: Whether the class is built (1 to 10) or natural (A to G).
        colour: Official WUDAPT colour, "#RRGGBB".
        colourblind: Alternative colour, ordered by hue and of even lightness, "#RRGGBB".
    """

    number: int
    letter: str
    name: str
    group: Literal["built", "natural"]
    colour: str
    colourblind: str

    @property
    def label(self) -> str:
        """Usual label: "1" to "10", "A" to "G"."""
        return self.letter or str(self.number)


CLASSES = (
    LczClass(1, "", "Compact high-rise", "built", "#8C0000", "#E16A86"),
    LczClass(2, "", "Compact mid-rise", "built", "#D10000", "#D8755E"),
    LczClass(3, "", "Compact low-rise", "built", "#FF0000", "#C98027"),
    LczClass(4, "", "Open high-rise", "built", "#BF4D00", "#B48C00"),
    LczClass(5, "", "Open mid-rise", "built", "#FF6600", "#989600"),
    LczClass(6, "", "Open low-rise", "built", "#FF9955", "#739F00"),
    LczClass(7, "", "Lightweight low-rise", "built", "#FAEE05", "#36A631"),
    LczClass(8, "", "Large low-rise", "built", "#BCBCBC", "#00AA63"),
    LczClass(9, "", "Sparsely built", "built", "#FFCCAA", "#00AD89"),
    LczClass(10, "", "Heavy industry", "built", "#555555", "#00ACAA"),
    LczClass(11, "A", "Dense trees", "natural", "#006A00", "#00A7C5"),
    LczClass(12, "B", "Scattered trees", "natural", "#00AA00", "#009EDA"),
    LczClass(13, "C", "Bush, scrub", "natural", "#648525", "#6290E5"),
    LczClass(14, "D", "Low plants", "natural", "#B9DB79", "#9E7FE5"),
    LczClass(15, "E", "Bare rock or paved", "natural", "#000000", "#C36FDA"),
    LczClass(16, "F", "Bare soil or sand", "natural", "#FBF7AE", "#D965C6"),
    LczClass(17, "G", "Water", "natural", "#6A6AFF", "#E264A9"),
)
"""The 17 classes in the order of So2Sat's labels."""

NAMES = tuple(lcz.name for lcz in CLASSES)
"""Names in the order of So2Sat's labels."""

BUILT = 10
"""Number of built classes, which come first; the others are natural."""

BARE_ROCK = 14
"""Row of LCZ E, bare rock or paved: OAbu leaves it out, because it can be built or natural."""

SIMILARITY = (
    (12, 11, 10, 8, 7, 6, 7, 9, 5, 9, 4, 3, 1, 0, 3, 0, 0),
    (11, 12, 11, 7, 8, 7, 8, 10, 5, 10, 5, 4, 3, 1, 4, 1, 1),
    (10, 11, 12, 6, 7, 8, 9, 11, 7, 11, 6, 5, 4, 2, 5, 2, 2),
    (8, 7, 6, 12, 11, 10, 9, 6, 9, 7, 6, 7, 6, 4, 1, 4, 4),
    (7, 8, 7, 11, 12, 11, 10, 8, 10, 8, 7, 8, 6, 5, 2, 5, 5),
    (6, 7, 8, 10, 11, 12, 11, 9, 11, 9, 8, 9, 8, 7, 3, 6, 6),
    (7, 8, 9, 9, 10, 11, 12, 8, 10, 8, 9, 8, 7, 5, 2, 5, 5),
    (9, 10, 11, 6, 8, 9, 8, 12, 9, 11, 5, 6, 5, 3, 6, 4, 4),
    (5, 5, 7, 9, 10, 11, 10, 9, 12, 8, 7, 8, 9, 7, 4, 7, 7),
    (9, 10, 11, 7, 8, 9, 8, 11, 8, 12, 5, 6, 5, 3, 6, 4, 4),
    (4, 5, 6, 6, 7, 8, 9, 5, 7, 5, 12, 11, 10, 8, 5, 8, 8),
    (3, 4, 5, 7, 8, 9, 8, 6, 8, 6, 11, 12, 11, 9, 6, 9, 9),
    (1, 3, 4, 6, 6, 8, 7, 5, 9, 5, 10, 11, 12, 10, 7, 10, 10),
    (0, 1, 2, 4, 5, 7, 5, 3, 7, 3, 8, 9, 10, 12, 9, 11, 11),
    (3, 4, 5, 1, 2, 3, 2, 6, 4, 6, 5, 6, 7, 9, 12, 9, 9),
    (0, 1, 2, 4, 5, 6, 5, 4, 7, 4, 8, 9, 10, 11, 9, 12, 11),
    (0, 1, 2, 4, 5, 6, 5, 4, 7, 4, 8, 9, 10, 11, 9, 11, 12),
)
"""WUDAPT's similarity of two classes in twelfths (rows and columns in the order of `CLASSES`): the weights of OAw."""

SO2SAT_TRAIN = (
    5068,
    24431,
    31693,
    8651,
    16493,
    35290,
    3269,
    39326,
    13584,
    11954,
    42902,
    9514,
    9165,
    41377,
    2392,
    7898,
    49359,
)
"""Patches of each class in So2Sat's training file (42 cities)."""

SO2SAT_VALIDATION = (256, 1254, 2353, 849, 757, 1906, 474, 3395, 1914, 860, 2287, 382, 1202, 2747, 202, 672, 2609)
"""Patches of each class in So2Sat's validation file (west halves of 10 other cities)."""

SO2SAT_TEST = (266, 1262, 2465, 857, 763, 1936, 503, 3496, 2013, 908, 2368, 433, 1166, 2435, 205, 572, 2540)
"""Patches of each class in So2Sat's test file (east halves of the same 10 cities)."""

SO2SAT_COUNTS = {"train": SO2SAT_TRAIN, "validation": SO2SAT_VALIDATION, "test": SO2SAT_TEST}
"""Patches of each class by part: 352,366, 24,119 and 24,188 patches."""
