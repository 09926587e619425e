"""Open the page of runs with one sentence: what was found, and how it compares."""

from __future__ import annotations

from collections.abc import Sequence

from compactnas.reporting.run.data import class_name
from compactnas.reporting.run.networks import Network, networks_of
from compactnas.reporting.run.reading import RunFolder
from compactnas.reporting.run.tables import comparable, method_of


def lead_network(runs: Sequence[RunFolder]) -> Network | None:
    """Find the network that the page is about: the first that its run found itself, else the first measured one."""
    networks = networks_of(runs)
    return next((one for one in networks if one.kind == "found"), networks[0] if networks else None)


def lead(runs: Sequence[RunFolder]) -> str:
    """Write the sentence; empty if nothing was found or measured."""
    found = lead_network(runs)
    if found is None:
        return next((text for text in map(_unmeasured, runs) if text), "")
    e = found.evaluations[0]
    subject = {
        "found": f"The search {found.name} found a network that classifies",
        "baseline": f"{found.name} classifies",
        "given": f"The network {found.name} classifies",
    }[found.kind]
    return (
        f"{subject} {_accuracy(found)} of the {e.n:,} {e.part} patches correctly{_certainty(found)}, "
        f"with {found.macs:.2f} M MACs and {found.parameters:.3f} M parameters{_comparison(runs, found)}."
    )


def _accuracy(network: Network) -> str:
    return f"{network.oa.mean:.1f}" + (f" ± {network.oa.deviation:.1f}" if network.oa.varies else "") + " %"


def _certainty(network: Network) -> str:
    """Say how the accuracy varies: over seeds, or over the groups of the part."""
    if len(network.runs) > 1:
        return f" (mean and standard deviation over {len(network.runs)} seeds)"
    if network.interval is None:
        return ""
    return f" (95 % interval {network.interval[0]:.1f}-{network.interval[1]:.1f} %)"


def _comparison(runs: Sequence[RunFolder], found: Network) -> str:
    """Compare with the most accurate reference network, else with other networks, else with the largest class."""
    others = [one for one in networks_of(runs) if one.place != found.place]
    if others and not comparable(runs):
        return "; the networks of this page were not measured on the same patches"
    references = [one for one in others if one.kind == "baseline"]
    if references and found.kind != "baseline":
        best = max(references, key=lambda one: one.oa.mean)
        words = f": {_share(found.macs, best.macs)} the MACs of {best.name}, which reaches {_accuracy(best)}"
        better = [one for one in others if one.kind != "baseline" and one.oa.mean >= found.oa.mean]
        return words + _best(better)
    if others:
        return _best(others)
    e = found.evaluations[0]
    if not e.n:
        return ""
    name, share = e.majority
    return f"; always answering {class_name(name, e.classes)}, the largest class, would reach {100 * share:.1f} %"


def _best(networks: Sequence[Network]) -> str:
    """Name the most accurate of some networks; empty for none."""
    if not networks:
        return ""
    best = max(networks, key=lambda one: one.oa.mean)
    return f"; {best.name} reaches {_accuracy(best)} with {best.macs:.2f} M MACs"


def _share(macs: float, reference: float) -> str:
    """Say how many MACs a network has, relative to a reference; "7.8 % of" or "2.1 times"."""
    ratio = macs / max(reference, 1e-12)
    return f"{100 * ratio:.1f} % of" if ratio < 1 else f"{ratio:.1f} times"


def _unmeasured(run: RunFolder) -> str:
    """Describe a search whose network is not measured; empty without one."""
    if run.genotype is None or not run.search:
        return ""
    macs = run.search[-1].get("derived_macs")
    cost = f" with {macs / 1e6:.2f} M MACs" if type(macs) is int else ""
    return f"The search {method_of(run)} found a network{cost}. It has not been trained and measured."
