"""Which ranking of candidates agrees with how well they do once they are trained, and what a search gains over chance.

    python benchmarks/rankings.py benchmarks/studies/candidates_eurosat.yaml --root rankings --select places mixed

A study trains every candidate of a selection (`networks: places/select/genotypes`) and tests it; selections ranked the
same candidates on patches that they held out. Printed: Kendall's tau of each ranking with the test accuracy (mean
over the trainings), with the middle 95 % over bootstrap samples of the candidates, and "no evidence" where that
holds 0; how far two trainings of the same candidates agree, which no ranking can be expected to pass; the best
candidate of each ranking; and the networks that searches found beside the random ones of their cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from compactnas.selection.agreement import RankAgreement, kendall_tau
from compactnas.studies.config import read_study
from compactnas.studies.jobs import expand

Finals = dict[str, dict[int, dict[str, float]]]
"""By candidate and seed: accuracy on the test part and, at the end of the training, on the validation part."""


def finals(file: Path, root: Path) -> Finals:
    """What the study's trainings came to; of candidates that are trained with every seed."""
    study, found = read_study(file), Finals()
    for job in expand(study):
        if job.kind == "train" and job.done(root):
            folder = job.folder(root)
            test = json.loads((folder / "evaluation.json").read_text())["measures"]["oa"]
            last = json.loads((folder / "train" / "metrics.jsonl").read_text().splitlines()[-1])["validation_oa"]
            found.setdefault(job.method, {})[job.config.seed] = {"test": test, "validation": last}
    return {name: runs for name, runs in found.items() if len(runs) == study.retrainings}


def mean(runs: dict[int, dict[str, float]], part: str = "test") -> float:
    """Over the trainings."""
    return statistics.mean(run[part] for run in runs.values())


def taus(trained: Finals, selections: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each ranking on each ground, and the two rows that say how good a ranking can be."""
    names = sorted(trained)
    final = [mean(trained[name]) for name in names]
    rows = []

    def add(ground: str, ranking: str, scores: list[float], against: list[float] = final) -> None:
        found: RankAgreement = kendall_tau(scores, against)
        best = max(range(len(names)), key=lambda place: scores[place])
        top = final[best] if len(set(scores)) > 1 else None
        rows.append({"ground": ground, "ranking": ranking, "best": top} | found.to_json())

    for ground, table in selections.items():
        by_name = {f"{row['candidate']:03d}": row["scores"] for row in table}
        for ranking in by_name[names[0]]:
            add(ground, ranking, [by_name[name][ranking] for name in names])
    if all(run["validation"] is not None for runs in trained.values() for run in runs.values()):
        add("validation part", "trained in full", [mean(trained[name], "validation") for name in names])
    if all(len(runs) > 1 for runs in trained.values()):
        first, second = ([trained[name][seed]["test"] for name in names] for seed in (0, 1))
        add("test part", "one training with another", first, second)
    return rows


def beside_random(trained: Finals, table: list[dict[str, Any]]) -> dict[str, Any]:
    """Each candidate that is not random: how many random ones it is above."""
    kinds = {f"{row['candidate']:03d}": (row["origin"], row["search"], row["macs"]) for row in table}
    drawn = sorted(mean(runs) for name, runs in trained.items() if kinds[name][0] == "random")
    found = [
        {"candidate": name, "origin": kinds[name][0], "search": Path(kinds[name][1]).name, "macs": kinds[name][2]}
        | {"oa": mean(runs), "above": sum(mean(runs) > one for one in drawn)}
        for name, runs in sorted(trained.items())
        if kinds[name][0] != "random"
    ]
    return {"random": drawn, "found": found}


def show(rows: list[dict[str, Any]], beside: dict[str, Any], trainings: int) -> None:
    """The tables in Markdown."""
    print(
        "| measured on | ranking | tau with the test accuracy | 95 % | | its best has OA % |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        tau = "-" if row["tau"] is None else f"{row['tau']:+.2f}"
        span = "-" if row["low"] is None else f"{row['low']:+.2f} to {row['high']:+.2f}"
        best = "-" if row["best"] is None else f"{100 * row['best']:.2f}"
        print(f"| {row['ground']} | {row['ranking']} | {tau} | {span} | {row['verdict']} | {best} |")
    drawn, found = beside["random"], beside["found"]
    each = "trained once each" if trainings == 1 else f"{trainings} trainings each"
    print(f"\n{len(drawn) + len(found)} candidates, {each}")
    if not drawn:
        return
    span = f"{100 * statistics.mean(drawn):.2f} ({100 * drawn[0]:.2f} to {100 * drawn[-1]:.2f})"
    print(f"\n| candidate | M MACs | OA % | above, of {len(drawn)} random |\n|---|---|---|---|")
    for one in found:
        what = f"{one['candidate']}: {one['origin']} of {one['search']}"
        print(f"| {what} | {one['macs'] / 1e6:.2f} | {100 * one['oa']:.2f} | {one['above']} |")
    print(f"| random | | {span} | |")


def _named(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    return name, Path(folder or name)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="file of the study that trained the candidates")
    parser.add_argument("--root", type=Path, required=True, help="its folder")
    parser.add_argument("--select", type=_named, nargs="+", required=True, help="NAME=FOLDER of each selection")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    options = parser.parse_args()
    trained = finals(options.study, options.root)
    if not trained:
        parser.error(f"{options.root}: no candidate is trained with every seed yet; run the study first")
    absent = [folder for _, folder in options.select if not (folder / "select" / "table.jsonl").exists()]
    if absent:
        parser.error(f"{absent[0]}: holds no selection; name folders that `compactnas select` wrote")
    selections = {
        name: [json.loads(line) for line in (folder / "select" / "table.jsonl").read_text().splitlines()]
        for name, folder in options.select
    }
    genotypes = [[row["genotype"] for row in table] for table in selections.values()]
    if any(others != genotypes[0] for others in genotypes):
        parser.error("the selections rank other candidates; give them the same searches, number and seed")
    rows, beside = taus(trained, selections), beside_random(trained, next(iter(selections.values())))
    show(rows, beside, len(next(iter(trained.values()))))
    if options.json:
        options.json.write_text(json.dumps({"taus": rows, "beside": beside, "trained": trained}, indent=2) + "\n")


if __name__ == "__main__":
    main()
