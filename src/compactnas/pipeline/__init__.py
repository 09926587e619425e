"""The stages of a run: search, train, evaluate and predict. Each reads its input from files and writes files."""

from __future__ import annotations

from compactnas.pipeline.evaluating import evaluate_stage as evaluate_stage
from compactnas.pipeline.evaluating import predict as predict
from compactnas.pipeline.running import run as run
from compactnas.pipeline.running import search_stage as search_stage
from compactnas.pipeline.running import train_stage as train_stage
