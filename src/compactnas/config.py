"""Everything that a run can be told, as frozen dataclasses, with a recipe for each purpose.

Configs are read and written by the command line (YAML and dotted options); the code below
takes the values that it needs, not the config. Torch is not imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from compactnas.errors import UserError
from compactnas.genotype import OPERATIONS
from compactnas.outside import require_plain
from compactnas.space import Space

Config = TypeVar("Config")


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


PixelDtype = Literal["auto", "uint8", "uint16", "float32"]
"""Of a packed set's pixels."""


Split = Literal["official", "d1", "d2", "group", "fold", "block", "random", "csv"]
"""How patches are cut into parts."""

SPLIT_FIELDS = (
    "split",
    "split_csv",
    "test_groups",
    "test_fraction",
    "folds",
    "fold",
    "block_m",
    "validation_fraction",
    "split_seed",
)
"""Of a `DataConfig`: what says how a source is cut, not which and how it is read."""


@dataclass(frozen=True)
class DataConfig:
    """Which patches, and how they are cut into parts.

    Attributes:
        path: a So2Sat file or folder, an `.npz` file, a folder of images by class, a GeoTIFF scene
            or a folder of scenes, or a packed set.
        format: kind of source; `auto` looks at the path.
        sensor: So2Sat arrays to read, `sen2`, `sen1` or `both`.
        bands: names of the bands to keep, in this order; none given keeps all.
        reduce: side of the block of pixels that is averaged into one (2 makes 32 px of 64).
        labels: file of a scene's labels (LCZ raster or GeoJSON); none given takes the one beside it.
        window_px: side of the window that is cut at each label of a scene.
        step_px: distance of such windows in pixels; 0 makes it about 100 m.
        split: how training, validation and test parts are made. `official` is the source's own
            (d1 on So2Sat), `d2` cuts the official training part at random (paper, section 4),
            `group` holds whole groups (cities) out, `fold` is one of K folds of groups, `block` holds
            out squares of the ground and drops patches across their borders, `random` cuts
            everything, `csv` reads a file.
        split_csv: file with columns path,split[,group] for `split: csv`.
        test_groups: groups of the test part for `split: group`; none given draws them by seed.
        test_fraction: share of the test part for `d2`, `random`, `block` and drawn groups.
        folds: how many for `split: fold`; 0 makes one of each group (leave one city out).
        fold: which of them is the test part, from 0.
        block_m: side of a square for `split: block`, in the unit of the coordinates.
        validation_fraction: share of the validation part, taken out of what is left for
            training, by the same rule; 0 makes none.
        split_seed: seed of random splits.
        preload_gib: sources up to this size are read into memory whole.
    """

    path: str = ""
    format: Literal["auto", "so2sat", "npz", "folder", "scene", "packed"] = "auto"
    sensor: Literal["sen2", "sen1", "both"] = "sen2"
    bands: tuple[str, ...] = ()
    reduce: int = 1
    labels: str = ""
    window_px: int = 32
    step_px: int = 0
    split: Split = "official"
    split_csv: str = ""
    test_groups: tuple[str, ...] = ()
    test_fraction: float = 0.2
    folds: int = 5
    fold: int = 0
    block_m: float = 5000.0
    validation_fraction: float = 0.0
    split_seed: int = 0
    preload_gib: float = 4.0

    def __post_init__(self) -> None:
        _require(self.reduce >= 1, f"data.reduce: {self.reduce} is less than 1")
        _require(self.window_px >= 1, f"data.window_px: {self.window_px} is less than 1")
        _require(self.step_px >= 0, f"data.step_px: {self.step_px} is negative; 0 makes it about 100 m")
        _require(0 < self.test_fraction < 1, f"data.test_fraction: {self.test_fraction} is outside 0 to 1")
        _require(
            0 <= self.validation_fraction < 1, f"data.validation_fraction: {self.validation_fraction} is outside 0 to 1"
        )
        _require(self.folds == 0 or self.folds >= 2, f"data.folds: {self.folds} is neither 0 nor 2 or more")
        _require(self.fold >= 0, f"data.fold: {self.fold} is negative; folds count from 0")
        _require(self.block_m > 0, f"data.block_m: {self.block_m} is not above 0")
        _require(
            self.split != "csv" or bool(self.split_csv),
            "data.split_csv: `split: csv` needs a file with columns path,split",
        )


StrategyName = Literal["gdas", "darts", "darts_second_order", "snas", "proxyless", "uniform", "evolution"]
"""How an architecture is drawn and learnt; `compactnas.strategies` has them."""


@dataclass(frozen=True)
class SearchConfig:
    """The search (paper, Algorithm 1 and section 4). `docs/method.md` gives each choice's reason.

    Attributes:
        strategy: how the architecture is drawn and learnt, `gdas` in the paper; `docs/strategies.md` tells of each.
        complexity: setting C, the complexity loss on the cell's alpha.
        depth: setting D, the search for each block's depth.
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
        guard: against the collapse to `guard_operations`, whose number in the network that would be derived is in the
            metrics: `log` does nothing more, `limit` derives the most probable cell with at most `guard_edges` of them
            (P-DARTS), `stop` also ends the search once there would be more (DARTS+).
        guard_operations: operations to which searches collapse; pools may be added, which have no weights either.
        guard_edges: of a cell.
        depth_mode: `mixture` runs every cell of a block and weighs them, `sample` runs cells up
            to a drawn depth, as `uniform` and `evolution` always do.
        sampled_inputs: edges of a node that run in each draw, the strongest by the Gumbel noise, never
            `none`: cheaper, and what the derivation keeps. 0 runs every edge.
        fixed_depth: cells in each block without D, and the initial depth with D.
        depth_logit: how far the initial depth's logit starts above the others.
        augment: `square` turns and flips training patches, `none` does not.
        candidates: networks that `uniform` and `evolution` measure on the trained supernet, to take the best.
        stop_after: epochs without a change of the genotype that count as convergence; 0 runs all.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        on_divergence: what happens when a loss is no finite number: `stop`, or `lower`, halve the learning rate and
            go on from the last checkpoint.
    """

    strategy: StrategyName = "gdas"
    complexity: bool = True
    depth: bool = True
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
    guard: Literal["log", "limit", "stop"] = "log"
    guard_operations: tuple[str, ...] = ("skip_connect",)
    guard_edges: int = 2
    depth_mode: Literal["mixture", "sample"] = "mixture"
    sampled_inputs: int = 0
    fixed_depth: int = 3
    depth_logit: float = 1.0
    augment: Literal["none", "square"] = "none"
    candidates: int = 200
    stop_after: int = 0
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, f"search.epochs: {self.epochs} is less than 1")
        _require(
            self.batch_size >= 2, f"search.batch_size: {self.batch_size} is less than 2; batch norm needs two patches"
        )
        _require(
            self.tau_start > 0 and self.tau_end > 0, "search.tau_start, search.tau_end: temperatures must be above 0"
        )
        _require(self.complexity_unit > 0, f"search.complexity_unit: {self.complexity_unit} is not above 0")
        _require(0 <= self.warmup < self.epochs, f"search.warmup: {self.warmup} is outside 0 to epochs={self.epochs}")
        _require(
            self.sampled_inputs >= 0, f"search.sampled_inputs: {self.sampled_inputs} is negative; 0 runs every edge"
        )
        _require(self.fixed_depth >= 1, f"search.fixed_depth: {self.fixed_depth} is less than 1")
        for name in ("sampled_inputs", "unsampled_gradient"):
            _require(
                self.strategy == "gdas" or getattr(self, name) in (0, "none"),
                f"search.{name}: {getattr(self, name)} is GDAS's alone; leave it out with {self.strategy}",
            )
        for name in ("max_macs", "max_parameters", "max_latency_ms"):
            _require(
                0 <= getattr(self, name) < 1e15, f"search.{name}: {getattr(self, name):g} is no budget; 0 sets none"
            )
        _require(
            bool(self.latency_table) == bool(self.max_latency_ms),
            "search.max_latency_ms, search.latency_table: one needs the other; `compactnas latency` makes a table",
        )
        unknown = [name for name in self.guard_operations if name not in OPERATIONS]
        _require(not unknown, f"search.guard_operations: {unknown[:1]} is unknown; use some of {', '.join(OPERATIONS)}")
        _require(self.guard_edges >= 0, f"search.guard_edges: {self.guard_edges} is negative")
        _require(
            self.guard == "log" or self.strategy not in ("uniform", "evolution"),
            f"search.guard: {self.strategy} moves no architecture that could collapse; leave it out",
        )
        _require(self.candidates >= 1, f"search.candidates: {self.candidates} is less than 1")
        _require(
            not self.stop_after or self.strategy not in ("uniform", "evolution"),
            f"search.stop_after: {self.strategy} moves no architecture that could stand still; leave it out",
        )

    @property
    def setting(self) -> str:
        """The paper's name: S, S+C, S+D or S+C+D."""
        return "S" + "+C" * self.complexity + "+D" * self.depth


@dataclass(frozen=True)
class TrainConfig:
    """Training from scratch (paper, section 4, "Hyperparameters").

    Attributes:
        epochs: passes over the training part.
        batch_size: patches of a step; the paper does not say.
        optimizer: `sgd` with a cosine (the paper), or `nadam` halved every 5 epochs (Sen2LCZ-Net).
        learning_rate: at the start.
        learning_rate_min: at the end of the cosine.
        momentum: of SGD.
        nesterov: whether that momentum is Nesterov's.
        weight_decay: of all weights.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        augment: `square` turns and flips training patches, `none` does not.
        label_smoothing: probability of the targets that is spread over all classes.
        mixup: parameter of the Beta distribution by which two patches are added; 0 adds none.
        cutmix: parameter of the Beta distribution by which a box of one patch is put into another; 0 puts none.
            With mixup too, a coin decides for each batch.
        balance: how evenly classes are drawn: each patch with the frequency of its class to the power of minus this;
            0 takes every patch once an epoch, 1 all classes equally often.
        average: decay of an exponential average of the weights, which is what is kept; 0 keeps the last weights.
        teachers: folders of runs whose networks teach: the mean of their answers over the 8 symmetries of the square.
        teacher_weight: share of their answer in the target, beside the class.
        teacher_temperature: by which their logits are divided.
        validate_every: epochs between measurements on the validation part; 0 only at the end.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        on_divergence: what happens when a loss is no finite number: `stop`, or `lower`, halve the learning rate and
            go on from the last checkpoint.
    """

    epochs: int = 105
    batch_size: int = 64
    optimizer: Literal["sgd", "nadam"] = "sgd"
    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    augment: Literal["none", "square"] = "none"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    balance: float = 0.0
    average: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.5
    teacher_temperature: float = 1.0
    validate_every: int = 5
    max_steps: int = 0
    on_divergence: Literal["stop", "lower"] = "stop"

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, f"train.epochs: {self.epochs} is less than 1")
        _require(
            self.batch_size >= 2, f"train.batch_size: {self.batch_size} is less than 2; batch norm needs two patches"
        )
        for name in ("label_smoothing", "average"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"train.{name}: {value:g} is outside 0 to 1; 0: none")
        for name in ("mixup", "cutmix", "balance"):
            value = getattr(self, name)
            _require(0 <= value <= 100, f"train.{name}: {value:g} is outside 0 to 100; 0: none")
        _require(0 < self.teacher_weight <= 1, f"train.teacher_weight: {self.teacher_weight:g} is outside 0 to 1")
        _require(
            self.teacher_temperature > 0, f"train.teacher_temperature: {self.teacher_temperature:g} is not above 0"
        )

    @property
    def soft(self) -> bool:
        """Whether the targets are more than each patch's class."""
        return bool(self.label_smoothing or self.mixup or self.cutmix or self.teachers)


NEUTRAL = ("checkpoint_minutes", "keep_checkpoints")
"""Of a `MachineConfig`: what no result depends on."""


MOST_PROCESSORS = 4096


@dataclass(frozen=True)
class MachineConfig:
    """Where a run computes.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: CPU threads of each process; 0 leaves torch's choice, or the cores over the processes.
            Results are the same bytes only at the same number.
        precision: of the arithmetic, as lightning-fabric names it.
        channels_last: memory format of activations; faster on CPUs and tensor cores.
        data_on_device: keep all patches in the device's memory, so that no batch is copied to it; a
            packed set takes two bytes a value there.
        devices: of each node that compute one run together, on a CPU processes; batches stay those of
            one device, each takes its share of them.
        nodes: machines, each with so many devices, started by torchrun or srun.
        checkpoint_minutes: time after which the next step is kept on disk, beside the end of each epoch; 0, only
            epochs are.
        keep_checkpoints: how many of the newest checkpoints of a stage stay.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    channels_last: bool = True
    data_on_device: bool = False
    devices: int = 1
    nodes: int = 1
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        _require(
            self.checkpoint_minutes >= 0,
            f"machine.checkpoint_minutes: {self.checkpoint_minutes:g} is negative; 0: none",
        )
        _require(self.threads >= 0, f"machine.threads: {self.threads} is negative; 0 leaves torch's choice")
        for name in ("devices", "nodes", "keep_checkpoints"):
            _require(getattr(self, name) >= 1, f"machine.{name}: {getattr(self, name)} is less than 1")
        for name in ("threads", "devices", "nodes"):
            most = MOST_PROCESSORS
            _require(getattr(self, name) <= most, f"machine.{name}: {getattr(self, name)} is more than {most}")


@dataclass(frozen=True)
class RunConfig:
    """A whole run: search, retraining, evaluation.

    Attributes:
        data: which patches.
        space: what the search chooses from.
        search: the search.
        train: the retraining.
        machine: where it computes.
        seed: of everything that is drawn, but for the split.
    """

    data: DataConfig = field(default_factory=DataConfig)
    space: Space = field(default_factory=Space)
    search: SearchConfig = field(default_factory=SearchConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        space, depth = self.space, self.search.fixed_depth
        _require(self.seed >= 0, f"seed: {self.seed} is negative")
        _require(
            not self.search.depth or space.min_depth <= depth <= space.max_depth,
            f"search.fixed_depth: the initial depth {depth} is outside {space.min_depth} to {space.max_depth}",
        )
        _require(
            self.search.strategy != "proxyless" or len(space.operations) > 1,
            "space.operations: search.strategy=proxyless draws two of an edge; name another operation",
        )
        _require(
            self.search.strategy != "darts_second_order" or self.machine.precision != "16-mixed",
            "machine.precision: 16-mixed scales gradients, which search.strategy=darts_second_order compares; "
            "use bf16-mixed or 32-true",
        )


def paper() -> RunConfig:
    """The paper's setting, S+C+D, with 105 epochs of search and 105 of retraining."""
    return RunConfig()


def quick() -> RunConfig:
    """For a CPU and some thousand patches: fewer epochs, a faster architecture to match, turned patches."""
    return RunConfig(
        search=SearchConfig(epochs=25, alpha_learning_rate=0.01, augment="square"),
        train=TrainConfig(epochs=30, learning_rate=0.05, augment="square"),
    )


def smoke() -> RunConfig:
    """A minute: one look at every part, no result worth having."""
    return RunConfig(
        space=Space(channels=8, max_depth=3),
        search=SearchConfig(epochs=2, alpha_learning_rate=0.03, fixed_depth=2, batch_size=32, augment="square"),
        train=TrainConfig(epochs=3, learning_rate=0.05, augment="square"),
    )


RECIPES = {"paper": paper, "quick": quick, "smoke": smoke}


def from_values(kind: type[Config], values: dict[str, Any], defaults: dict[str, Any] | None = None) -> Config:
    """A config dataclass of plain values, as a YAML file gives them; what it does not give is the default.

    Errors:
        TypeError: an unknown name, or a value of another kind.
        UserError: a value that the config refuses.
    """
    from jsonargparse import ArgumentError, ArgumentParser  # late: a fifth of a second that a library user may not need

    require_plain(kind, values)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, None)
    parser.set_defaults(defaults or {})
    try:
        return kind(**vars(parser.instantiate(parser.parse_object(values))))
    except ArgumentError as error:
        raise TypeError(str(error)) from None
    except RecursionError:
        raise TypeError("a value is nested too deeply") from None
