"""`pylstm.interop.onnx.export` of models and estimators, run by onnxruntime, against ``predict``."""

import json

import numpy as np
import pytest

import pylstm
from pylstm import ClassifyModel, SequenceModel, Sequences
from pylstm.interop import onnx as ours

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

LENGTHS = np.array([7, 0, 3, 1, 6], "int32")
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


def call(model, folder, **inputs):
    """The outputs of the exported model."""
    path = str(folder / "net.onnx")
    ours.export(model, path, lengths="lengths" in inputs)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, inputs)))


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def net_of(dtype, **options):
    net = SequenceModel(options.pop("cell", "lstm"), 3, 6, 4, num_layers=2, dtype=dtype, seed=0, bias=True, **options)
    for k, params in enumerate(net.params):  # beginning with outputs that are as often below 0 as above
        params.flat[...] += numbers(k, params.size, dtype=dtype) * 0.2
    return net


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("read", ["last", "mean", "max", "stats", "every"])
def test_read_outs(read, bidirectional, dtype, ragged, tmp_path):
    net = net_of(dtype, read=read, bidirectional=bidirectional, dropout=0.5)
    x = numbers(2, 5, 7, 3, dtype=dtype)
    given = Sequences(x, LENGTHS) if ragged else x
    found = call(net, tmp_path, x=x, **({"lengths": LENGTHS} if ragged else {}))
    wanted = net.predict(given)
    assert found.keys() == {"y"} and found["y"].shape == wanted.shape and found["y"].dtype == wanted.dtype
    np.testing.assert_allclose(found["y"], wanted, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("sizes", [(), (5,), (5, 8)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("cell", ["gru", "janet"])
def test_heads_and_cells(cell, activation, sizes, tmp_path):
    net = net_of("float32", cell=cell, head_sizes=sizes, activation=activation, residual=True, learn_initial=True)
    x = numbers(2, 5, 7, 3)
    np.testing.assert_allclose(call(net, tmp_path, x=x)["y"], net.predict(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("ragged", [False, True])
def test_embeddings(ragged, tmp_path):
    net = net_of("float32", vocabulary=11, read="mean")
    x = np.random.default_rng(0).integers(0, 11, (5, 7))
    given = {}
    if ragged:
        x[np.arange(7) >= LENGTHS[:, None]] = 10**6  # beyond the end of a row anything may stand
        given = {"lengths": LENGTHS}
    wanted = net.predict(Sequences(x, LENGTHS) if ragged else x)
    np.testing.assert_allclose(call(net, tmp_path, x=x, **given)["y"], wanted, rtol=0, atol=1e-5)


def test_a_body_of_rows_first(tmp_path):
    net = SequenceModel.of(pylstm.LSTM(3, 6, batch_first=True, seed=0), 2, seed=1)
    x = numbers(2, 5, 7, 3)
    np.testing.assert_allclose(call(net, tmp_path, x=x)["y"], net.predict(x), rtol=0, atol=1e-5)


def test_classify_model(tmp_path):
    rows = [numbers(k, steps, 2) * 3 + 1000 for k, steps in enumerate(LENGTHS)]
    model = ClassifyModel(["a", "b", "c"], "gru", 5, bidirectional=True, seed=0)
    model.fit(rows, [0, 1, 2, 1, 0], epochs=2)
    padded = np.full((5, 7, 2), np.nan)
    for k, row in enumerate(rows):
        padded[k, : len(row)] = row
    found = call(model, tmp_path, x=padded, lengths=LENGTHS)["probabilities"]
    np.testing.assert_allclose(found, model.probabilities(rows), rtol=0, atol=1e-6)
    (entry,) = onnx.load(tmp_path / "net.onnx").metadata_props
    assert (entry.key, json.loads(entry.value)) == ("classes", ["a", "b", "c"])


def test_classifier(tmp_path):
    pytest.importorskip("sklearn")
    x = numbers(1, 40, 8, 2, dtype="float64") * [3, 0.5] + [100, -7]
    model = pylstm.SequenceClassifier("mgu", 5, epochs=3, random_state=0).fit(x, np.where(x[:, 0, 0] > 100, 7, 3))
    found = call(model, tmp_path, x=x)["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba(x), rtol=0, atol=1e-6)
    (entry,) = onnx.load(tmp_path / "net.onnx").metadata_props
    assert json.loads(entry.value) == [3, 7]


@pytest.mark.parametrize("targets", [0, 1, 3])
def test_regressor(targets, tmp_path):
    pytest.importorskip("sklearn")
    x = numbers(1, 40, 8, 2, dtype="float64") * [3, 0.5] + [100, -7]
    y = x.sum(axis=1) @ numbers(2, 2, targets or 1, dtype="float64") * 5 + 30
    model = pylstm.SequenceRegressor("lstm", 5, epochs=3, random_state=0).fit(x, y if targets else y[:, 0])
    found, wanted = call(model, tmp_path, x=x)["y"], model.predict(x)
    assert found.shape == wanted.shape == ((40, targets) if targets else (40,))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_flat_rows(tmp_path):
    pytest.importorskip("sklearn")
    x = numbers(1, 40, 12, dtype="float64") + 5
    model = pylstm.SequenceRegressor("lstm", 5, features_per_step=3, epochs=3, random_state=0).fit(x, x.sum(axis=1))
    np.testing.assert_allclose(call(model, tmp_path, x=x)["y"], model.predict(x), rtol=1e-5, atol=0)


def test_what_is_not_fitted_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="fit"):
        ours.export(ClassifyModel(["a", "b"]), tmp_path / "net.onnx")
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match="SequenceRegressor is not fitted: call fit first"):
        ours.export(pylstm.SequenceRegressor(), tmp_path / "net.onnx")
