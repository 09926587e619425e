"""The search for an architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.config.choices import require_choices
from compactnas.config.requiring import require
from compactnas.space.operation_specs import OPERATIONS


@dataclass(frozen=True)
class SearchConfig:
    """The search (paper, Algorithm 1 and section 4). `docs/method.md` gives each choice's reason.

    Attributes:
        strategy: How the architecture is drawn and learnt, `gdas` in the paper; see `docs/strategies.md`.
        objective: What the cost of the network adds to the loss with setting C: `complexity`, the loss of the paper;
            `augmented_lagrangian`, which draws the expected cost to just below the budgets; `auto` takes the second
            one if there is a budget, else the first.
        complexity: setting C, the complexity loss on the cell's alpha.
        search_depth: setting D, the search for each block's depth.
        epochs: passes over D_T.
        batch_size: patches of each half-step; the paper does not say.
        learning_rate: of the weights at the start.
        learning_rate_min: of the weights at the end of the cosine.
        momentum: of SGD on the weights.
        nesterov: whether that momentum is Nesterov's, as in the published code.
        weight_decay: of the weights.
        gradient_clip: largest norm of the weights' gradient; 0 does not clip.
        alpha_learning_rate: of Adam on the architecture.
        alpha_weight_decay: of Adam on the architecture.
        warmup: epochs at the start in which only the weights move; untrained convolutions lose
            against operations without weights, and a short search would never give them back.
        tau_start: temperature of the Gumbel-softmax in the first epoch.
        tau_end: temperature in the last epoch; linear between.
        unsampled_gradient: what reaches the alpha of operations that did not run: `none`, or
            `published`, the extra term of the published code.
        unsampled_weights: what happens to weights that did not run: `skip` leaves them, `decay`
            gives them a gradient of zero, so that momentum and decay go on.
        complexity_weight: C_cpl of the paper.
        complexity_unit: MACs that count as one in the complexity loss.
        complexity_operations: N_ops, operations of an `edge` or of the whole `cell`.
        complexity_probability: which probability weighs the MACs of an operation.
        complexity_depth: which depth multiplies a cell's cost; never a path for gradients.
        max_macs: budget: the most MACs of the network found; 0, none. With a budget, setting C draws the expected cost
            to just below it, in the place of the complexity loss, and the network is the most probable within it.
        max_parameters: the same for trained weights.
        max_latency_ms: the same for milliseconds of one call on the device of `latency_table`.
        latency_table: file that `compactnas latency` wrote on that device.
        skip_limit: Limit of the edges with `skip_limit_operations`. `log` only writes their number to the metrics,
            `limit` derives the most probable cell with at most `skip_limit_edges` of them (P-DARTS), `stop` also
            ends the search as soon as the derived cell would exceed the limit (DARTS+).
        skip_limit_operations: operations to which searches collapse; pools may be added, which have no weights either.
        skip_limit_edges: of a cell.
        depth_mode: `mixture` runs every cell of a block and weighs them, `sample` runs cells up
            to a drawn depth, as `uniform` and `evolution` always do.
        sampled_inputs: edges of a node that run in each draw, the strongest by the Gumbel noise, never
            `none`: cheaper, and what the derivation keeps. 0 runs every edge.
        initial_depth: cells in each block without D, and the initial depth with D.
        depth_logit: how far the initial depth's logit starts above the others.
        augment: `dihedral` turns and flips training patches, `none` does not.
        candidates: networks that `uniform` and `evolution` measure on the trained supernet, to take the best.
        stop_after: epochs without a change of the genotype that count as convergence; 0 runs all.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        on_divergence: what happens when a loss is no finite number: `stop`, or `lower`, halve the learning rate and
            go on from the last checkpoint.
    """

    strategy: str = "gdas"
    objective: str = "auto"
    complexity: bool = True
    search_depth: bool = True
    epochs: int = 105
    batch_size: int = 64
    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    alpha_learning_rate: float = 3e-4
    alpha_weight_decay: float = 1e-3
    warmup: int = 0
    tau_start: float = 10.0
    tau_end: float = 1.0
    unsampled_gradient: Literal["none", "published"] = "none"
    unsampled_weights: Literal["skip", "decay"] = "skip"
    complexity_weight: float = 0.01
    complexity_unit: float = 1e6
    complexity_operations: Literal["edge", "cell"] = "edge"
    complexity_probability: Literal["softmax", "gumbel", "one_hot"] = "softmax"
    complexity_depth: Literal["expected", "sampled", "derived"] = "expected"
    max_macs: float = 0.0
    max_parameters: float = 0.0
    max_latency_ms: float = 0.0
    latency_table: str = ""
    skip_limit: Literal["log", "limit", "stop"] = "log"
    skip_limit_operations: tuple[str, ...] = ("skip_connect",)
    skip_limit_edges: int = 2
    depth_mode: Literal["mixture", "sample"] = "mixture"
    sampled_inputs: int = 0
    initial_depth: int = 3
    depth_logit: float = 1.0
    augment: Literal["none", "dihedral"] = "none"
    candidates: int = 200
    stop_after: int = 0
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"search.epochs: {self.epochs} is less than 1")
        require(
            self.batch_size >= 2, f"search.batch_size: {self.batch_size} is less than 2; batch norm needs two patches"
        )
        require(
            self.tau_start > 0 and self.tau_end > 0, "search.tau_start, search.tau_end: temperatures must be above 0"
        )
        require(self.complexity_unit > 0, f"search.complexity_unit: {self.complexity_unit} is not above 0")
        require(0 <= self.warmup < self.epochs, f"search.warmup: {self.warmup} is outside 0 to epochs={self.epochs}")
        require(
            self.sampled_inputs >= 0, f"search.sampled_inputs: {self.sampled_inputs} is negative; 0 runs every edge"
        )
        require(self.initial_depth >= 1, f"search.initial_depth: {self.initial_depth} is less than 1")
        for name in ("max_macs", "max_parameters", "max_latency_ms"):
            require(
                0 <= getattr(self, name) < 1e15, f"search.{name}: {getattr(self, name):g} is no budget; 0 sets none"
            )
        require(
            bool(self.latency_table) == bool(self.max_latency_ms),
            "search.max_latency_ms, search.latency_table: one needs the other; `compactnas latency` makes a table",
        )
        for name in self.skip_limit_operations:
            OPERATIONS.require(name, "search.skip_limit_operations")
        require(self.skip_limit_edges >= 0, f"search.skip_limit_edges: {self.skip_limit_edges} is negative")
        require(self.candidates >= 1, f"search.candidates: {self.candidates} is less than 1")
        require_choices(self)

    @property
    def setting(self) -> str:
        """The paper's name: S, S+C, S+D or S+C+D."""
        return "S" + "+C" * self.complexity + "+D" * self.search_depth
