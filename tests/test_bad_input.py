"""What does not fit is refused before the loop, with a message that names the argument and the cure."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import pylstm

T, B, I, H = 5, 3, 2, 4
RNG = np.random.default_rng(20)


def draw(*shape):
    return RNG.uniform(0.1, 1, shape).astype(np.float32)


class Leaky(pylstm.Cell):
    """A cell with an aux input."""

    name = "bad_input_leaky"
    states = ("s",)
    gates = {"a": "x+s"}
    aux = ("dt",)

    def forward(z, prev, u):
        return dict(s=prev.s * u.dt + z.a)

    def backward(d, y, prev, u):
        return dict(a=d.s, s=d.s * u.dt, dt=(d.s * prev.s).sum(axis=1, keepdims=True))


X, DY, ROWS = draw(T, B, I), draw(T, B, H), draw(B, H)
LSTM, LEAKY, HEAD = pylstm.LSTM(I, H, seed=0), pylstm.Recurrent(Leaky, I, H, seed=0), pylstm.Linear(I, 2)
RUN = LSTM(X)

# Every place that takes an array of the layer's dtype: an array that fits, what takes it, how messages call it.
ENTRIES = {
    "x": (X, LSTM, "x"),
    "batch_first": (X, pylstm.GRU(I, H, batch_first=True), "x"),
    "initial": (ROWS, lambda a: LSTM(X, {"c": a}), "initial['c']"),
    "aux": (draw(T, B, 1), lambda a: LEAKY(X, aux={"dt": a}), "aux['dt']"),
    "pre": (DY, lambda a: LSTM(X, pre={"h": a}), "pre['h']"),
    "blend": (DY, lambda a: LSTM(X, blend={"c": a}), "blend['c']"),
    "dy": (DY, RUN.backward, "dy"),
    "dfinal": (ROWS, lambda a: RUN.backward(dfinal={"c": a}), "dfinal['c']"),
    "dstates": (DY, lambda a: RUN.backward(dstates={"h": a}), "dstates['h']"),
    "params": (draw(4 * H, I), lambda a: LSTM.params.update({"weight_x": a}), "parameter 'weight_x'"),
    "linear": (X, HEAD, "x"),
    "linear dy": (draw(T, B, 2), HEAD(X).backward, "dy"),
    "loss": (X, lambda a: pylstm.squared_error(X, a), "target"),
}
NULLABLE = ("initial", "pre", "blend", "dy", "dfinal", "dstates", "linear dy")

# What can come instead: made of an array that fits, the error, what the message says.
SPOILED = {
    "float64": (lambda a: a.astype("f8"), TypeError, "must be float32, got float64: convert it with np.asarray(value"),
    "float16": (lambda a: a.astype("f2"), TypeError, "got float16: convert it"),
    "longdouble": (lambda a: a.astype("g"), TypeError, "got float"),
    "int": (lambda a: a.astype("i8"), TypeError, "got int64: convert it"),
    "bool": (lambda a: a > 0.5, TypeError, "got bool: convert it"),
    "complex": (lambda a: a.astype("c8"), TypeError, "got complex64"),
    "object": (lambda a: a.astype("O"), TypeError, "got object"),
    "strings": (lambda a: a.astype("U"), TypeError, "got <U"),
    "dates": (lambda a: a.astype("M8[s]"), TypeError, "got datetime64[s]"),
    "records": (lambda a: a.view([("real", "f4")]), TypeError, "got [('real'"),
    "masked": (np.ma.masked_array, TypeError, "masked arrays are not supported"),
    "str": (lambda a: "text", TypeError, "of numbers, got 'text'"),
    "thing": (lambda a: object(), TypeError, "got object"),
    "ragged": (lambda a: [[1.0], [1.0, 2.0]], ValueError, "do not form an array"),
    "too narrow": (lambda a: a[..., :-1], ValueError, "must have shape"),
    "too many axes": (lambda a: a[None], ValueError, "must have shape"),
    "scalar": (lambda a: np.float32(0.5), ValueError, "must have shape"),
    "None": (lambda a: None, TypeError, "must be an array, got None"),
}
FREE_AXES = ("linear", "loss")


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("spoiled", SPOILED)
def test_refused(entry, spoiled):
    array, take, name = ENTRIES[entry]
    spoil, error, message = SPOILED[spoiled]
    if spoiled == "None" and entry in (*NULLABLE, "aux"):
        return  # stands for "not given"
    if spoiled == "too many axes" and entry == "linear":
        return
    if spoiled == "too narrow" and entry in ("pre", "blend"):
        array = array[..., :-1]
    take(array) if spoiled != "too narrow" else None
    with pytest.raises(error, match=re.escape(message)) as caught:
        take(spoil(array))
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize("entry", [name for name in ENTRIES if name != "loss"])
def test_a_wrong_dtype_names_both_cures(entry):
    array, take, _ = ENTRIES[entry]
    cures = re.escape("np.asarray(value, dtype='float32'), or create the layer with dtype='float64'")
    with pytest.raises(TypeError, match=cures):
        take(array.astype("f8"))


@pytest.mark.parametrize("entry", ["initial", "aux", "pre", "blend", "dy", "dfinal", "dstates"])
def test_no_broadcasting(entry):
    array, take, _ = ENTRIES[entry]
    for part in (array[:1], array[..., :1, :], array[0]):
        with pytest.raises(ValueError, match="must have shape"):
            take(part)


DICTS = {
    "initial": lambda value: LSTM(X, value),
    "aux": lambda value: LEAKY(X, aux=value),
    "pre": lambda value: LSTM(X, pre=value),
    "blend": lambda value: LSTM(X, blend=value),
    "dfinal": lambda value: RUN.backward(DY, dfinal=value),
    "dstates": lambda value: RUN.backward(DY, dstates=value),
}


@pytest.mark.parametrize("what", DICTS)
@pytest.mark.parametrize("value", [(ROWS, ROWS), (), [], 0, False, ROWS, ROWS[:1, :1], "", "h"], ids=repr)
def test_only_by_name(what, value):
    with pytest.raises(TypeError, match=f"^{what} must be a dict by name"):
        DICTS[what](value)


@pytest.mark.parametrize("what", DICTS)
def test_unknown_names(what):
    with pytest.raises(ValueError, match=f"^{what}: unknown name 'hidden'"):
        DICTS[what]({"hidden": ROWS})


def test_missing_aux():
    for aux in (None, {}, {"dt": None}):
        with pytest.raises(ValueError, match=re.escape("needs aux['dt'] at every step: shape (5, 3, 1)")):
            LEAKY(X, aux=aux)
    with pytest.raises(ValueError, match="unknown name 'dt' \\(known: none\\)"):
        LSTM(X, aux={"dt": DY})


def test_reset():
    for value, error in (
        (np.zeros((T, B)), TypeError),
        (np.zeros((T, B), "u1"), TypeError),
        (np.ma.masked_array(np.zeros((T, B), bool)), TypeError),
        ("yes", TypeError),
        (np.zeros((T, 1), bool), ValueError),
        (np.zeros((B, T), bool), ValueError),
        (True, ValueError),
    ):
        with pytest.raises(error, match=r"^reset\b"):
            LSTM(X, reset=value)


def test_params():
    params = LSTM.params
    before = params.flat.copy()
    with pytest.raises(KeyError, match=r"unknown parameter 'weights' \(known: weight_x, weight_h, bias"):
        params["weights"] = X
    with pytest.raises(ValueError, match=re.escape("parameter 'bias' must have shape (16,), got the number 0.0")):
        params.update({"weight_x": np.zeros((4 * H, I), "f4"), "bias": np.float32(0)})
    assert np.array_equal(params.flat, before)  # all is checked before anything is set
    with pytest.raises(AttributeError, match=re.escape("set values with layer.params[name] = array")):
        LSTM.params = {"bias": before}
    with pytest.raises(AttributeError, match=re.escape("params.flat[...] = array")):
        params.flat = before
    params.flat *= 1
    assert np.array_equal(params.flat, before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pylstm.LSTM(2.0, 3), TypeError, "input_size must be an integer, got 2.0"),
        (lambda: pylstm.LSTM(2, "3"), TypeError, "hidden_size must be an integer, got '3'"),
        (lambda: pylstm.LSTM(2, True), TypeError, "hidden_size must be an integer, got True"),
        (lambda: pylstm.LSTM(2, None), TypeError, "hidden_size must be an integer, got None"),
        (lambda: pylstm.LSTM(0, 3), ValueError, "input_size must be at least 1, got 0"),
        (lambda: pylstm.LSTM(2, -3), ValueError, "hidden_size must be at least 1, got -3"),
        (lambda: pylstm.LSTM(2, 3, dtype="float16"), TypeError, "dtype must be 'float32' or 'float64', got 'float16'"),
        (lambda: pylstm.LSTM(2, 3, dtype=None), TypeError, "dtype must be"),
        (lambda: pylstm.LSTM(2, 3, dtype=int), TypeError, "dtype must be"),
        (lambda: pylstm.GRU(2, 3, proj_size=2), TypeError, "neither a size nor an option 'proj_size'"),
        (lambda: pylstm.LSTM(2, 3, device="cpu"), TypeError, "unknown option device=: pylstm computes on the CPU"),
        (lambda: pylstm.RNN(2, 3, nonlinearity="gelu"), ValueError, "'tanh', 'relu' or 'linear', got 'gelu'"),
        (lambda: pylstm.Recurrent("lstn", 2, 3), LookupError, "lstm"),
        (lambda: pylstm.Recurrent(3, 2, 3), TypeError, "a registered name or a Cell subclass, got 3"),
        (lambda: pylstm.Recurrent(pylstm.Cell, 2, 3), TypeError, "a registered name or a Cell subclass"),
        (lambda: pylstm.Linear(2, 0), ValueError, "out_features must be at least 1, got 0"),
    ],
)
def test_construction(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_losses():
    logits, indices = draw(T, B, 4), RNG.integers(0, 4, (T, B))
    softmax, sigmoid = pylstm.softmax_cross_entropy, pylstm.sigmoid_cross_entropy
    for give, error, message in (
        (lambda: softmax(logits, np.ma.masked_array(indices)), TypeError, "targets: masked"),
        (lambda: softmax(logits, indices, weights=np.ma.masked_array(indices > 1)), TypeError, "weights: masked"),
        (lambda: softmax(np.ma.masked_array(logits), indices), TypeError, "logits: masked"),
        (lambda: softmax(logits, indices.astype("f4")), TypeError, "targets must be integers, got float32"),
        (lambda: softmax(logits, None), TypeError, "targets must be an array, got None"),
        (lambda: softmax(logits, indices + 1), ValueError, "targets must be in 0..3, got 4"),
        (lambda: softmax(logits, indices[:1]), ValueError, "targets must have shape (5, 3)"),
        (lambda: softmax(indices, indices), TypeError, "logits must be float32 or float64, got int64"),
        (lambda: sigmoid(logits, np.ma.masked_array(logits > 0.5)), TypeError, "targets: masked"),
        (lambda: sigmoid(logits, logits + 1), ValueError, "targets must be in 0..1"),
        (lambda: pylstm.squared_error(None, logits), TypeError, "y must be an array, got None"),
        (lambda: pylstm.squared_error(logits, logits, factor=np.nan), ValueError, "factor must be finite"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            give()


def huge(*shape, dtype=np.float32):
    """An array of one element that says it is larger than any memory."""
    return as_strided(np.ones(1, dtype), shape, (0,) * len(shape))


REFUSALS = (ValueError, OverflowError, MemoryError)


@pytest.mark.parametrize("tape", [True, False])
@pytest.mark.parametrize(
    "shape", [(2**40, 1, I), (1, 2**40, I), (2**59, 1, I), (1, 2**58, I), (2**30, 2**29, I), (2**40, I), (0, 2**58, I)]
)
def test_huge_inputs(shape, tape):
    with pytest.raises(REFUSALS):
        LSTM(huge(*shape), tape=tape)


@pytest.mark.parametrize("T", [2**40, 2**58])
def test_many_steps_of_no_rows(T):
    run = LSTM(np.empty((T, 0, I), np.float32))  # nothing to do, however many steps
    assert run.y.shape == (T, 0, H) and run.final["c"].shape == (0, H)
    grads = run.backward(run.y)
    assert grads.x.shape == (T, 0, I) and not grads.params.flat.any()


@pytest.mark.parametrize("size", [2**20, 2**31, 2**33, 2**40, 2**62, 2**63, 2**64, 2**200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lambda n, d: pylstm.LSTM(2, n, dtype=d), lambda n, d: pylstm.Linear(n, n, dtype=d)])
def test_huge_layers(make, size, dtype):
    with pytest.raises(REFUSALS):
        make(size, dtype)


def test_huge_input_size():
    for size in (2**40, 2**61, 2**64):
        with pytest.raises(REFUSALS):
            pylstm.GRU(size, 1)


def test_huge_arguments():
    for give in (
        lambda: LSTM(X, {"h": huge(B, 2**59)}),
        lambda: LSTM(X, reset=huge(2**50, 2**10, dtype=bool)),
        lambda: LSTM(X, pre={"h": huge(2**40, B, 1)}),
        lambda: RUN.backward(huge(2**40, B, H)),
        lambda: LSTM.params.update({"bias": huge(2**60)}),
    ):
        with pytest.raises(ValueError, match="must have shape"):
            give()


def test_backward_needs_a_cotangent():
    for give in (
        RUN.backward,
        lambda: RUN.backward(dfinal={}),
        lambda: RUN.backward(None, dfinal={}, dstates={}),
    ):
        with pytest.raises(ValueError, match="needs a cotangent: dy, dfinal or dstates"):
            give()


@pytest.mark.parametrize("what", ["gates", "states", "emissions", "kept", "backward"])
def test_without_tape(what):
    run = LSTM(X, tape=False)
    with pytest.raises(RuntimeError, match=f"{what}: .*call the layer with tape=True"):
        getattr(run, what)() if what == "backward" else getattr(run, what)
    taped = LSTM(X)
    assert np.array_equal(run.y, taped.y)
    assert all(np.array_equal(run.final[name], taped.final[name]) for name in ("h", "c"))
