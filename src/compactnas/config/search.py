"""The search for an architecture."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from compactnas.config.choices import AUTO, OBJECTIVE_OPTION, OBJECTIVES, STRATEGIES, STRATEGY_OPTION
from compactnas.config.paths import as_text
from compactnas.config.requiring import RATES, require, require_not_negative
from compactnas.registry import Registry
from compactnas.space.operation_specs import OPERATIONS


@dataclass(frozen=True)
class SearchConfig:
    """The search (paper, Algorithm 1 and section 4). `docs/method.md` gives the reason for each choice.

    Attributes:
        strategy: Method that samples and trains the architecture: `gdas` is the paper's; docs/strategies.md describes
            each.
        objective: Cost of the network in the loss with setting C; docs/budgets.md describes each. `auto` takes
            `augmented_lagrangian` if there is a budget, and `complexity`, the loss of the paper, otherwise.
        complexity: Setting C: an objective on the cost of the network.
        search_depth: Setting D: search the depth of each block.
        epochs: Number of passes over the halves of the training part.
        batch_size: Number of patches in each half-step; the paper does not give it.
        learning_rate: Learning rate of the weights at the start.
        learning_rate_min: Learning rate of the weights at the end of the cosine schedule.
        momentum: Momentum of SGD on the weights.
        nesterov: Nesterov momentum, as in the published code.
        weight_decay: Weight decay of the weights.
        gradient_clip: Largest norm of the gradient of the weights; 0 disables clipping.
        alpha_learning_rate: Learning rate of Adam on the architecture.
        alpha_weight_decay: Weight decay of Adam on the architecture.
        beta_decay: Weight of Beta-decay on alpha at the end of the search; it rises linearly from 0 and replaces the
            weight decay of alpha. 0 disables it.
        normalized_operations: Candidates without weights that the supernet normalises like the others, such as pools;
            the derived network does not.
        halves: How the training part is cut into D_T and D_V: patches at `random`, or whole `groups` of the data.
        warmup: Number of epochs at the start that train only the weights. Untrained convolutions lose against
            operations without weights, and a short search never recovers from that.
        tau_start: Temperature of the Gumbel-softmax in the first epoch.
        tau_end: Temperature of the Gumbel-softmax in the last epoch; it changes linearly.
        unsampled_gradient: Gradient of the alpha of operations that did not run: `none`, or `published` for the
            additional term of the published code.
        unsampled_weights: Update of weights that did not run: `skip` leaves them unchanged, `decay` applies momentum
            and weight decay.
        complexity_weight: Weight of the complexity loss, C_cpl of the paper.
        complexity_scale: What the complexity loss counts: `macs` in its unit as the paper does, or the `share` of the
            mean over the networks of the space, which means the same for networks of every size.
        complexity_unit: Number of MACs that count as one in the complexity loss.
        complexity_operations: Operations that N_ops of the paper counts: those of an `edge` or of the whole `cell`.
        complexity_probability: Probability that weighs the MACs of an operation in the complexity loss.
        complexity_depth: Depth that multiplies the cost of a cell in the complexity loss; gradients never flow through
            it.
        max_macs: Budget of the found network in MACs; 0 sets none. With a budget, the network derived is the most
            probable one within it.
        max_parameters: Budget of the found network in parameters; 0 sets none.
        max_latency_ms: Budget of the found network in milliseconds a call, on the device of the latency table; 0 sets
            none.
        latency_table: File that `compactnas latency` wrote on that device.
        skip_limit: Protection against a cell of little else than `skip_limit_operations`. `log` only writes their
            number to the metrics, `limit` derives the most probable cell within the limit (P-DARTS), `stop` also ends
            the search when the derived cell would exceed it (DARTS+).
        skip_limit_operations: Operations that the skip limit counts; pools may be added, because they have no weights
            either.
        skip_limit_edges: Largest number of edges of a cell with these operations.
        derivation: What decides between operations after the last epoch: their probability (`alpha`), or how much
            accuracy the supernet loses on D_V without them (`perturbation`, DARTS-PT).
        depth_mode: Depths in a step: `mixture` runs all cells of a block and weighs them, `sample` runs the cells up to
            a sampled depth, as `uniform`, `evolution` and `effects` always do.
        sampled_inputs: Number of edges of a node that run in a step: the strongest by Gumbel noise, never `none`. It
            makes steps cheaper and matches the derivation. 0 runs all edges.
        initial_depth: Number of cells in each block without setting D, and the initial depth with it.
        depth_logit: Difference between the logit of the initial depth and the others at the start.
        augment: Augmentation of training patches: `dihedral` rotates and flips them.
        candidates: Number of networks that `uniform` and `evolution` measure with the trained supernet, on all whole
            batches of D_V. `effects` does the same work on more networks, one batch each.
        stop_after: Number of epochs without a change of the genotype that count as convergence; 0 runs all epochs.
        max_steps: Largest number of steps, to try a setting; 0 sets none.
        on_divergence: Reaction to a loss that is not finite: `stop`, or `lower` to halve the learning rate and continue
            from the last checkpoint.
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
    beta_decay: float = field(default=0.0, metadata=STRATEGY_OPTION)
    normalized_operations: tuple[str, ...] = ()
    halves: Literal["random", "groups"] = "random"
    warmup: int = 0
    tau_start: float = 10.0
    tau_end: float = 1.0
    unsampled_gradient: Literal["none", "published"] = field(default="none", metadata=STRATEGY_OPTION)
    unsampled_weights: Literal["skip", "decay"] = "skip"
    complexity_weight: float = field(default=0.01, metadata=OBJECTIVE_OPTION)
    complexity_scale: Literal["macs", "share"] = field(default="macs", metadata=OBJECTIVE_OPTION)
    complexity_unit: float = field(default=1e6, metadata=OBJECTIVE_OPTION)
    complexity_operations: Literal["edge", "cell"] = field(default="edge", metadata=OBJECTIVE_OPTION)
    complexity_probability: Literal["softmax", "gumbel", "one_hot"] = field(
        default="softmax", metadata=OBJECTIVE_OPTION
    )
    complexity_depth: Literal["expected", "sampled", "derived"] = field(default="expected", metadata=OBJECTIVE_OPTION)
    max_macs: float = 0.0
    max_parameters: float = 0.0
    max_latency_ms: float = 0.0
    latency_table: str = ""
    skip_limit: Literal["log", "limit", "stop"] = "log"
    skip_limit_operations: tuple[str, ...] = ("skip_connect",)
    skip_limit_edges: int = 2
    derivation: Literal["alpha", "perturbation"] = field(default="alpha", metadata=STRATEGY_OPTION)
    depth_mode: Literal["mixture", "sample"] = "mixture"
    sampled_inputs: int = field(default=0, metadata=STRATEGY_OPTION)
    initial_depth: int = 3
    depth_logit: float = 1.0
    augment: Literal["none", "dihedral"] = "none"
    candidates: int = 200
    stop_after: int = 0
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        object.__setattr__(self, "latency_table", as_text(self.latency_table))
        require(self.epochs >= 1, f"search.epochs: {self.epochs} is less than 1; give 1 or more")
        require(
            self.batch_size >= 2,
            f"search.batch_size: {self.batch_size} is less than 2; give 2 or more, because batch norm needs two "
            "patches",
        )
        alpha = ("alpha_learning_rate", "alpha_weight_decay")
        require_not_negative(self, "search", (*RATES, *alpha, "stop_after", "max_steps"))
        require(
            self.tau_start > 0 and self.tau_end > 0,
            "search.tau_start, search.tau_end: a temperature must be above 0; use 10 and 1 as in the paper",
        )
        require(
            self.complexity_unit > 0,
            f"search.complexity_unit: {self.complexity_unit} is not above 0; give a number of MACs, such as 1e6",
        )
        require(
            self.complexity_scale == "macs" or (self.complexity_unit == 1e6 and self.complexity_operations == "edge"),
            "search.complexity_scale: share divides by the mean of the space, so search.complexity_unit and "
            "search.complexity_operations have no effect; leave them out",
        )
        require(
            0 <= self.beta_decay < 1e6,
            f"search.beta_decay: {self.beta_decay:g} is out of range; give 0 (off) or more, such as 5",
        )
        require(
            not (self.beta_decay and self.alpha_weight_decay),
            f"search.beta_decay: replaces the weight decay of alpha; give search.alpha_weight_decay=0 instead of "
            f"{self.alpha_weight_decay:g}",
        )
        for name in self.normalized_operations:
            OPERATIONS.require(name, "search.normalized_operations")
        require(
            0 <= self.warmup < self.epochs,
            f"search.warmup: {self.warmup} epochs do not fit into search.epochs={self.epochs}; give 0 to "
            f"{self.epochs - 1}",
        )
        require(
            self.sampled_inputs >= 0,
            f"search.sampled_inputs: {self.sampled_inputs} is negative; give 0 (run all edges) or more",
        )
        require(self.initial_depth >= 1, f"search.initial_depth: {self.initial_depth} is less than 1; give 1 or more")
        for name in ("max_macs", "max_parameters", "max_latency_ms"):
            require(
                0 <= getattr(self, name) < 1e15,
                f"search.{name}: {getattr(self, name):g} is not a budget; give a number above 0, or 0 for none",
            )
        require(
            bool(self.latency_table) == bool(self.max_latency_ms),
            "search.max_latency_ms, search.latency_table: only one of them is given; give both "
            "(`compactnas latency -o FILE` writes a table)",
        )
        for name in self.skip_limit_operations:
            OPERATIONS.require(name, "search.skip_limit_operations")
        require(
            self.skip_limit_edges >= 0, f"search.skip_limit_edges: {self.skip_limit_edges} is negative; give 0 or more"
        )
        require(self.candidates >= 1, f"search.candidates: {self.candidates} is less than 1; give 1 or more")
        require_choices(self)

    @property
    def objective_taken(self) -> str:
        """Name of the objective: `objective`, or the one that `auto` takes."""
        if self.objective != AUTO:
            return self.objective
        return "augmented_lagrangian" if self.complexity and self.has_budget else "complexity"

    @property
    def has_budget(self) -> bool:
        """Whether the network has a budget."""
        return bool(self.max_macs or self.max_parameters or self.max_latency_ms)

    @property
    def candidates_tried(self) -> int:
        """Number of candidates that are measured; two if only a few steps are tried."""
        return 2 if self.max_steps else self.candidates

    @property
    def setting(self) -> str:
        """Name of the setting in the paper: S, S+C, S+D or S+C+D."""
        return "S" + "+C" * self.complexity + "+D" * self.search_depth


def require_choices(config: SearchConfig) -> None:
    """Check the strategy, the objective and the options that depend on them.

    Raises:
        UserError: A name is unknown, or the strategy or the objective does not support an option.
    """
    STRATEGIES.require(config.strategy, "search.strategy")
    if config.candidates == 1:  # the traits of a strategy import torch
        least = STRATEGIES[config.strategy].least_candidates
        require(
            least == 1,
            f"search.candidates: 1 is too few for {config.strategy}, which compares candidates on each batch; give "
            f"{least} or more",
        )
    _require_own_options(config, config.strategy, STRATEGIES, STRATEGY_OPTION)
    for option, moves in (("skip_limit", config.skip_limit == "stop"), ("stop_after", bool(config.stop_after))):
        require(
            not moves or STRATEGIES[config.strategy].learns_alpha,
            f"search.{option}: {config.strategy} does not train the architecture, so this option has no effect; "
            f"leave out search.{option}={getattr(config, option)}",
        )
    if config.objective == AUTO:
        return
    OBJECTIVES.require(config.objective, "search.objective")
    require(
        config.complexity,
        "search.objective: search.complexity is off; turn search.complexity on, or leave out search.objective",
    )
    require_objective_options(config)
    require(
        config.has_budget or not OBJECTIVES[config.objective].needs_budget,
        f"search.objective: {config.objective} needs a budget; give search.max_macs, search.max_parameters or "
        "search.max_latency_ms",
    )


def require_objective_options(config: SearchConfig) -> None:
    """Check that the objective has the options that are set for it, even if `auto` takes it.

    Called where a search begins: the config of a finished search with `auto` may get a budget later.

    Raises:
        UserError: It does not have one of them.
    """
    name = config.objective_taken
    who = name if config.objective == name else f"{name}, which search.objective=auto takes with a budget,"
    _require_own_options(config, name, OBJECTIVES, OBJECTIVE_OPTION, who)


def own_options(config: SearchConfig | type[SearchConfig], only: dict[str, str]) -> dict[str, Any]:
    """List the options with this metadata, each with the default that leaves it out."""
    return {field.name: field.default for field in fields(config) if field.metadata == only}


def _require_own_options(
    config: SearchConfig, name: str, registry: Registry[Any], only: dict[str, str], who: str = ""
) -> None:
    for option, left_out in own_options(config, only).items():
        value = getattr(config, option)
        require(
            value == left_out or option in registry[name].options,
            f"search.{option}: {who or name} does not have this option; leave out search.{option}={value}",
        )


OBJECTIVE_OPTIONS = tuple(own_options(SearchConfig, OBJECTIVE_OPTION))
"""Options that only some objectives have."""
