"""`CompactClassifier`: search for a compact network and train it, with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from compactnas.data import Dataset
from compactnas.data.arrays import array_source, checked_images
from compactnas.errors import UserError
from compactnas.estimator.folder import RunHome
from compactnas.estimator.history import History
from compactnas.estimator.labels import ClassLabels
from compactnas.estimator.settings import BUDGETS, run_config
from compactnas.evaluation.evaluate import probabilities
from compactnas.exporting.writing import export_run
from compactnas.io.appearing import appearing
from compactnas.mapping.scenes import map_scene
from compactnas.pipeline.running import search_stage, train_stage
from compactnas.runs.folder import load
from compactnas.runs.task import Task
from compactnas.space.genotype import Genotype
from compactnas.training.calibrating import fit_on
from compactnas.training.runtime import Listener, Silent

if TYPE_CHECKING:
    from compactnas.runs.temperature import Temperature


class CompactClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Classifier of image patches that searches for its own small network.

    `fit` runs the two stages of `compactnas run`: it searches for the cell and the depth of a network within the
    budgets, and trains the found network from scratch. With the same settings and data it gives the same network as
    the command line, to the byte.

    Args:
        max_macs: Largest number of multiply-accumulates for one patch; None sets no budget.
        max_parameters: Largest number of parameters; None sets no budget.
        max_latency_ms: Largest latency in ms; needs `settings={"search.latency_table": FILE}`.
        recipe: Settings to start from: `quick` (minutes on a CPU), `paper` (hours), or `smoke` (checks that all works).
        settings: Other options by the names of the command line, such as `{"search.strategy": "darts"}`.
        folder: Folder of the run; None takes a temporary one. A `fit` that was stopped goes on in the same folder.
        progress: Whether to show bars on a terminal, or a line for each epoch in a notebook.
        random_state: Random seed.

    Attributes:
        classes_: Class labels, in the order of the probabilities.
        genotype: Found network as a description; a notebook draws its cell.
        network: Trained network, a `torch.nn.Module` from raw patches to logits.
        history: Figures of search and training by epoch; `history.plot()` draws them.
        folder_: Folder of the run, for `compactnas report` and other commands.

    Example:
        >>> model = CompactClassifier(max_macs=20e6).fit(images, labels)  # doctest: +SKIP
        >>> model.predict_proba(others)  # doctest: +SKIP
    """

    def __init__(
        self,
        max_macs: float | None = None,
        *,
        max_parameters: float | None = None,
        max_latency_ms: float | None = None,
        recipe: str = "quick",
        settings: Mapping[str, Any] | None = None,
        folder: str | Path | None = None,
        progress: bool = False,
        random_state: Any = 0,
    ) -> None:
        self.max_macs = max_macs
        self.max_parameters = max_parameters
        self.max_latency_ms = max_latency_ms
        self.recipe = recipe
        self.settings = settings
        self.folder = folder
        self.progress = progress
        self.random_state = random_state

    def fit(
        self,
        X: Any,  # noqa: N803  # the name that scikit-learn gives
        y: Any,
        *,
        groups: Any = None,
        validation_fraction: float = 0.0,
        bands: Sequence[str] = (),
    ) -> CompactClassifier:
        """Search for a network, and train it on all patches but those of the validation part.

        Args:
            X: Patches (patches, bands, rows, columns), as a NumPy array or torch tensor, in any unit: the network
                standardises each band itself.
            y: Class label of each patch: whole numbers or text. If all are names of Local Climate Zones, the classes
                are all 17, and maps are LCZ maps.
            groups: Group of each patch, such as its city, or None. Whole groups are held out for validation.
            validation_fraction: Share of the patches on which each epoch is measured, and on which nothing is trained.
            bands: Names of the bands, which maps look for in scenes, such as B02, B03, B04.

        Raises:
            UserError: An argument is invalid, or no network fits the budgets.
        """
        budgets = {name: getattr(self, name) for name in BUDGETS}
        config = run_config(self.recipe, budgets, self.settings, self._seed())
        images = checked_images(X, "X")
        labels = ClassLabels.of(y, len(images))
        source = array_source(images, labels.codes(y), groups, classes=labels.names, bands=bands)
        data = Dataset.of_training(source, validation_fraction)
        home = RunHome(None if self.folder is None else Path(self.folder))
        listener = self._listener()
        try:
            search_stage(config, home.path, resume=True, listener=listener, data=data)
            train_stage(config, home.path, str(home.path / "genotype.json"), resume=True, listener=listener, data=data)
        finally:
            listener.end()
        labels.write(home.path)
        self._adopt(home, labels)
        return self

    def predict_proba(self, X: Any) -> Float[np.ndarray, "patches classes"]:  # noqa: N803
        """Predict the probability of each class, in the order of `classes_`.

        Raises:
            UserError: The patches have other bands or another size than those of `fit`.
            NotFittedError: `fit` was not called.
        """
        network = self.network
        images = self._own_images(X)
        source = array_source(images, np.zeros(len(images), np.int64), bands=self._task.bands)
        device = next(network.parameters()).device
        found: NDArray[np.float32] = probabilities(network, source, np.arange(len(images)), device).numpy()
        return found

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Predict the most probable class label of each patch."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def calibrate(self, X: Any, y: Any) -> Temperature:  # noqa: N803
        """Fit the temperature of the network on patches that `fit` has not seen, so that its confidence is right.

        Raises:
            UserError: A label is not one of `classes_`, or the patches have other bands or another size than those of
                `fit`.
        """
        self._require_fitted()
        images, codes = self._own_images(X), self._labels.codes(y)
        source = array_source(images, codes, classes=self._labels.names, bands=self._task.bands)
        found = fit_on(self.folder_, source, np.arange(len(codes)), "given")
        self._adopt(self._home, self._labels)
        return found

    def export(self, folder: str | Path) -> Path:
        """Write the network as ONNX, `torch.export` program and safetensors with a model card; return the folder.

        The 8-bit file needs data on disk: `compactnas export` writes it.
        """
        self._require_fitted()
        export_run(self.folder_, Path(folder), without_data=True)
        return Path(folder)

    def map(self, scene: str | Path, folder: str | Path | None = None, **options: Any) -> Any:
        """Map a scene; see `compactnas.map`."""
        self._require_fitted()
        return map_scene(self.folder_, scene, folder, **options)

    def save(self, folder: str | Path) -> Path:
        """Copy the run to a folder that does not exist yet; `load` reads it again, and all commands take it."""
        self._require_fitted()
        out = Path(folder)
        if out.exists():
            raise UserError(f"{out}: exists already; name another folder")
        with appearing(out) as made:
            RunHome(made).fill(self._home.files())
        return out

    @classmethod
    def load(cls, folder: str | Path) -> CompactClassifier:
        """Open a finished run, of `save` or of the command line, as a fitted classifier."""
        home = RunHome(Path(folder))
        model = cls(folder=folder)
        model._adopt(home, ClassLabels.read(home.path))
        return model

    @property
    def genotype(self) -> Genotype:
        """Found network as a description."""
        self._require_fitted()
        return Genotype.load(self.folder_)

    @property
    def network(self) -> torch.nn.Module:
        """Trained network: raw patches in, logits out."""
        self._require_fitted()
        return self._network

    @property
    def history(self) -> History:
        """Figures of search and training by epoch."""
        self._require_fitted()
        return History.read(self.folder_)

    @property
    def folder_(self) -> Path:
        """Folder of the run."""
        self._require_fitted()
        return self._home.path

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_home")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        return tags

    def _adopt(self, home: RunHome, labels: ClassLabels) -> None:
        """Take a finished run."""
        network, task = load(home.path), Task.read(home.path)
        self._home, self._labels, self._task, self._network = home, labels, task, network
        self.classes_ = labels.values

    def _own_images(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Check that patches have the bands and the size of those of `fit`."""
        images = checked_images(X, "X")
        wanted = (len(self._task.bands), self._task.patch_px, self._task.patch_px)
        if images.shape[1:] != wanted:
            raise UserError(f"X: patches have shape {images.shape[1:]}; the model was fitted to {wanted}")
        return images

    def _require_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("CompactClassifier: is not fitted yet; call `fit` first")

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _listener(self) -> Listener:
        if not self.progress:
            return Silent()
        from compactnas.reporting.progress import RichListener

        return RichListener()
