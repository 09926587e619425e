"""Write the top of the page: tiles with headline figures, and a summary in one or two sentences."""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.nn.baselines import baseline_label
from compactnas.reporting.study.compare import best_method, mean_oa
from compactnas.reporting.study.seeds import SeedStats
from compactnas.reporting.study.tables import REFERENCE, reference_cost
from compactnas.reporting.study.view import Kind, Method, StudyView


@dataclass(frozen=True)
class Tile:
    """A headline figure: name, value, unit, and a line below."""

    name: str
    value: str
    unit: str = ""
    below: str = ""


BEST: dict[Kind, str] = {
    "searched": "best searched",
    "baseline": "best baseline",
    "given": "best given",
    "random": "best at random",
}
"""Kind of networks -> name of its tile, in the order of the tiles."""


def tiles_of(view: StudyView) -> list[Tile]:
    """Make the tiles: data, splits, jobs, and the best method of each kind on the first split with results."""
    classes = f"{view.sizes[1]} classes, {view.sizes[0]} bands, {view.sizes[2]} px" if view.sizes else ""
    tiles = [Tile("data", view.data or "-", below=classes)]
    for split in view.splits:
        test = split.parts.get("test")
        known = [f"{part} {n:,}" for part, n in split.parts.items() if part != "test"]
        known += [f"pixels of {split.pixel_m:g} m"] if split.pixel_m else []
        known += [f"largest class {100 * split.majority[1]:.1f} %"] if split.majority else []
        rest = " · ".join(known)
        below = rest if split.name == split.rule else f"{split.rule} · {rest}" if rest else split.rule
        tiles.append(Tile(f"{split.name}, test patches", f"{test:,}" if test else "-", below=below))
    done = len(view.jobs) - len(view.missing)
    each = "trained once each" if view.retrainings == 1 else f"{view.retrainings} trainings each"
    tiles.append(Tile("jobs done", f"{done}", f"of {len(view.jobs)}", each))
    where = first_split(view)
    if where is None:
        return tiles
    for kind, name in BEST.items():
        method = best_method(view, where, kind)
        if method is not None:
            tiles.append(Tile(f"{name}, OA on {where}", *_oa(view, method, where), below=method.name))
            tiles += _saved(view, method, where) if kind == "searched" else []
    return tiles


def _saved(view: StudyView, method: Method, split: str) -> list[Tile]:
    """Make a tile with the MACs that a method saves against ResNet-110; none if it has more."""
    cost, _ = reference_cost(view)
    macs = _mean_cost(view, method, split)[0]
    if cost is None or macs >= cost.macs:
        return []
    saved = f"{100 * (1 - macs / cost.macs):.1f}"
    return [Tile("fewer MACs than ResNet-110", saved, "%", f"{macs / 1e6:.2f} M of {cost.macs / 1e6:.2f} M")]


def _mean_cost(view: StudyView, method: Method, split: str) -> tuple[float, float]:
    """Compute the mean MACs and parameters over the seeds."""
    runs = [run.evaluation for run in view.runs(method.key, split)]
    return SeedStats.of([float(one.macs) for one in runs]).mean, SeedStats.of(
        [float(one.parameters) for one in runs]
    ).mean


def _oa(view: StudyView, method: Method, split: str) -> tuple[str, str]:
    spread = mean_oa(view, method, split)
    assert spread is not None, "the method was chosen by its OA"
    return f"{spread.mean:.2f}", f"± {spread.deviation:.2f} %" if spread.varies else "%"


def first_split(view: StudyView) -> str | None:
    """Find the first split with results."""
    return next((split.name for split in view.splits if view.shown(split.name)), None)


def headline(view: StudyView) -> str:
    """Write the comparison in one or two sentences; empty if no searched network is trained."""
    where = first_split(view)
    method = best_method(view, where, "searched") if where else None
    if where is None or method is None:
        return ""
    macs, parameters = _mean_cost(view, method, where)
    text = f"{method.name} reaches {_per_cent(view, method, where)} OA on {where}"
    text += f" with {parameters / 1e6:.3f} M parameters and {macs / 1e6:.2f} M MACs"
    cost, trained = reference_cost(view)
    reference = next((m for m in view.shown(where) if m.key == REFERENCE), None) if trained else None
    if cost is not None:
        text += f": {_less(macs, cost.macs)} MACs and {_less(parameters, cost.parameters)} parameters"
        text += f" than {baseline_label(REFERENCE)}"
        if reference is not None:
            text += f" ({_per_cent(view, reference, where)})"
    best = [best_method(view, where, "baseline"), best_method(view, where, "given")]
    others = [m for m in best if m is not None and m != reference]
    others += [m for m in view.shown(where) if m.kind == "random"]
    if others:
        text += ". For comparison: " + ", ".join(f"{m.name} {_per_cent(view, m, where)}" for m in others)
    return text + "."


def _per_cent(view: StudyView, method: Method, split: str) -> str:
    return f"{' '.join(_oa(view, method, split))}"


def _less(value: float, whole: int) -> str:
    share = 100 * (1 - value / whole)
    return f"{share:.1f} % fewer" if share >= 0 else f"{-share:.1f} % more"
