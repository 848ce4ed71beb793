"""The state of a stream that learns is that of one rule, dtype and list of cells."""

import io

import numpy as np
import pytest

import pylstm

pytestmark = pytest.mark.once
X = np.random.default_rng(0).normal(size=(5, 2, 3))


def stream_of(cells=("lstm",), online="snap1", dtype="float64"):
    layers = [pylstm.Recurrent(cell, 3, 3, dtype=dtype, seed=0) for cell in cells]
    stream = (layers[0] if len(layers) == 1 else pylstm.Stack(layers)).stream(2, online=online)
    for x in X:
        stream.step(x.astype(dtype))
    return stream


OTHERS = [
    ({}, {"online": "eprop"}, "online was 'snap1' there and is 'eprop' here"),
    ({"dtype": "float32"}, {}, "dtype was 'float32' there and is 'float64' here"),
    ({"cells": ["peephole"]}, {}, r"cells was \['peephole'\] there and is \['lstm'\] here"),
    ({"cells": ["rnn_relu"]}, {"cells": ["rnn_tanh"]}, r"cells was \['rnn_relu'\] there and is \['rnn_tanh'\] here"),
    ({"cells": ["gru", "lstm"]}, {"cells": ["lstm", "gru"]}, r"cells was \['gru', 'lstm'\] there"),
]


@pytest.mark.parametrize(("given", "own", "text"), OTHERS)
def test_another_stream(given, own, text):
    state, stream = stream_of(**given).state_dict(), stream_of(**own)
    before = stream.state_dict()
    with pytest.raises(ValueError, match=f"{text}.*layer.stream"):
        stream.load_state_dict(state)
    after = stream.state_dict()
    assert list(after) == list(before) and all((after[name] == before[name]).all() for name in before)


def test_a_state_is_kept_as_arrays_without_pickling():
    stream, file = stream_of(["gru", "lstm"]), io.BytesIO()
    np.savez(file, **stream.state_dict())
    file.seek(0)
    other = stream.layer.stream(2, online="snap1")
    with np.load(file) as kept:
        other.load_state_dict(kept)
    dy = np.ones((2, 3))
    assert (stream.step(X[0]) == other.step(X[0])).all()
    assert (stream.learn(dy).flat == other.learn(dy).flat).all()


def test_a_state_without_a_rule_is_refused():
    stream = stream_of()
    state = stream.state_dict()
    del state["online"]
    with pytest.raises(ValueError, match="this state is of another stream: it has"):
        stream.load_state_dict(state)
