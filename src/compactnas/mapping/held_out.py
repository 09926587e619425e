"""Find the polygons or areas of a label file that a run held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compactnas.data import open_streamed
from compactnas.data.source import Facts, Parts
from compactnas.data.splits import make_parts
from compactnas.errors import UserError
from compactnas.labels.files import label_file
from compactnas.runs.folder import read_config, require_data


def held_out_units(run: Path, truth: Path) -> frozenset[str]:
    """Find the groups, such as polygons or areas, that a run held out for its test part; split again from its config.

    Args:
        run: Folder of the run.
        truth: Label file.

    Raises:
        UserError: The run was trained on another label file, or its parts are not made of whole groups.
    """
    config = read_config(run).data
    require_data(run, config)
    facts = open_streamed(config).facts
    known = {file.sha256 for file in facts.label_files}
    if label_file(truth).sha256 not in known:
        names = ", ".join(file.name for file in facts.label_files[:5]) or "none"
        raise UserError(
            f"--held-out: {truth} is not a label file that {run} was trained on ({names}); leave --held-out out to "
            "assess with other labels"
        )
    return _units(run, facts, make_parts(facts, config)[0], config.split)


def _units(run: Path, facts: Facts, parts: Parts, split: str) -> frozenset[str]:
    if facts.groups is None:
        raise UserError(f"--held-out: {run} held out single windows, not polygons or areas; assess without --held-out")
    groups = facts.groups.astype(np.str_)
    tested = set(groups[parts["test"]].tolist())
    trained = np.concatenate([parts["train"], parts.get("validation", np.arange(0))])
    shared = tested & set(groups[trained].tolist())
    if shared:
        raise UserError(
            f"--held-out: {run} has windows of {len(shared)} of its {len(tested)} test groups in its training part too "
            f"(data.split={split}); train with --data.split group"
        )
    return frozenset(tested)
