"""Deltas of single steps, from gradients of weights."""

import numpy as np
import pytest

import pylstm


@pytest.fixture
def gate_deltas():
    """``gate_deltas(layer, x, dy, **options)``: dict gate -> (T, H), the cotangents of every pre-activation.

    The layer gets one more input per step, 1 at that step and 0 elsewhere, with weights 0. The gradient of these
    weights is the delta of their step.
    """

    def deltas(layer, x, dy, *, initial=None, dfinal=None):
        T, I = x.shape
        clocked = pylstm.Recurrent(layer.cell, I + T, layer.hidden_size, dtype=layer.dtype)
        W = layer.params["weight_x"]
        clocked.params.update({**layer.params, "weight_x": np.hstack([W, np.zeros((len(W), T))])})
        run = clocked(np.hstack([x, np.eye(T)]), initial)
        np.testing.assert_allclose(run.y, layer(x, initial).y, rtol=0, atol=1e-15)
        ticks = run.backward(dy, dfinal=dfinal).params["weight_x"][:, I:]
        names = layer.cell.contract.gates
        return {name: block.T for name, block in zip(names, np.split(ticks, len(names)))}

    return deltas
