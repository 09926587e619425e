"""Search for a network, and train one from scratch, in the folder of a run."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch

from compactnas.config import RunConfig, require_objective_options
from compactnas.cost.counter import genotype_cost
from compactnas.data import (
    Dataset,
    Facts,
    Normalization,
    cut_halves,
    measure_normalization,
    open_dataset,
)
from compactnas.errors import UserError
from compactnas.evaluation.evaluation import Evaluation
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.pipeline.evaluating import evaluate
from compactnas.runs.folder import save_model, write_splits
from compactnas.search.random_genotype import random_like, space_like
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.genotype import Genotype
from compactnas.training.averaging import start_from
from compactnas.training.distillation import predict_by_teachers
from compactnas.training.runtime import Listener
from compactnas.training.session import Session
from compactnas.training.trainer import Training


class Run:
    """A run in a folder: its config and data, and the session that its stages share.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        listener: Receives progress and warnings.
        data: Dataset of the config, if it is open already.
    """

    def __init__(
        self, config: RunConfig, folder: str | Path, listener: Listener | None = None, data: Dataset | None = None
    ) -> None:
        self.config, self.data = config, data or open_dataset(config.data)
        self.session = Session(config.machine, Path(folder), listener)

    @cached_property
    def normalisation(self) -> Normalization:
        """Mean and standard deviation of each band of the training part."""
        return self.session.on_rank_zero(measure_normalization, self.data.source, self.data.parts["train"])

    def search(self, *, resume: bool) -> Genotype:
        """Search for a network, as `search_stage` does."""
        config, session = self.config, self.session
        if not (resume and (session.folder / "config.yaml").exists()):
            require_objective_options(config.search)
        halves = cut_halves(self.data, config.search.halves, config.seed)
        searcher = Searcher(
            config.space,
            config.search,
            SearchData(session.place(self.data.source), halves, self.normalisation),
            session.fabric,
            seed=config.seed,
            channels_last=config.machine.channels_last,
        )
        if searcher.limit and searcher.bilevel.budgets:
            searcher.derive()  # an error now, not after the last epoch, if no network is within all limits

        def begin() -> None:
            session.begin(config, self.data, self.normalisation, resume=resume, stage="search")
            write_splits(session.folder / "search", {"weights": halves[0], "architecture": halves[1]})

        with session.writing():
            session.on_rank_zero(begin)
            return searcher.run(session.folder, session.listener, resume=resume, policy=session.checkpoint_policy)

    def train(self, model: str | Genotype, *, like: str = "", resume: bool) -> None:
        """Train one network from scratch, as `train_stage` does."""
        config, session, parts = self.config, self.session, self.data.parts
        genotype = session.on_rank_zero(self._genotype, model, like)
        name = str(model) if genotype is None else SEARCHED
        spec = ModelSpec(name, genotype=genotype, **_sizes(self.data.source.facts))
        torch.manual_seed(config.seed)
        network = build(spec)
        if config.train.start_from:
            start_from(network, spec, Path(config.train.start_from))
        normalise_of(network).set(self.normalisation.mean, self.normalisation.std)
        targets = predict_by_teachers(
            config.train.teachers, self.data, session.device, temperature=config.train.teacher_temperature
        )
        training = Training(
            network,
            config.train,
            session.place(self.data.source),
            parts["train"],
            parts["validation"],
            config.seed,
            session.fabric,
            channels_last=config.machine.channels_last,
            teacher_probabilities=targets,
        )

        def begin() -> None:
            session.begin(config, self.data, self.normalisation, resume=resume, stage="train")
            if genotype is not None:
                write_bytes(session.folder / "genotype.json", genotype.to_json().encode())
            _same_model(session.folder / "train" / "model.json", spec)

        title = str(model) if model in (*BASELINES, "random") else "the genotype"
        policy = session.checkpoint_policy
        with session.writing():
            session.on_rank_zero(begin)
            training.run(session.folder, session.listener, resume=resume, name=title, policy=policy)
            session.on_rank_zero(save_model, session.folder, spec, training.result)

    def _genotype(self, model: str | Genotype, like: str) -> Genotype | None:
        """Return the genotype that `model` stands for; None for a baseline."""
        if isinstance(model, Genotype):
            return model
        if model in BASELINES:
            return None
        if model != "random":
            return Genotype.load(model)
        if not like:
            raise UserError(
                "model: `random` needs a genotype whose cost the random cell should have; pass it as `like`"
            )
        twin, sizes = Genotype.load(like), _sizes(self.data.source.facts)
        generator = torch.Generator().manual_seed(self.config.seed)
        return random_like(space_like(self.config.space, twin), genotype_cost(twin, **sizes).macs, generator, **sizes)


def search_stage(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Genotype:
    """Search for a network on the two halves of the training part. Writes `genotype.json` and `search/`.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        resume: Whether to resume a search that was interrupted in this folder.
        listener: Receives progress and warnings.
        data: Dataset of the config, if it is open already.
    """
    return Run(config, folder, listener, data).search(resume=resume)


def train_stage(
    config: RunConfig,
    folder: str | Path,
    model: str | Path | Genotype,
    *,
    like: str | Path = "",
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> None:
    """Train one network from scratch on the whole training part. Writes the model and `train/`.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        model: Baseline name, genotype, genotype file or run folder; or `random` for a random cell with the same
            cost as `like`.
        like: Genotype file or run folder; used only with `random`.
        resume: Whether to resume a training that was interrupted in this folder.
        listener: Receives progress and warnings.
        data: Dataset of the config, if it is open already.
    """
    model = str(model) if isinstance(model, Path) else model
    Run(config, folder, listener, data).train(model, like=str(like), resume=resume)


def run(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Evaluation:
    """Search, train the found network from scratch, and measure it on the test part, all in one folder."""
    stages = Run(config, folder, listener, data)
    session, file = stages.session, Path(folder) / "genotype.json"
    found = session.on_rank_zero(file.exists)
    if not (resume and found):
        stages.search(resume=resume)
    # The folder now holds a search with this config; `resume` lets the training use the same folder.
    stages.train(str(file), resume=True)
    return evaluate(session, stages.data)


def _same_model(file: Path, spec: ModelSpec) -> None:
    """Write the description of the network in training, or check that a resumed training has the same network."""
    again = "resume with the same model, or choose a new folder"
    if file.exists() and read_json(file, again) != spec.to_json():
        raise UserError(f"{file}: this folder holds the training of another network; {again}")
    write_json(file, spec.to_json())


def _sizes(facts: Facts) -> dict[str, int]:
    """Sizes of the patches that a network and its cost depend on."""
    return {"bands": len(facts.bands), "classes": len(facts.classes), "patch_px": facts.patch_px}
