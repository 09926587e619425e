"""Labelled patches: sources, splits, normalisation and batches."""

from compactnas.data.batches import SYMMETRIES, Batches, symmetry
from compactnas.data.normalise import Normalisation, measure_normalisation
from compactnas.data.opening import Dataset, open_dataset, open_source, open_streamed
from compactnas.data.source import ArraySource, Facts, Images, Indices, Source
from compactnas.data.splits import Parts, halves

__all__ = [
    "SYMMETRIES",
    "ArraySource",
    "Batches",
    "Dataset",
    "Facts",
    "Images",
    "Indices",
    "Normalisation",
    "Parts",
    "Source",
    "halves",
    "measure_normalisation",
    "open_dataset",
    "open_source",
    "open_streamed",
    "symmetry",
]
