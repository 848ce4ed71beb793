"""Fits of arrays that are not in memory: maps, files, h5py, zarr; the bits of a fit in memory."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm.data import scaling, stored

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 7, 3)).astype("float32")
Y = (X.sum(axis=(1, 2)) > 0).astype(int)
STEPS = X.cumsum(axis=1)[:, :, :1]
WEIGHTS = RNG.uniform(0.5, 2, size=90).astype("float32")
LENGTHS = RNG.integers(1, 8, size=90)


@pytest.fixture(autouse=True)
def all_by_batch(monkeypatch):
    monkeypatch.setattr(stored, "SMALL", 0)


def mapped(folder, array, name="x"):
    np.save(folder / f"{name}.npy", array)
    return np.load(folder / f"{name}.npy", mmap_mode="r")


def raw(folder, array):
    array.tofile(folder / "x.raw")
    return np.memmap(folder / "x.raw", array.dtype, "r", shape=array.shape)


def in_order_of_columns(folder, array):
    np.save(folder / "x.npy", np.asfortranarray(array))
    return np.load(folder / "x.npy", mmap_mode="r")


def files(folder, array):
    for number, piece in enumerate(np.split(array, [13, 14, 60])):
        np.save(folder / f"{number}.npy", piece)
    return [folder / f"{number}.npy" for number in range(4)]


def one_file(folder, array):
    mapped(folder, array)
    return str(folder / "x.npy")


def of_h5py(folder, array):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=array, chunks=(8, *array.shape[1:]))


def of_h5py_in_one_piece(folder, array):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "x.h5", "w").create_dataset("x", data=array)


def of_zarr(folder, array):
    zarr = pytest.importorskip("zarr")
    found = zarr.open_array(folder / "x.zarr", mode="w", shape=array.shape, chunks=(8, *array.shape[1:]), dtype="f4")
    found[:] = array
    return found


class OnDemand:
    """An array of somebody's own: no `__array__`, rows by slices and increasing numbers."""

    def __init__(self, array):
        self._array, self.shape, self.dtype, self.most = array, array.shape, array.dtype, 0

    def __getitem__(self, rows):
        found = self._array[rows]
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        self.most = max(self.most, len(found))
        return found


KINDS = [
    mapped, raw, in_order_of_columns, files, one_file, of_h5py, of_h5py_in_one_piece, of_zarr,
    lambda folder, array: OnDemand(array),
]  # fmt: skip


def bits(model):
    return [each.flat.tobytes() for each in model.params]


def classifier(**options):
    return pylstm.SequenceModel("gru", 3, 4, 2, loss="softmax_cross_entropy", seed=0, **options)


def trained(make, data, **options):
    model = make()
    history = pylstm.fit(model, data, epochs=3, batch_size=8, **options)
    return bits(model), history.steps, history.loss, history.validation_loss


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"validation": 0.3, "patience": 1, "seed": 3}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_of_a_fit_in_memory(tmp_path, kind, options):
    x = kind(tmp_path, X)
    assert trained(classifier, (x, Y), **options) == trained(classifier, (X, Y), **options)
    assert classifier().predict(x, batch_size=8).tobytes() == classifier().predict(X).tobytes()


def test_targets_and_weights_too(tmp_path):
    def make():
        return pylstm.SequenceModel("lstm", 3, 4, 1, read="every", dropout=0.2, num_layers=2, seed=1)

    data = X, STEPS, WEIGHTS
    maps = tuple(mapped(tmp_path, each, str(number)) for number, each in enumerate(data))
    assert trained(make, maps, validation=0.2) == trained(make, data, validation=0.2)
    assert trained(make, data, validation=maps) == trained(make, data, validation=data)


def test_rows_of_several_lengths(tmp_path):
    ragged = pylstm.Sequences(X, LENGTHS)
    lazy = pylstm.Sequences(mapped(tmp_path, X), LENGTHS)
    assert isinstance(stored.lazily(lazy), stored.StoredSequences)
    assert trained(classifier, (lazy, Y), validation=0.2) == trained(classifier, (ragged, Y), validation=0.2)
    assert classifier().predict(lazy, batch_size=8).tobytes() == classifier().predict(ragged).tobytes()


@pytest.mark.parametrize("dtype", ["float64", "int64", "int16", ">f4"])
def test_other_dtypes_are_as_in_memory(tmp_path, dtype):
    def fit(x):
        return trained(lambda: classifier(dtype="float64" if dtype == "float64" else "float32"), (x, Y))

    x = (9 * X).astype(dtype)
    if np.dtype(dtype).kind == "f":
        assert fit(mapped(tmp_path, x)) == fit(x)
    else:
        with pytest.raises(TypeError, match=rf"data\[0\]: x must be float32, got {dtype}"):
            fit(mapped(tmp_path, x))


def test_indices(tmp_path):
    def make():
        return pylstm.SequenceModel("gru", 3, 4, 2, vocabulary=9, loss="softmax_cross_entropy", seed=0)

    x = RNG.integers(0, 9, size=(90, 7))
    assert trained(make, (mapped(tmp_path, x), Y)) == trained(make, (x, Y))
    x[71, 2] = 9
    with pytest.raises(ValueError, match=r"data, row 71: indices must be in 0\.\.8, got 9"):
        trained(make, (mapped(tmp_path, x), Y))


def test_rows_are_read_by_batch():
    x = OnDemand(X)
    trained(classifier, (x, Y), validation=0.3)
    assert x.most == 8


@pytest.mark.parametrize("validation", [None, 0.3])
def test_nan_is_found_at_its_batch(tmp_path, validation):
    """Named by the number that it has in the file, and the parameters are those before that step."""
    bad = X.copy()
    bad[[58, 71], 4, 1] = np.nan
    model, options = classifier(), {"batch_size": 8, "epochs": 3, "validation": validation}
    trainer = pylstm.Trainer(model, (mapped(tmp_path, bad), Y), **options)
    with pytest.raises(ValueError, match=r"data\[0\] \(x\) holds nan at index \((58|71), 4, 1\): fill it"):
        trainer.run()
    assert trainer.step > 0 and len(trainer.history.steps) == trainer.step
    again = classifier()
    shorter = pylstm.Trainer(again, (X, Y), callbacks=[], **options)
    for step in range(trainer.step):
        shorter.optimiser.step(_clipped(shorter.source.gradients(again, step, None)[1]))
    assert bits(again) == bits(model)


def _clipped(grads):
    pylstm.clip_by_norm(grads, 1.0)
    return grads


def test_nan_that_does_not_count(tmp_path):
    bad, weights = X.copy(), WEIGHTS.copy()
    bad[58], weights[58] = np.nan, 0
    assert trained(classifier, (mapped(tmp_path, bad), Y, weights)) == trained(classifier, (bad, Y, weights))


def test_nan_to_validate(tmp_path):
    bad = X.copy()
    bad[58, 4, 1] = np.nan
    with pytest.raises(
        pylstm.training.TrainingDiverged, match=r"validation\[0\] \(x\) holds nan at index \(58, 4, 1\)"
    ):
        trained(classifier, (X, Y), validation=(mapped(tmp_path, bad), Y))


def test_what_is_cheap_is_found_before_the_first_step(tmp_path):
    x, wrong, gap = mapped(tmp_path, X), Y.copy(), STEPS.copy()
    wrong[70], gap[70, 3] = 2, np.nan
    with pytest.raises(ValueError, match=r"data\[1\]: y, row 70: targets must be in 0\.\.1, got 2"):
        pylstm.Trainer(classifier(), (x, wrong))
    with pytest.raises(ValueError, match=r"data\[0\]: x must have shape \(N, T, 3\)"):
        pylstm.Trainer(classifier(), (mapped(tmp_path, X[:, :, :2]), Y))
    with pytest.raises(ValueError, match=r"same number of rows"):
        pylstm.Trainer(classifier(), (x, Y[:-1]))
    with pytest.raises(ValueError, match=r"data\[1\] \(y\) holds nan at index \(70, 3, 0\)"):
        pylstm.Trainer(pylstm.SequenceModel("gru", 3, 4, 1, read="every"), (x, gap))


def test_targets_in_a_file_name_their_row(tmp_path):
    wrong = Y.copy()
    wrong[70] = 2
    with pytest.raises(ValueError, match=r"data, row 70: .*targets must be in 0\.\.1, got 2"):
        trained(classifier, (mapped(tmp_path, X), mapped(tmp_path, wrong, "y")), validation=0.1)


def test_resumed(tmp_path):
    def fit(epochs, **options):
        model = classifier()
        pylstm.fit(model, (mapped(tmp_path, X), Y), epochs=epochs, checkpoint=tmp_path / "run", **options)
        return bits(model)

    fit(2)
    resumed = fit(4, resume=True)
    os.remove(tmp_path / "run")
    assert resumed == fit(4)
    with pytest.raises(ValueError, match="data was"):
        pylstm.fit(classifier(), (mapped(tmp_path, X + 1), Y), epochs=4, checkpoint=tmp_path / "run", resume=True)


def test_a_model_of_ones_own_gets_arrays(tmp_path):
    class Line:
        def __init__(self):
            self.head = pylstm.Linear(3, 1, seed=0)
            self.params = [self.head.params]

        def gradients(self, x, y):
            assert type(x) is np.ndarray
            run = self.head(x)
            value, dy = pylstm.mean_squared_error(run.y, y)
            return value, [run.backward(dy).params]

    data = X[:, 0], STEPS[:, 0]
    assert trained(Line, (mapped(tmp_path, data[0]), data[1])) == trained(Line, data)


def test_l_bfgs_reads_all(tmp_path):
    pytest.importorskip("scipy")

    def fit(x):
        model = pylstm.SequenceModel("gru", 3, 4, 1, read="every", dtype="float64", seed=0)
        pylstm.fit_lbfgs(model, (x, STEPS.astype("float64")), iterations=3)
        return bits(model)

    assert fit(files(tmp_path, X.astype("float64"))) == fit(X.astype("float64"))


def test_files_that_do_not_fit(tmp_path):
    paths = files(tmp_path, X)
    np.save(paths[2], X[:5].astype("float64"))
    with pytest.raises(ValueError, match=r"2\.npy holds float64 of shape \(5, 7, 3\), but .*0\.npy float32 of shape"):
        pylstm.fit(classifier(), (paths, Y))
    np.save(paths[2], np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"2\.npy cannot be mapped"):
        pylstm.fit(classifier(), (paths, Y))
    np.save(paths[2], np.float32(1))
    with pytest.raises(ValueError, match=r"2\.npy must hold an array of at least one axis"):
        pylstm.fit(classifier(), (paths, Y))
    with pytest.raises(FileNotFoundError):
        pylstm.fit(classifier(), ("none.npy", Y))
    with pytest.raises(TypeError, match=r"must be an array of numbers, got 'x\.csv'"):
        pylstm.fit(classifier(), ("x.csv", Y))


def test_more_files_than_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "OPEN", 2)
    assert trained(classifier, (files(tmp_path, X), Y)) == trained(classifier, (X, Y))


def test_small_arrays_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "SMALL", X.nbytes)
    assert isinstance(stored.lazily(mapped(tmp_path, X)), np.ndarray)
    assert isinstance(stored.lazily(mapped(tmp_path, np.concatenate([X, X[:1]]))), stored.Stored)


def test_what_is_in_memory_stays():
    assert not any(stored.is_mapped(each) for each in (X, X[3:], X.view("i4"), np.frombuffer(b"12345678")))
    assert stored.stored(X) is None and stored.stored([X, X]) is None and stored.stored("x") is None


@pytest.mark.parametrize("kind", [mapped, files, of_h5py])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classify_model(tmp_path, monkeypatch, kind, dtype):
    """Its scales are of all rows, in pieces; those in memory of the same."""
    monkeypatch.setattr(scaling, "PIECE", 7 * 3 * 20)

    def fit(x, **options):
        model = pylstm.ClassifyModel(["down", "up"], "gru", 4, dtype=dtype, seed=0)
        model.fit(x, Y, epochs=2, batch_size=8, **options)
        return model.scale, bits(model.net), model.probabilities(x).tobytes()

    large = 100 + 3 * X
    x = kind(tmp_path, large)
    for options in ({}, {"validation": 0.3, "patience": 1}):
        scale, *found = fit(x, **options)
        expected, *others = fit(large, **options)
        assert found == others and scale.tobytes() == expected.tobytes()
    steps = large.astype("float64").reshape(-1, 3)
    assert np.allclose(scale, [steps.mean(axis=0), steps.std(axis=0)], rtol=1e-12)
    bad = large.copy()
    bad[71, 4, 1] = np.nan
    with pytest.raises(ValueError, match=r"Input x contains nan at index \(71, 4, 1\): fill it"):
        fit(mapped(tmp_path, bad, "bad"))


MEMORY = """
import sys, threading
import numpy as np, pylstm

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024

path, kind = sys.argv[1:]
x, y = np.load(path, mmap_mode="r"), np.arange(6000) % 2
options = {"epochs": 1, "batch_size": 64}
def fit(x, y):
    if kind == "model":
        model = pylstm.SequenceModel("gru", 40, 2, 2, loss="softmax_cross_entropy")
        pylstm.fit(model, (x, y), validation=0.4, progress=False, **options)
        return model.predict(x)
    net = pylstm.SequenceClassifier("gru", hidden_size=2, early_stopping=True, **options)
    return net.fit(x, y).predict(x)
fit(np.array(x[:256]), y[:256])
most, ended, before = [0.0], threading.Event(), anonymous()
def watch():
    while not ended.wait(0.002):
        most[0] = max(most[0], anonymous() - before)
watcher = threading.Thread(target=watch)
watcher.start()
fit(x, y)
ended.set()
watcher.join()
print(most[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="this machine does not count anonymous memory")
@pytest.mark.parametrize("kind", ["model", "estimator"])
def test_private_memory_on_top_of_a_map(tmp_path, kind):
    """Six tenths of the file at most, most of it what `predict` takes; one copy would be all of it."""
    if kind == "estimator":
        pytest.importorskip("sklearn")
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="float32", shape=(6000, 100, 40))
    x[:] = RNG.standard_normal((6000, 1, 40), "float32")
    x.flush()
    command = [sys.executable, "-P", "-c", MEMORY, tmp_path / "x.npy", kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.6 * x.nbytes / 2**20
