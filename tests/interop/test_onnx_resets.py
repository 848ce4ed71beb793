"""Sequences that begin within a row, and inputs at every step of a model's cell, in exported files."""

import numpy as np
import pytest

import pylstm
from pylstm.interop import onnx as ours
from pylstm.layers.named import Recurrent

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

T, B, I = 9, 4, 3
LENGTHS = np.array([9, 0, 4, 2], "int32")
TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def run(model, folder, given, **options):
    path = str(folder / "net.onnx")
    ours.export(model, path, **options)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, given)))


def drawn(layer):
    for leaf in layer.recurrents:
        leaf.params.flat[...] += numbers(5, leaf.params.size, dtype=leaf.dtype) * 0.3
    return layer


def resets():
    """At step 0, at single steps, at the last, beyond the end of a row, at two steps in a row, in no row but some."""
    reset = np.zeros((T, B), bool)
    reset[0, 0] = reset[3, 0] = reset[4, 0] = reset[8, 0] = reset[4, 2] = reset[2, 2] = reset[1, 3] = reset[6, 3] = True
    return reset


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_relu", "mgu", "time_aware_lstm"])
def test_a_layer(cell, learned, ragged, dtype, tmp_path):
    """The initial states of a call are for step 0 alone, the learned ones for every beginning."""
    layer = drawn(Recurrent(cell, I, 5, dtype=dtype, learn_initial=learned, seed=1))
    x, reset, given = numbers(2, T, B, I, dtype=dtype), resets(), {}
    states = {
        name: numbers(3 + k, B, layer.widths[name], dtype=dtype) for k, name in enumerate(layer.cell.contract.states)
    }
    aux = {name: np.abs(numbers(8, T, B, layer.widths[name], dtype=dtype)) for name in layer.cell.contract.aux}
    given = {f"aux.{name}": array for name, array in aux.items()} | {"x": x, "reset": reset}
    options = {"lengths": LENGTHS} if ragged else {}
    begun = {f"initial.{name}": array for name, array in states.items()}
    y = layer(x, states, reset=reset, aux=aux or None, **options)
    found = run(layer, tmp_path, given | begun | options, states=True, reset=True, lengths=ragged)
    for name, wanted in {"y": y.y, **{f"final.{n}": array for n, array in y.final.items()}}.items():
        np.testing.assert_allclose(found[name], wanted, rtol=0, atol=TOLERANCE[dtype])
    assert np.abs(y.y - layer(x, states, aux=aux or None, **options).y).max() > 1e-3
    found = run(layer, tmp_path, given | options, reset=True, lengths=ragged)
    y = layer(x, reset=reset, aux=aux or None, **options).y
    np.testing.assert_allclose(found["y"], y, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_stack_of_both_directions(batch_first, ragged, tmp_path):
    stack = drawn(Recurrent("gru", I, 5, 2, bidirectional=True, batch_first=batch_first, learn_initial=True, seed=1))
    x, reset = numbers(2, T, B, I), resets()
    if batch_first:
        x, reset = x.swapaxes(0, 1).copy(), reset.T.copy()
    options = {"lengths": LENGTHS} if ragged else {}
    y = stack(x, reset=reset, **options).y
    found = run(stack, tmp_path, {"x": x, "reset": reset, **options}, reset=True, lengths=ragged)
    np.testing.assert_allclose(found["y"], y, rtol=0, atol=1e-5)
    assert np.abs(y - stack(x, **options).y).max() > 1e-3


def test_a_stream_of_frames(tmp_path):
    """Step by step, with a flag where a new sequence begins: the rows of one file, one after the other."""
    model, x, reset = (
        pylstm.SequenceModel("lstm", I, 5, 2, read="every", seed=0),
        numbers(2, B, T, I),
        resets().T.copy(),
    )
    path = str(tmp_path / "net.onnx")
    ours.export(model, path, states=True, reset=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    h = c = np.zeros((B, 5), "float32")
    for t in range(T):
        given = {"x": x[:, t : t + 1], "reset": reset[:, t : t + 1], "initial.h": h, "initial.c": c}
        y, h, c = session.run(["y", "final.h", "final.c"], given)
        wanted = model.head(model.layer(np.swapaxes(x[:, : t + 1], 0, 1), reset=reset[:, : t + 1].T).y[-1]).y
        np.testing.assert_allclose(y[:, 0], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("read", ["last", "mean", "every"])
def test_a_model_whose_cell_takes_more_at_every_step(read, tmp_path):
    model = pylstm.SequenceModel("time_aware_lstm", I, 5, 2, read=read, head_sizes=(4,), seed=0)
    x, dt = numbers(2, B, T, I), np.abs(numbers(3, B, T, 1)) + 0.1
    y = model.layer(x.swapaxes(0, 1), aux={"dt": dt.swapaxes(0, 1).copy()}).y
    features = {"last": y[-1], "mean": y.mean(axis=0), "every": y.swapaxes(0, 1)}[read]
    found = run(model, tmp_path, {"x": x, "aux.dt": dt})
    np.testing.assert_allclose(found["y"], model.head(np.ascontiguousarray(features)).y, rtol=0, atol=1e-5)
