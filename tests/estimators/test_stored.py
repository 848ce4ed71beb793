"""Estimators on arrays that are not in memory: scaled, split, predicted by batch, with the bits of memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.preprocessing import StandardScaler

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor
from pylstm.data import stored
from pylstm.estimators.sequences import scaling

RNG = np.random.default_rng(0)
X = 3 + 2 * RNG.normal(size=(90, 7, 3)).astype("float32")
X[:, :, 2] = 5.1  # constant
LABELS = np.where(X.sum(axis=(1, 2)) > X.sum(axis=(1, 2)).mean(), "up", "down")
VALUES = np.stack([X.sum(axis=(1, 2)), X[:, -1, 0]], axis=1)
WEIGHTS = RNG.uniform(0.5, 2, size=90)


@pytest.fixture(autouse=True)
def all_by_batch(monkeypatch):
    monkeypatch.setattr(stored, "SMALL", 0)
    monkeypatch.setattr(scaling, "PIECE", 7 * 3 * 20)
    monkeypatch.setattr(scaling, "SCALED", 7 * 3 * 3)


def mapped(folder, array, name="x"):
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def files(folder, array):
    for number, piece in enumerate(np.split(array, [13, 60])):
        np.save(folder / f"{number}.npy", piece)
    return [folder / f"{number}.npy" for number in range(3)]


def of_h5py(folder, array):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=array, chunks=(8, *array.shape[1:]))


def of_zarr(folder, array):
    zarr = pytest.importorskip("zarr")
    found = zarr.open_array(folder / "x.zarr", mode="w", shape=array.shape, chunks=(8, 7, 3), dtype=array.dtype)
    found[:] = array
    return found


def classifier(**options):
    return SequenceClassifier("gru", hidden_size=4, epochs=3, batch_size=8, random_state=0, **options)


def regressor(**options):
    return SequenceRegressor("gru", hidden_size=4, epochs=3, batch_size=8, random_state=0, **options)


def result(net, X, y, weights=None):
    net.fit(X, y, sample_weight=weights)
    scale = [net.x_mean_.tobytes(), net.x_scale_.tobytes()]
    out = net.decision_function(X) if hasattr(net, "classes_") else net.predict(X)
    return [*(each.flat.tobytes() for each in net.model_.params), *scale, out.tobytes(), net.validation_scores_]


@pytest.mark.parametrize("options", [{}, {"standardise": False}, {"early_stopping": True, "validation_fraction": 0.3}])
@pytest.mark.parametrize("kind", [mapped, files, of_h5py, of_zarr])
def test_the_bits_of_a_fit_in_memory(tmp_path, kind, options):
    x = kind(tmp_path, X)
    assert result(classifier(**options), x, LABELS) == result(classifier(**options), X, LABELS)
    assert result(regressor(**options), x, VALUES) == result(regressor(**options), X, VALUES)
    assert classifier().fit(x, LABELS).score(x, LABELS) == classifier().fit(X, LABELS).score(X, LABELS)


@pytest.mark.parametrize("dtype", ["float64", "int64", "uint8", ">f4"])
@pytest.mark.parametrize("of_net", ["float32", "float64"])
def test_dtypes(tmp_path, dtype, of_net):
    x = (9 * X).astype(dtype)
    assert result(classifier(dtype=of_net), mapped(tmp_path, x), LABELS) == result(classifier(dtype=of_net), x, LABELS)


@pytest.mark.parametrize("zero", [False, True])
def test_weights(tmp_path, zero):
    weights = np.where(np.arange(90) % 7 == 3, 0, WEIGHTS) if zero else WEIGHTS
    x = mapped(tmp_path, X)
    assert result(regressor(), x, VALUES, weights) == result(regressor(), X, VALUES, weights)
    assert result(classifier(class_weight="balanced"), x, LABELS, weights) == result(
        classifier(class_weight="balanced"), X, LABELS, weights
    )
    net = regressor().fit(X, VALUES)
    assert net.score(x, VALUES, weights) == net.score(X, VALUES, weights)


def test_targets_in_a_file(tmp_path):
    y = mapped(tmp_path, VALUES, "y")
    assert result(regressor(), mapped(tmp_path, X), y) == result(regressor(), X, VALUES)


def test_flat_rows(tmp_path):
    flat, other = X.reshape(90, -1), {"features_per_step": 3}
    x = mapped(tmp_path, flat)
    assert result(classifier(**other), x, LABELS) == result(classifier(**other), flat, LABELS)
    net = classifier(**other).fit(x, LABELS)
    assert net.n_features_in_ == 21 and net.n_step_features_ == 3 and net.input_form_ == "rows"
    with pytest.raises(ValueError, match="X has 18 features, but SequenceClassifier is expecting 21 features"):
        net.predict(mapped(tmp_path, flat[:, :18], "other"))
    with pytest.raises(ValueError, match="multiple of features_per_step=4, got 21"):
        classifier(features_per_step=4).fit(x, LABELS)


def test_rows_of_several_lengths(tmp_path):
    lengths = RNG.integers(1, 8, size=90)
    ragged, lazy = pylstm.Sequences(X, lengths), pylstm.Sequences(mapped(tmp_path, X), lengths)
    assert result(classifier(), lazy, LABELS, WEIGHTS) == result(classifier(), ragged, LABELS, WEIGHTS)


@pytest.mark.parametrize("standardise", [True, False])
def test_nan_is_named(tmp_path, standardise):
    bad = X.copy()
    bad[71, 4, 1] = np.nan
    x, net = mapped(tmp_path, bad), classifier(standardise=standardise)
    with pytest.raises(ValueError, match=r"Input X contains nan at index \(71, 4, 1\): fill it"):
        net.fit(x, LABELS)
    assert not hasattr(net, "model_")
    with pytest.raises(ValueError, match=r"Input X contains nan at index \(71, 4, 1\)"):
        net.fit(X, LABELS).predict(x)
    weights = np.where(np.arange(90) == 71, 0, WEIGHTS)
    net.fit(x, LABELS, sample_weight=weights)


def test_other_shapes_are_refused(tmp_path):
    net = classifier().fit(X, LABELS)
    with pytest.raises(ValueError, match="X has 2 features at a step, but SequenceClassifier is expecting 3"):
        net.predict(mapped(tmp_path, X[:, :, :2]))
    with pytest.raises(ValueError, match=r"X must be numbers of shape \(N, F\) or \(N, T, I\), got float32 of shape"):
        net.fit(mapped(tmp_path, X[None]), LABELS[:1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net.fit(mapped(tmp_path, X), LABELS[:-1])


def test_kept_and_fitted_again(tmp_path):
    x = mapped(tmp_path, X)
    net = classifier(warm_start=True).fit(x, LABELS)
    pylstm.save(tmp_path / "net.safetensors", net)
    expected = net.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(net)), pylstm.load(tmp_path / "net.safetensors")):
        assert other.predict_proba(x).tobytes() == expected.tobytes()
    again = classifier(warm_start=True).fit(X, LABELS).fit(X, LABELS)
    assert net.fit(x, LABELS).predict_proba(X).tobytes() == again.predict_proba(X).tobytes()


def test_statistics_in_pieces_are_exact_to_rounding():
    """Of numbers far from 0, in pieces of unequal weights, beside those of all at once."""
    x = 1e4 + RNG.normal(size=(500, 7, 3)) * [1, 10, 0]
    weights = RNG.uniform(0.5, 2, size=500)
    found = scaling.fit_steps(x, weights)
    with np.errstate(invalid="ignore"):
        expected = StandardScaler().fit(x.reshape(-1, 3), sample_weight=np.repeat(weights, 7))
    assert np.allclose(found.mean_, expected.mean_, rtol=1e-13)
    assert np.allclose(found.scale_, expected.scale_, rtol=1e-9) and found.scale_[2] == 1
    values = scaling.scale_steps(found, x, "float64")
    assert values.tobytes() == found.transform(x.reshape(-1, 3)).tobytes()
    mean, deviation = x[:, :, :2].mean(axis=(0, 1)), x[:, :, :2].std(axis=(0, 1))
    even = scaling.fit_steps(x, np.ones(500))
    assert np.allclose(even.mean_[:2], mean, rtol=1e-14) and np.allclose(even.scale_[:2], deviation, rtol=1e-11)
