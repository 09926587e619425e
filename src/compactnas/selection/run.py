"""Run a selection: from the folders of searches to candidates, rankings, their agreement and a genotype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactnas.config import RunConfig
from compactnas.data import Dataset, open_dataset
from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes, write_json
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.io.paths import each_path
from compactnas.runs.folder import run_writer, start, write_splits
from compactnas.selection.agreement import agreements
from compactnas.selection.candidates import Candidate, make_candidates
from compactnas.selection.choice import AGAIN, require_same_choice
from compactnas.selection.config import SelectConfig
from compactnas.selection.halving import halve
from compactnas.selection.holdout import HoldOut
from compactnas.selection.rankings import RANKINGS
from compactnas.selection.searches import read_searches
from compactnas.training.runtime import Listener, Silent
from compactnas.training.side_by_side import Sharing


@dataclass(frozen=True)
class Selected:
    """Result of a selection.

    Attributes:
        rows: Row for each candidate, as in `table.jsonl`.
        winner: Number of the selected candidate.
        agreements: Agreement of each pair of rankings, as in `ranks.json`.
        patches: Number of held-out patches.
    """

    rows: list[Row]
    winner: int
    agreements: list[dict[str, Any]]
    patches: int


def select_stage(
    config: RunConfig,
    choice: SelectConfig,
    folders: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
    processes: int = 1,
) -> Selected:
    """Rank candidates of finished searches. Writes `genotype.json`, the best by the last ranking, and `select/`.

    Args:
        config: Config of the data, the budgets (in `search`), the short trainings and the machine.
        choice: Options of candidates and rankings.
        folders: Folders of the searches, or the folder of one.
        folder: Folder of the selection.
        resume: Continue an interrupted selection in this folder; its rankings may differ.
        listener: Receives the progress.
        data: Data of the config, if it is already open.
        processes: Number of short trainings at a time; 0 runs one for each core of a CPU, as far as the memory reaches.
            With more than one, each process opens the data of the config, and a script needs the usual guard of
            `multiprocessing`, `if __name__ == "__main__"`.

    Raises:
        UserError: A folder holds no finished search, the searches or the data do not match, or no patches are held
            out.
    """
    listener, folder, folders = listener or Silent(), Path(folder), each_path(folders)
    if (folder / "search").exists():
        raise UserError(f"{folder}: holds a search; name a new folder for the selection")
    searches = read_searches(folders)
    data = data or open_dataset(config.data)
    sharing = Sharing.on(data, config.data, config.machine, processes)
    held_out = HoldOut.of(data, searches, config, choice)
    if "supernet" in choice.by:
        _look_at_supernets(held_out, listener)
    candidates = make_candidates(searches, choice.candidates, config.seed, held_out.budgets, choice.random)
    with run_writer(folder):
        own = folder / "select"
        for text in (*start(folder, config, held_out.data, resume=resume, stage="select"), *held_out.data.warnings):
            listener.warn(text)
        require_same_choice(own / "select.json", choice, folders, free="by")
        if len(candidates) < choice.candidates:
            listener.warn(f"{len(candidates)} candidates: the searches have no more within the budgets")
        write_splits(own, {"train": held_out.train, "holdout": held_out.rows})
        table = _Table(own / "table.jsonl", candidates, held_out, sharing.kept(own / "threads.json"))
        for name in choice.by:
            table.rank(name, listener)
        scores = {name: [row["scores"][name] for row in table.rows] for name in choice.by}
        last = scores[choice.by[-1]]
        winner = last.index(max(last))
        found = agreements(scores)
        about = {"split": config.data.split, "holdout": choice.holdout, "patches": len(held_out.rows)}
        about["candidates"] = len(candidates)
        sources = {name: RANKINGS[name].source for name in choice.by}
        write_json(own / "ranks.json", about | {"sources": sources, "agreements": found, "winner": winner})
        write_bytes(folder / "genotype.json", candidates[winner].genotype.to_json().encode())
    return Selected(table.rows, winner, found, len(held_out.rows))


class _Table:
    """Candidates with their scores, written to disk after each score."""

    def __init__(self, file: Path, candidates: Sequence[Candidate], held_out: HoldOut, sharing: Sharing) -> None:
        self.file, self.candidates, self.held_out = file, candidates, held_out
        self.sharing = sharing
        costs = [held_out.cost(candidate.genotype) for candidate in candidates]
        self.rows: list[Row] = [
            {"candidate": number, "macs": cost.macs, "parameters": cost.parameters, "scores": {}} | candidate.to_json()
            for number, (candidate, cost) in enumerate(zip(candidates, costs, strict=True))
        ]
        for row, before in zip(self.rows, _read(file, len(self.rows)), strict=False):
            if before["genotype"] != row["genotype"]:
                raise UserError(f"{file}: candidate {row['candidate']} in it is another network; {AGAIN}")
            row["scores"] = before["scores"]
        write_rows(file, self.rows)
        for candidate, row in zip(candidates, self.rows, strict=True):
            genotypes = file.parent / "genotypes"
            write_bytes(genotypes / f"{row['candidate']:03d}.json", candidate.genotype.to_json().encode())

    def rank(self, name: str, listener: Listener) -> None:
        """Score the candidates that this ranking has not scored yet."""
        ranking, genotypes = RANKINGS[name], [candidate.genotype for candidate in self.candidates]
        open_rows = [row for row in self.rows if name not in row["scores"]]
        if ranking.score is None:
            if open_rows:
                scores = halve(genotypes, self.held_out, self.file.parent, listener, self.sharing)
                for row, score in zip(self.rows, scores, strict=True):
                    self._put(row, name, score)
                write_rows(self.file, self.rows)
            return
        listener.start(name, 1, len(self.rows), 0)
        try:
            for row in open_rows:
                self._put(row, name, ranking.score(genotypes[row["candidate"]], self.held_out))
                write_rows(self.file, self.rows)
                listener.step({name: row["scores"][name]})
        finally:
            listener.end()

    def _put(self, row: Row, name: str, score: float) -> None:
        if not math.isfinite(score):
            raise UserError(
                f"{name}: the score of candidate {row['candidate']} is not finite; leave `{name}` out of --by"
            )
        row["scores"][name] = float(f"{score:.9g}")


def _look_at_supernets(held_out: HoldOut, listener: Listener) -> None:
    """Check that every supernet can measure every candidate, on patches that it was not trained on."""
    built = {search.built for search in held_out.searches}
    if len(built) > 1:
        depths = " and ".join(str(max(depth)) for depth in sorted(built))
        raise UserError(
            f"supernet: the searches have {depths} cells in a block, so one supernet cannot measure the networks of "
            "another search; leave `supernet` out of --by"
        )
    for search, _ in zip(held_out.searches, held_out.supernets, strict=True):  # this also loads the supernets
        seen = len(held_out.rows) - len(held_out.unseen(search))
        if seen and held_out.choice.holdout == "validation":
            listener.warn(
                f"{search.folder}: its weights were trained on {seen} of the {len(held_out.rows)} held-out patches, "
                "which are left out for this search; it has seen their places"
            )


def _read(file: Path, candidates: int) -> list[Row]:
    """Read the rows of an earlier call."""
    if not file.exists():
        return []
    rows = read_rows(file, AGAIN)
    try:
        sound = all(
            isinstance(score, float | int) and math.isfinite(score) for row in rows for score in row["scores"].values()
        )
        if not sound or len(rows) != candidates or not all("genotype" in row for row in rows):
            raise ValueError("not its candidates")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: not the table of a selection ({error}); {AGAIN}") from None
    return rows
