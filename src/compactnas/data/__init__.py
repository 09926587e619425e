"""Labelled patches: sources, splits and normalization. Batches, which need torch, are in `data.batches`."""

from compactnas.data.halves import cut_halves
from compactnas.data.normalization import Normalization, measure_normalization
from compactnas.data.opening import Dataset, open_dataset, open_source, open_streamed
from compactnas.data.source import ArraySource, Facts, Images, Indices, Parts, Source
from compactnas.data.splits import halves

__all__ = [
    "ArraySource",
    "Dataset",
    "Facts",
    "Images",
    "Indices",
    "Normalization",
    "Parts",
    "Source",
    "cut_halves",
    "halves",
    "measure_normalization",
    "open_dataset",
    "open_source",
    "open_streamed",
]
