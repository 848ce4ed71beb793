"""Gomez' two steps of an LSTM: every number, against 30-digit arithmetic that knows nothing of back-propagation."""

import mpmath
import numpy as np
import pytest

import pylstm
from pylstm.losses.regression import squared_error
from pylstm.optim.optimisers import SGD

ORDER = "gifo"
"""Of the example's tables: a (our g), i, f, o."""

ROWS = ["ifgo".index(k) for k in ORDER]
W = [[0.45, 0.25], [0.95, 0.80], [0.70, 0.45], [0.60, 0.40]]
U, B = [0.15, 0.80, 0.10, 0.25], [0.20, 0.65, 0.15, 0.10]
X, Y = np.array([[1.0, 2.0], [0.5, 3.0]]), np.array([[0.5], [1.25]])

GATES = [[0.81775408, 0.96083428, 0.85195280, 0.81757448], [0.84980402, 0.98118397, 0.87030197, 0.84993334]]
STATES, OUTPUTS = [0.78572615, 1.51763310], [0.53631340, 0.77198111]
DELTAS = [[-0.01702404, -0.00164588, 0.0, 0.00176480], [-0.01938435, -0.00111561, -0.00630654, -0.05537783]]
DW = [[-0.02671622, -0.09220113], [-0.00220369, -0.00663861], [-0.00315327, -0.01891963], [-0.02592411, -0.16260389]]
DU, DB = [-0.01039609, -0.00059832, -0.00338228, -0.02969987], [-0.03640839, -0.00276150, -0.00630654, -0.05361303]
LOSS, AFTER = 0.11491036, 0.11088080


def exact(values, nudge=None):
    """Loss, gates (t, a i f o), states, outputs in mpmath; `nudge` (t, gate) -> added to that pre-activation."""
    w, u, b = values
    c = h = loss = mpmath.mpf(0)
    gates, states, outputs = [], [], []
    for t in range(2):
        z = [sum(w[k][n] * X[t, n] for n in range(2)) + u[k] * h + b[k] for k in range(4)]
        z = [value + (nudge or {}).get((t, k), 0) for k, value in enumerate(z)]
        a, i, f, o = mpmath.tanh(z[0]), *(1 / (1 + mpmath.exp(-value)) for value in z[1:])
        c = a * i + f * c
        h = o * mpmath.tanh(c)
        loss += (h - Y[t, 0]) ** 2 / 2
        gates.append([a, i, f, o])
        states.append(c)
        outputs.append(h)
    return loss, gates, states, outputs


def numbers():
    """The parameters as mpmath reads the decimals: (w, u, b)."""
    read = mpmath.mpf
    return [[read(str(v)) for v in row] for row in W], [read(str(v)) for v in U], [read(str(v)) for v in B]


def slope(loss_at):
    """Central difference at 0, good for 15 digits and more in 40-digit arithmetic."""
    step = mpmath.mpf(10) ** -12
    return float((loss_at(step) - loss_at(-step)) / (2 * step))


@pytest.fixture
def layer():
    layer = pylstm.LSTM(2, 1, dtype="float64")
    back = np.argsort(ROWS)
    layer.params["weight_x"] = np.array(W)[back]
    layer.params["weight_h"] = np.array(U)[back, None]
    layer.params["bias"] = np.array(B)[back]
    return layer


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_forward(layer):
    run = layer(X)
    close(np.hstack([run.gates[k] for k in ORDER]), GATES)
    close(run.states["c"][1:, 0], STATES)
    close(run.y[:, 0], OUTPUTS)
    close(squared_error(run.y, Y, factor=0.5)[0], LOSS)


def test_deltas_of_the_gates(layer, gate_deltas):
    _, dy = squared_error(layer(X).y, Y, factor=0.5)
    deltas = gate_deltas(layer, X, dy)
    close(np.hstack([deltas[k] for k in ORDER]), DELTAS)


def test_gradients(layer):
    run = layer(X)
    _, dy = squared_error(run.y, Y, factor=0.5)
    params = run.backward(dy).params
    close(params["weight_x"][ROWS], DW)
    close(params["weight_h"][ROWS, 0], DU)
    close(params["bias"][ROWS], DB)


def test_one_step_of_descent(layer):
    run = layer(X)
    _, dy = squared_error(run.y, Y, factor=0.5)
    SGD(layer.params, lr=0.1).step(run.backward(dy).params)
    close(layer.params["weight_x"][ROWS], np.array(W) - 0.1 * np.array(DW))
    close(squared_error(layer(X).y, Y, factor=0.5)[0], AFTER)


def test_the_tables_above_are_those_of_the_definition():
    with mpmath.workdps(40):
        values = numbers()
        loss, gates, states, outputs = exact(values)
        for found, table in ((gates, GATES), (states, STATES), (outputs, OUTPUTS), (loss, LOSS)):
            close(np.array(found, float), table)
        deltas = [[slope(lambda e, t=t, k=k: exact(values, {(t, k): e})[0]) for k in range(4)] for t in range(2)]
        close(deltas, DELTAS)
        for block, table in zip(values, (DW, DU, DB)):
            close([_gradients(values, block, k) for k in range(4)], table)


def _gradients(values, block, k):
    """d loss / d block[k], by differences; block[k] is a number or a list of them."""

    def at(holder, n):
        def loss(e):
            before = holder[n]
            holder[n] = before + e
            try:
                return exact(values)[0]
            finally:
                holder[n] = before

        return slope(loss)

    return [at(block[k], n) for n in range(2)] if isinstance(block[k], list) else at(block, k)
