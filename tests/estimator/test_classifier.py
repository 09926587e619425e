"""The classifier: the ten lines of the README, scikit-learn's conventions, and the bytes of the command line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

import compactnas as cn
from compactnas.cli import main

TINY: dict[str, Any] = {
    "space.channels": 4,
    "space.max_depth": 2,
    "search.epochs": 1,
    "search.initial_depth": 2,
    "search.batch_size": 16,
    "train.epochs": 1,
    "machine.device": "cpu",
}
"""Settings of a fit of a second."""


def stripes(patches: int = 96, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Patches whose class is the direction of stripes."""
    rng, labels = np.random.default_rng(seed), np.arange(patches) % 3
    rows, columns = np.mgrid[:8, :8]
    waves = np.stack([np.sin(rows), np.sin(columns), np.sin(rows + columns)])[labels]
    images = 0.3 + 0.1 * waves[:, None] + rng.normal(0, 0.05, (patches, 4, 8, 8))
    return images.astype(np.float32), labels


@pytest.fixture(scope="module")
def fitted() -> cn.CompactClassifier:
    images, labels = stripes()
    return cn.CompactClassifier(recipe="smoke", settings=TINY).fit(images, labels * 10)


def test_the_command_line_finds_the_same_network(fitted: cn.CompactClassifier, tmp_path: Path) -> None:
    images, labels = stripes()
    split = np.array(["train"] * len(labels) + ["test"] * 6)
    more, known = stripes(6, seed=1)
    file = tmp_path / "patches.npz"
    np.savez(file, images=np.concatenate([images, more]), labels=np.concatenate([labels, known]), split=split)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    out = tmp_path / "run"
    assert main(["run", "--recipe", "smoke", "--data.path", str(file), "-o", str(out), *words]) == 0
    for name in ("genotype.json", "model.safetensors", "search/metrics.jsonl", "train/metrics.jsonl"):
        ours, theirs = ((folder / name).read_text(errors="replace") for folder in (fitted.folder_, out))
        if name.endswith("jsonl"):
            ours, theirs = (without_times(text) for text in (ours, theirs))
        assert ours == theirs, name


def without_times(text: str) -> str:
    """Rows of a table without wall-clock times."""
    rows = [json.loads(line) for line in text.splitlines()]
    return json.dumps([{k: v for k, v in row.items() if "seconds" not in k and "gib" not in k} for row in rows])


def test_labels_keep_their_type_and_probabilities_their_order(fitted: cn.CompactClassifier) -> None:
    images, _ = stripes(7, seed=2)
    assert fitted.classes_.tolist() == [0, 10, 20]
    probabilities = fitted.predict_proba(images)
    assert probabilities.shape == (7, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    found = fitted.predict(torch.from_numpy(images))
    assert found.tolist() == [[0, 10, 20][i] for i in probabilities.argmax(axis=1)]
    with torch.inference_mode():
        plain = fitted.network(torch.from_numpy(images)).softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities, plain, atol=1e-5)
    assert fitted.score(images, found) == 1.0


@pytest.mark.parametrize("kind", ["str", "object"])
def test_text_labels(kind: str, tmp_path: Path) -> None:
    images, labels = stripes(48)
    names: NDArray[Any] = np.array(["field", "sea", "town"])[labels].astype(kind)
    model = cn.CompactClassifier(recipe="smoke", settings=TINY, folder=tmp_path / "run").fit(images, names)
    assert set(model.predict(images)) <= {"field", "sea", "town"}
    again = cn.CompactClassifier.load(tmp_path / "run")
    assert again.classes_.tolist() == ["field", "sea", "town"]
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))


def test_names_of_local_climate_zones_make_an_lcz_network(tmp_path: Path) -> None:
    images, labels = stripes(48)
    names = np.array(["water", "dense trees", "open low-rise"])
    from compactnas.lcz import NAMES

    names = np.array([NAMES[16], NAMES[10], NAMES[5]])[labels]
    model = cn.CompactClassifier(recipe="smoke", settings=TINY).fit(images, names)
    assert tuple(model.classes_) == NAMES
    assert json.loads((model.folder_ / "task.json").read_text())["lcz"] is True


def test_saved_loaded_and_pickled_models_predict_the_same(fitted: cn.CompactClassifier, tmp_path: Path) -> None:
    images, _ = stripes(5, seed=3)
    expected = fitted.predict_proba(images)
    fitted.save(tmp_path / "saved")
    for model in (cn.CompactClassifier.load(tmp_path / "saved"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(model.predict_proba(images), expected)
        assert model.classes_.dtype == fitted.classes_.dtype
        assert model.genotype == fitted.genotype
    assert main(["show", str(tmp_path / "saved")]) == 0
    with pytest.raises(cn.UserError, match="exists already"):
        fitted.save(tmp_path / "saved")


def test_a_fit_goes_on_in_its_folder(tmp_path: Path) -> None:
    images, labels = stripes(48)
    model = cn.CompactClassifier(recipe="smoke", settings=TINY, folder=tmp_path / "run").fit(images, labels)
    before = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns, model.predict_proba(images)
    again = clone(model).fit(images, labels)
    np.testing.assert_array_equal(again.predict_proba(images), before[1])
    with pytest.raises(cn.UserError, match=r"search\.epochs"):
        clone(model).set_params(settings=TINY | {"search.epochs": 2}).fit(images, labels)
    with pytest.raises(cn.UserError, match="has changed since"):
        clone(model).fit(images + 1, labels)


def test_a_notebook_sees_pictures(fitted: cn.CompactClassifier, tmp_path: Path) -> None:
    assert "data:image/svg+xml" in fitted.genotype._repr_html_()
    plot = fitted.history.plot()
    assert plot._repr_html_().count("<img") == len(plot.figures) > 3
    files = plot.save(tmp_path)
    assert all(file.read_text().startswith("<svg") for file in files)
    measures = cn.confusion_measures(np.array([[3, 1], [0, 2]]), lcz=False)
    assert "83.33" in measures._repr_html_()


def test_a_budget_is_kept(tmp_path: Path) -> None:
    images, labels = stripes(48)
    model = cn.CompactClassifier(max_macs=60e3, recipe="smoke", settings=TINY).fit(images, labels)
    assert cn.genotype_cost(model.genotype, bands=4, classes=3, patch_px=8).macs <= 60e3


def test_calibration_of_given_patches(fitted: cn.CompactClassifier) -> None:
    model = pickle.loads(pickle.dumps(fitted))
    images, labels = stripes(60, seed=4)
    before = model.predict(images)
    found = model.calibrate(images, labels * 10)
    assert found.patches == 60
    np.testing.assert_array_equal(model.predict(images), before)


def test_pixels_are_checked_once(fitted: cn.CompactClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    from compactnas.data import arrays
    from compactnas.estimator import classifier

    checked: list[int] = []
    monkeypatch.setattr(arrays, "require_finite", lambda pixels, rows, where: checked.append(len(rows)))
    fitted.predict_proba(stripes(7)[0])
    assert checked == [7]

    def stop(*words: Any, **options: Any) -> None:
        raise cn.UserError("the data is open")

    monkeypatch.setattr(classifier, "search_stage", stop)
    with pytest.raises(cn.UserError, match="the data is open"):
        cn.CompactClassifier(recipe="smoke").fit(*stripes(9))
    assert checked == [7, 9]


X, Y = stripes(12)
BAD: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "images of two dimensions": ({}, X.reshape(12, -1), Y, "X: has shape"),
    "images that are not square": ({}, X[..., :4], Y, "square patches"),
    "NaN": ({}, np.where(np.arange(12)[:, None, None, None] == 3, np.nan, X), Y, "row 3"),
    "text for images": ({}, np.array([["a"]]), Y, "X: has shape"),
    "too few labels": ({}, X, Y[:-1], "y: has shape"),
    "a label that is missing": ({}, X, np.where(Y == 1, np.nan, Y), "row 1"),
    "one class": ({}, X, np.zeros(12, int), "single class"),
    "a recipe that is misspelt": ({"recipe": "quik"}, X, Y, "did you mean 'quick'"),
    "a setting that is misspelt": ({"settings": {"search.epoch": 1}}, X, Y, "did you mean 'search.epochs'"),
    "a setting without its part": ({"settings": {"epochs": 1}}, X, Y, "did you mean"),
    "a setting of the data": ({"settings": {"data.path": "x"}}, X, Y, "arrays of `fit`"),
    "a setting with a wrong value": ({"settings": {"search.epochs": "many"}}, X, Y, "search.epochs"),
    "a budget below every network": ({"max_macs": 1.0, "settings": TINY}, X, Y, "MACs"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_line(case: str) -> None:
    params, images, labels, words = BAD[case]
    with pytest.raises(cn.UserError, match=words) as error:
        cn.CompactClassifier(**{"recipe": "smoke"} | params).fit(images, labels)
    assert "\n" not in str(error.value)


def test_patches_of_another_size_are_refused(fitted: cn.CompactClassifier) -> None:
    with pytest.raises(cn.UserError, match="fitted to"):
        fitted.predict(np.zeros((2, 3, 8, 8), np.float32))
    with pytest.raises(NotFittedError):
        cn.CompactClassifier().predict(X)
    with pytest.raises(NotFittedError):
        _ = cn.CompactClassifier().genotype


CHECKS = (
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
)
"""Checks of scikit-learn that do not fit two-dimensional data; all others do."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learn_accepts_the_estimator(check: Callable[[str, Any], None]) -> None:
    check("CompactClassifier", cn.CompactClassifier())


def test_cross_validation_by_groups() -> None:
    from sklearn.model_selection import GroupKFold, cross_val_score

    images, labels = stripes(60)
    model = cn.CompactClassifier(recipe="smoke", settings=TINY)
    scores = cross_val_score(model, images, labels, groups=np.arange(60) // 10, cv=GroupKFold(2))
    assert scores.shape == (2,)


def test_the_synthetic_set_and_a_map_of_the_model(tmp_path: Path) -> None:
    pytest.importorskip("rasterio", reason="the `map` extra is not installed")
    xarray = pytest.importorskip("xarray", reason="the `map` extra is not installed")
    train, test = cn.datasets.synthetic(120, cities=1, test_cities=1, scene_px=264)
    assert train.images.shape == (120, 10, 32, 32) and not set(train.groups) & set(test.groups)
    small = TINY | {"search.batch_size": 32}
    model = cn.CompactClassifier(max_macs=20e6, recipe="smoke", settings=small)
    model.fit(train.images, train.labels, groups=train.groups, bands=train.bands)
    assert 0 <= model.score(test.images, test.labels) <= 1
    cn.write_world(tmp_path / "world", cities=1, test_cities=1, patches=40, scene_px=264, scenes=True)
    scene = next((tmp_path / "world" / "scenes").glob("*[!z].tif"))
    found = model.map(scene, stride_px=24)
    assert isinstance(found, xarray.DataArray) and found.shape == (11, 11)
    assert set(np.unique(found)) <= set(range(18)) and found.rio.crs is not None
    with pytest.raises(cn.UserError, match="did you mean 'stride_px'"):
        model.map(scene, stide_px=16)
