"""Geometry of the Local Climate Zones: ranges for the painted zones.

Source: Stewart and Oke 2012, "Local Climate Zones for urban temperature studies", table 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.synthetic.materials import Number

Range = tuple[Number, Number]


@dataclass(frozen=True)
class Properties:
    """Composition of one class.

    Attributes:
        building: Fraction of the ground under buildings.
        impervious: Fraction of the ground that is paved or rock.
        pervious: Fraction of the ground that is soil, plants or water.
        height_m: Height of buildings or trees; ranges that are open in the table end at a usual value.
    """

    building: Range
    impervious: Range
    pervious: Range
    height_m: Range


PROPERTIES: tuple[Properties, ...] = (
    Properties((0.40, 0.60), (0.40, 0.60), (0.00, 0.10), (25, 140)),
    Properties((0.40, 0.70), (0.30, 0.50), (0.00, 0.20), (10, 25)),
    Properties((0.40, 0.70), (0.20, 0.50), (0.00, 0.30), (3, 10)),
    Properties((0.20, 0.40), (0.30, 0.40), (0.30, 0.40), (25, 90)),
    Properties((0.20, 0.40), (0.30, 0.50), (0.20, 0.40), (10, 25)),
    Properties((0.20, 0.40), (0.20, 0.50), (0.30, 0.60), (3, 10)),
    Properties((0.60, 0.90), (0.00, 0.20), (0.00, 0.30), (2, 4)),
    Properties((0.30, 0.50), (0.40, 0.50), (0.00, 0.20), (3, 10)),
    Properties((0.10, 0.20), (0.00, 0.20), (0.60, 0.80), (3, 10)),
    Properties((0.20, 0.30), (0.20, 0.40), (0.40, 0.50), (5, 15)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (3, 30)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (3, 15)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (0, 2)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (0, 1)),
    Properties((0.00, 0.10), (0.90, 1.00), (0.00, 0.10), (0, 0.25)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (0, 0.25)),
    Properties((0.00, 0.10), (0.00, 0.10), (0.90, 1.00), (0, 0)),
)
"""Properties of LCZ 1 to 10, then A to G."""
