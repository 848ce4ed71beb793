"""Streams refuse what does not fit, say what and how to cure it, and keep their states."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from types import MappingProxyType

import numpy as np
import pytest

import pylstm

LAYER = pylstm.LSTM(3, 5, seed=0)
F32, F64 = np.float32, np.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.step(np.ones(4, F32)), ValueError, r"x_t.*\(3,\).*\(4,\)"),
        (lambda s: s.step(np.ones((2, 3), F32)), ValueError, r"x_t.*\(1, 3\).*\(2, 3\)"),
        (lambda s: s.step(np.ones(3, F64)), TypeError, r"x_t must be float32, got float64.*dtype='float32'"),
        (lambda s: s.step(np.ones(3, int)), TypeError, "x_t must be float32, got int64"),
        (lambda s: s.step(np.ma.ones(3, F32)), TypeError, "masked"),
        (lambda s: s.step("abc"), TypeError, "x_t"),
        (lambda s: s.step(None), TypeError, "x_t"),
        (lambda s: s.feed(np.ones(3, F32)), ValueError, "chunk"),
        (lambda s: s.feed(np.ones((4, 2, 3), F32)), ValueError, r"chunk.*T, 1, 3.*\(4, 2, 3\)"),
        (lambda s: s.feed(np.ones((4, 2), F32)), ValueError, r"chunk.*T, 3.*\(4, 2\)"),
        (lambda s: s.step(np.ones(3, F32), [0] * 5), TypeError, r"out must be a numpy.ndarray, got list.*np.empty"),
        (lambda s: s.step(np.ones(3, F32), np.empty(5)), TypeError, "out must be float32, got float64"),
        (lambda s: s.step(np.ones(3, F32), np.empty((1, 5), F32)), ValueError, r"out must have shape \(5,\).*\(1, 5\)"),
        (lambda s: s.step(np.ones(3, F32), np.empty(10, F32)[::2]), ValueError, "out must be C-contiguous"),
        (lambda s: s.step(np.ones(3, F32), np.frombuffer(bytes(20), F32)), ValueError, "writable"),
        (lambda s: s.feed(np.ones((4, 3), F32), np.empty((3, 5), F32)), ValueError, r"out.*\(4, 5\), got \(3, 5\)"),
        (lambda s: s.step(np.ones(3, F32), aux={"dt": 0}), ValueError, "aux: unknown name 'dt'"),
        (lambda s: setattr(s, "state", {"h": np.ones((1, 5), F32)}), ValueError, "missing: c"),
        (lambda s: setattr(s, "state", {"z": 0}), ValueError, "unknown name 'z'"),
        (lambda s: setattr(s, "state", [1, 2]), TypeError, "state must be a dict"),
        (lambda s: setattr(s, "state", {"h": np.ones(5, F32), "c": np.ones(4, F32)}), ValueError, r"state\['c'\]"),
        (lambda s: setattr(s, "state", {"h": np.ones(5), "c": np.ones(5)}), TypeError, r"state\['h'\]"),
        (lambda s: pickle.dumps(s), TypeError, r"pickled.*fork\(\).*layer.stream\(\)"),
        (lambda s: copy.copy(s), TypeError, r"fork\(\)"),
        (lambda s: LAYER.stream(0), ValueError, "batch_size must be at least 1, got 0"),
        (lambda s: LAYER.stream(1.5), TypeError, "batch_size must be an integer"),
    ],
)  # fmt: skip
def test_errors_say_what_and_leave_the_state(call, error, message):
    stream = LAYER.stream()
    stream.step(np.ones(3, F32))
    before = stream.state
    with pytest.raises(error, match=message):
        call(stream)
    for name, state in stream.state.items():
        np.testing.assert_array_equal(state, before[name])


def test_restore_refuses_what_is_of_another_kind():
    layer = pylstm.LSTM(3, 5)
    snapshot = layer.stream().snapshot()
    for other in (pylstm.LSTM(3, 5, dtype="float64"), pylstm.LSTM(3, 6), pylstm.Recurrent("peephole", 3, 5)):
        with pytest.raises(ValueError, match="snapshot is one of"):
            other.stream().restore(snapshot)
    with pytest.raises(ValueError, match="snapshot is one of"):
        layer.stream(2).restore(snapshot)
    with pytest.raises(TypeError):
        layer.stream().restore({"h": 0})


def test_one_thread_at_a_time():
    stream = pylstm.LSTM(64, 256, seed=0).stream()
    x = np.ones((20_000, 64), "float32")
    errors = []
    thread = threading.Thread(target=stream.feed, args=(x,))
    thread.start()
    while thread.is_alive():
        for call in (
            lambda: stream.step(x[0]),
            stream.reset,
            stream.fork,
            stream.refresh,
            stream.snapshot,
            lambda: stream.state,
        ):
            try:
                call()
            except RuntimeError as error:
                errors.append(str(error))
        time.sleep(0.001)
    thread.join()
    assert len(errors) > 5 and all("at work in another thread" in error for error in errors)


class Meddler:
    """An input whose conversion to an array uses the stream that asks for it, as another thread could just then."""

    def __init__(self, stream, value, x, aux):
        self.value = value
        state, snapshot = stream.state, stream.snapshot()
        self.calls = {
            "step": lambda: stream.step(x[0] + 9, aux=aux and {name: each[0] for name, each in aux.items()}),
            "feed": lambda: stream.feed(x + 9, aux=aux),
            "reset": stream.reset,
            "refresh": stream.refresh,
            "snapshot": stream.snapshot,
            "fork": stream.fork,
            "state": lambda: stream.state,
            "set state": lambda: setattr(stream, "state", state),
            "restore": lambda: stream.restore(snapshot),
        }

    def __array__(self, dtype=None, copy=None):
        for call in self.calls.values():
            with pytest.raises(RuntimeError, match=r"at work in another thread: give every thread a fork\(\)"):
                call()
        return self.value


@pytest.mark.parametrize("how", ["step", "feed"])
@pytest.mark.parametrize("cell", ["lstm", "time_aware_lstm", "stack"])
def test_every_method_refuses_before_it_stores(cell, how):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    layer = pylstm.LSTM(3, 4, num_layers=2, seed=0) if cell == "stack" else pylstm.Recurrent(cell, 3, 4, seed=0)
    names = [] if cell == "stack" else [name for name in layer.cell.contract.aux if name != "x"]
    aux = {name: np.full((5, layer.widths[name]), 0.7, "float32") for name in names} or None
    stream, alone = layer.stream(), layer.stream()
    for each in (stream, alone):
        each.feed(x, aux=aux)
    value, given = (x[0], aux and {name: each[0] for name, each in aux.items()}) if how == "step" else (x, aux)
    meddler = Meddler(stream, value, x, aux)
    if aux is None:
        got = getattr(stream, how)(meddler)
    else:  # the inputs are converted one by one: those before are stored by then
        got = getattr(stream, how)(value, aux=given | {names[-1]: Meddler(stream, given[names[-1]], x, aux)})
    assert np.array_equal(got, getattr(alone, how)(value, aux=given))
    assert np.array_equal(stream.feed(x, aux=aux), alone.feed(x, aux=aux))


def test_states_may_be_any_mapping():
    final, stream = MappingProxyType(LAYER(np.ones((4, 2, 3), F32)).final), LAYER.stream(2)
    stream.state = final
    assert all((stream.state[name] == final[name]).all() for name in final)


DEEP = pylstm.LSTM(3, 5, 2, seed=0)
ROW = np.ones(3, F32)


@pytest.mark.parametrize("layer", [LAYER, DEEP], ids=["layer", "stack"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.step(x=ROW), r"stream\.step has no option x=: it takes x_t, out, aux, reset"),
        (
            lambda s: s.step(ROW, None, None),
            r"stream\.step takes 2 positional arguments, x_t, out; by name aux=, reset=",
        ),
        (lambda s: s.step(), r"step needs x_t, the input of one step: y = stream\.step\(x_t\)"),
        (lambda s: s.feed(x=ROW), r"stream\.feed has no option x=: it takes chunk, out, aux, reset"),
        (lambda s: s.feed([ROW], None, 1), r"stream\.feed takes 2 positional arguments, chunk, out"),
        (lambda s: s.reset(row=0), r"reset has no option row=: it takes rows; did you mean rows=\?"),
        (lambda s: s.reset(0, 1), r"reset takes 1 positional argument, rows"),
        (lambda s: s.restore(), r"restore needs snapshot"),
        (lambda s: s.restore(1, 2), r"restore takes 1 positional argument, snapshot"),
        (lambda s: s.snapshot(1), r"snapshot takes no positional arguments"),
        (lambda s: s.refresh(weights=1), r"refresh has no option weights=: it takes none"),
        (lambda s: s.fork(2), r"fork takes no positional arguments"),
        (lambda s: s(ROW), r"Stream is not callable: stream\.step\(x_t\) makes one step, stream\.feed\(chunk\) many"),
    ],
)
def test_calls_that_a_stream_does_not_take(layer, call, message):
    stream = layer.stream()
    y = stream.fork().step(ROW)
    with pytest.raises(TypeError, match=message):
        call(stream)
    assert np.array_equal(stream.step(ROW), y)


def test_a_stream_is_made_by_its_layer():
    for given, options in (((), {}), ((LAYER, 1, 2), {}), ((LAYER,), {"rows": 2})):
        with pytest.raises(
            TypeError, match=r"Stream takes layer and batch_size, .*stream = layer\.stream\(batch_size\)"
        ):
            pylstm.Stream(*given, **options)
    with pytest.raises(TypeError, match="x_t was given twice, by position and by name"):
        LAYER.stream().step(ROW, x_t=ROW)
