"""What replaces a state replaces NaN and infinity too: a reset, a factor of 0, a blend of 0 or 1."""

import numpy as np
import pytest

from pylstm.cells.auditing import reference
from pylstm.layers.named import Recurrent

T, B, I, H, CUT = 7, 3, 2, 5, 4
RNG = np.random.default_rng(8)
every_cell = pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "rwkv4", "minlstm"])
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
bad = pytest.mark.parametrize("value", [np.nan, np.inf])


def drawn(cell, dtype, value):
    """A layer, and an input that spoils row 1 in the steps before CUT."""
    layer = Recurrent(cell, I, H, dtype=dtype, seed=0)
    x = RNG.normal(size=(T, B, I)).astype(dtype)
    x[CUT - 2, 1] = value
    return layer, x


def replacing(layer, way, dtype):
    """Arguments by which every row starts from zeros before step CUT."""
    if way == "reset":
        reset = np.zeros((T, B), bool)
        reset[CUT] = True
        return {"reset": reset}
    pre = {name: np.ones((T, B, layer.widths[name]), dtype) for name in layer.cell.states}
    for array in pre.values():
        array[CUT] = 0
    return {"pre": pre}


@bad
@every_cell
@every_dtype
@pytest.mark.parametrize("way", ["reset", "pre"])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_new_start_removes_nan(cell, dtype, way, value):
    layer, x = drawn(cell, dtype, value)
    given = replacing(layer, way, dtype)
    run, fresh = layer(x, **given), layer(x[CUT:])
    if np.isnan(value):
        assert np.isnan(run.y[CUT - 1, 1]).all()
    np.testing.assert_array_equal(run.y[CUT:], fresh.y)
    tape = reference.forward(layer.cell, dict(layer.params), x, **given)
    np.testing.assert_allclose(tape.y[CUT:], fresh.y, rtol=0, atol=1e-12 if dtype == "float64" else 2e-6)
    dy = RNG.normal(size=run.y.shape).astype(dtype)
    dy[:CUT] = 0
    grads, expected = run.backward(dy), fresh.backward(dy[CUT:])
    np.testing.assert_array_equal(grads.x[CUT:], expected.x)
    clean = [0, 2]
    assert (grads.x[:CUT, clean] == 0).all()


@bad
@every_cell
@every_dtype
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_blend_of_0_leaves_nan_out(cell, dtype, value):
    """Row 1 keeps its states at the step that would spoil them: what comes is as if that step were not there."""
    layer, x = drawn(cell, dtype, value)
    blend = {name: np.ones((T, B, layer.widths[name]), dtype) for name in layer.cell.states}
    for array in blend.values():
        array[CUT - 2, 1] = 0
    run, short = layer(x, blend=blend), layer(np.delete(x[:, 1:2], CUT - 2, axis=0))
    np.testing.assert_array_equal(np.delete(run.y[:, 1:2], CUT - 2, axis=0), short.y)
    np.testing.assert_array_equal(run.y[CUT - 2, 1], run.y[CUT - 3, 1])
    assert np.isfinite(short.y).all() and short.y.any()
