"""Session of a run: the machine that its stages compute on, the folder they write to, and the listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from compactnas.config import MachineConfig, RunConfig
from compactnas.data import Dataset, Normalization, Source
from compactnas.data.device_cache import on_device
from compactnas.distributed.process_group import SINGLE_PROCESS
from compactnas.io.atomic import write_json
from compactnas.runs.checkpoints import CheckpointPolicy
from compactnas.runs.data_summary import DataSummary
from compactnas.runs.folder import other_versions, run_writer, start, write_splits
from compactnas.runs.task import Task
from compactnas.training.optim import process_group_of
from compactnas.training.runtime import Listener, Silent, make_fabric, prepare_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Session:
    """One or several stages of a run: their device and processes, their folder, and their listener.

    Args:
        machine: Device, precision and number of processes.
        folder: Folder of the run.
        listener: Receives progress and warnings, in the first process only.

    Attributes:
        device: Device of this process.
        processes: Processes of the run.
        begun: Whether `begin` was called, so that the folder holds the config and what is known of the data.

    Raises:
        UserError: The machine does not have this device, or the device does not support the precision.
    """

    def __init__(self, machine: MachineConfig, folder: Path, listener: Listener | None = None) -> None:
        self.machine, self.folder, self.begun = machine, folder, False
        if machine.world_size == 1:
            self.device, self.processes = prepare_device(machine), SINGLE_PROCESS
        else:
            self.device, self.processes = self.fabric.device, process_group_of(self.fabric)
        self.on_rank_zero = self.processes.on_rank_zero
        self.listener: Listener = listener if listener and self.processes.is_rank_zero else Silent()

    @cached_property
    def fabric(self) -> Fabric:
        """Device and precision, for steps of an optimiser."""
        return make_fabric(self.machine)

    @property
    def checkpoint_policy(self) -> CheckpointPolicy:
        """When checkpoints are written, and how many are kept."""
        return CheckpointPolicy(60 * self.machine.checkpoint_minutes, self.machine.keep_checkpoints)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the first process the only one that writes to the folder; the others wait until it is.

        Raises:
            UserError: Another run writes there.
        """
        with ExitStack() as stack:
            self.on_rank_zero(stack.enter_context, run_writer(self.folder))
            yield

    def place(self, source: Source) -> Source:
        """Move the patches to the device if the config asks for it."""
        return on_device(source, self.device) if self.machine.data_on_device else source

    def begin(
        self, config: RunConfig, data: Dataset, normalisation: Normalization, *, resume: bool, stage: str
    ) -> None:
        """Write what is known before the first step of a stage: config, splits, task, data, normalisation.

        A later stage of the same session finds all of it written, and adds nothing.

        Raises:
            UserError: The folder has this stage already, or holds another config.
        """
        if self.begun:
            return
        self.begun = True
        for text in (*start(self.folder, config, data, resume=resume, stage=stage), *data.warnings):
            self.listener.warn(text)
        write_json(self.folder / "warnings.json", [*data.warnings, *other_versions(self.folder)])
        write_splits(self.folder, data.parts)
        facts = data.source.facts
        Task.of(facts, normalisation).write(self.folder)
        DataSummary.of(data).write(self.folder)
        bands = zip(facts.bands, normalisation.mean, normalisation.std, strict=True)
        write_json(self.folder / "normalisation.json", {band: {"mean": mean, "std": std} for band, mean, std in bands})
