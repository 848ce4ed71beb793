"""Derivatives that are declared: in a formula, its twin, what runs and is written of it, and in certification."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, absolute, derive, maximum, sigmoid, stop_gradient, surrogate, tanh
from pylstm.cells.auditing import reference
from pylstm.cells.formula.emission.c import kernel_source as c_source
from pylstm.cells.formula.emission.cython import kernel_source as cython_source
from pylstm.cells.formula.emission.latex import local_derivatives

spike = surrogate(lambda v: v > 0, lambda v: 1 / (1 + 10 * absolute(v)) ** 2)
smooth_step = surrogate(lambda v: v > 0, lambda v: sigmoid(3 * v) * (1 - sigmoid(3 * v)))


class LIF(Cell):
    states = ("s", "v")
    gates = {"i": "x+s"}
    params = ("theta",)
    initial_values = {"theta": 0.3}

    def forward(z, prev, p):
        v = 0.9 * prev.v * (1 - stop_gradient(prev.s)) + z.i
        return {"s": spike(v - p.theta), "v": v}


class ALIF(Cell):
    states = ("s", "v", "a")
    gates = {"i": "x+s"}
    options = {"rho": 0.97, "beta": 1.8}

    def forward(z, prev, o):
        a = o.rho * prev.a + (1 - o.rho) * prev.s
        threshold = 0.2 + o.beta * a
        v = 0.9 * prev.v + z.i - threshold * stop_gradient(prev.s)
        fire = surrogate(lambda u: u > 0, lambda u: 0.3 * maximum(1 - absolute(u), 0))
        return {"s": fire((v - threshold) / threshold), "v": v, "a": a}


class Stages(Cell):
    """A spike in an earlier stage, of a function inside a function, and a state that forgets it."""

    states = ("h",)
    gates = {"i": "x+h", "g": "s"}
    stages = (pylstm.Stage("spikes", ("i",), ("s",)), pylstm.Stage("state", ("g",)))

    def forward_spikes(z, prev):
        return {"s": smooth_step(tanh(z.i) + smooth_step(prev.h - 0.1))}

    def forward_state(z, e, prev):
        return {"h": tanh(z.g + e.s) + 0.5 * stop_gradient(tanh(prev.h))}


class Byhand(LIF):
    def forward(z, prev, p):
        v = 0.9 * prev.v * (1 - stop_gradient(prev.s)) + z.i
        return {"s": spike(v - p.theta), "v": v}

    def backward(d, y, prev, p):
        slope = 1 / (1 + 10 * absolute(y.v - p.theta)) ** 2
        dv = d.v + d.s * slope
        return {"i": dv, "v": 0.9 * dv * (1 - prev.s), "theta": -d.s * slope}


CELLS = (LIF, ALIF, Stages, Byhand)


@pytest.mark.parametrize("cell", CELLS)
def test_certified(cell):
    certificate = pylstm.certify(cell)
    assert {"d s / d gate i", "d h / d emission s"} & {path.name for path in certificate.paths}


@pytest.mark.parametrize("part", ["i", "v", "theta"])
def test_a_wrong_backward_beside_a_surrogate_is_found(part):
    class Wrong(LIF):
        def forward(z, prev, p):
            v = 0.9 * prev.v * (1 - stop_gradient(prev.s)) + z.i
            return {"s": spike(v - p.theta), "v": v}

        def backward(d, y, prev, p):
            right = Byhand.backward(d, y, prev, p)
            return right | {part: 1.01 * right[part]}

    with pytest.raises(pylstm.CertificationError, match=part):
        pylstm.certify(Wrong)


def test_a_path_that_is_stopped_must_be_stopped():
    class Leaks(LIF):
        def forward(z, prev, p):
            v = 0.9 * prev.v * (1 - stop_gradient(prev.s)) + z.i
            return {"s": spike(v - p.theta), "v": v}

        def backward(d, y, prev, p):
            right = Byhand.backward(d, y, prev, p)
            return right | {"s": -0.9 * prev.v * right["i"]}

    with pytest.raises(pylstm.CertificationError, match="previous s"):
        pylstm.certify(Leaks)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_a_sequence_are_what_is_declared(cell):
    """Complex steps of whole sequences, of the twin alone."""
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=1)
    x, dy = 2 * rng.normal(size=(9, 2, 3)), rng.normal(size=(9, 2, 4))
    run = layer(x)
    grads = run.backward(dy)
    assert len(np.unique(run.y)) > 1
    params = {name: np.array(value) for name, value in layer.params.items()}

    def slope(x, params):
        return np.sum(dy * reference.forward(cell, params, x).y).imag / 1e-30

    for at in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[at] += 1e-30j
        np.testing.assert_allclose(grads.x[at], slope(moved, params), rtol=1e-9, atol=1e-12)
    for name, value in params.items():
        for at in list(np.ndindex(value.shape))[::3]:
            moved = value.astype(complex)
            moved[at] += 1e-30j
            np.testing.assert_allclose(grads.params[name][at], slope(x, params | {name: moved}), rtol=1e-9, atol=1e-12)
    assert all(np.abs(value).max() > 1e-3 for value in grads.params.values())


def test_a_backward_by_hand_does_not_keep_what_its_parent_derived():
    assert Byhand.keep == () and Byhand.kernel is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_a_step_in_training_inference_and_streams(dtype):
    x = np.random.default_rng(2).normal(size=(30, 3, 3)).astype(dtype)
    layer = pylstm.Recurrent(LIF, 3, 17, dtype=dtype, seed=0)
    run = layer(x)
    assert set(np.unique(run.y)) == {0, 1} and run.y.dtype == dtype
    np.testing.assert_array_equal(run.y, layer(x, tape=False).y)
    stream = layer.stream(batch_size=3)
    np.testing.assert_array_equal(run.y, [stream.step(each).copy() for each in x])


def test_what_is_derived_and_written_has_values_only():
    stage = derive(LIF).stages[""]
    operations = {op for program in (stage.forward, stage.backward) for op in program.counts()}
    assert operations.isdisjoint(("surrogate", "stop"))
    assert "surrogate" in stage.declared.counts() and "div" not in stage.forward.counts()
    for source in (c_source(derive(LIF)), cython_source(derive(LIF))):
        assert "surrogate" not in source and "declared" not in source and "stop" not in source


def test_the_mathematics_shows_what_is_declared():
    found = dict(local_derivatives(derive(LIF).stages[""]))
    assert "10" in next(right for left, right in found.items() if r"\partial s" in left and r"\partial v" in left)


def test_a_cell_without_declarations_has_one_forward():
    stages = derive(pylstm.plugins.registry().get("peephole")).stages.values()
    assert all(stage.declared is stage.forward for stage in stages)


@pytest.mark.parametrize("wrong", [1.0, None, "spike"])
def test_what_is_not_a_function_is_refused(wrong):
    with pytest.raises(TypeError, match="derivative must be a function of one value"):
        surrogate(lambda v: v > 0, wrong)
    with pytest.raises(TypeError, match="forward must be a function of one value"):
        surrogate(wrong, lambda v: v)


def test_of_arrays():
    x = np.array([-0.5, 0.0, 0.25])
    np.testing.assert_array_equal(spike(x), [0, 0, 1])
    assert spike(x.astype("float32")).dtype == "float32"
    np.testing.assert_allclose(spike(x + 1e-30j).imag, 1e-30 / (1 + 10 * np.abs(x)) ** 2)
    assert not stop_gradient(x + 1j).imag.any() and (stop_gradient(x) == x).all()


@pytest.mark.parametrize("number", [0.25, np.float32(0.25), 1])
def test_of_numbers(number):
    assert spike(number) == 1 and spike(-number) == 0 and stop_gradient(number) == number


class Even(Cell):
    """The value of a surrogate is a number, its derivative is not."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return {"h": surrogate(lambda v: 0.5, lambda v: 1 + v * v)(z.a)}


class Narrow(Cell):
    """A surrogate of one value a row, in what has one a unit."""

    states = ("h",)
    gates = {"a": "x+h"}
    aux = ("dt",)

    def forward(z, u):
        return {"h": tanh(z.a) * (1 + spike(u.dt - 0.3)) + surrogate(lambda v: v * z.a, lambda v: z.a)(u.dt)}


@pytest.mark.parametrize("cell", [Even, Narrow])
def test_widths_of_values_and_derivatives(cell):
    assert pylstm.certify(cell).ok
    aux = {name: np.full((4, 2, 1), 0.5, "float32") for name in cell.aux}
    run = pylstm.Recurrent(cell, 3, 17, seed=0)(np.ones((4, 2, 3), "float32"), aux=aux or None)
    grads = run.backward(np.ones_like(run.y))
    assert run.y.shape == (4, 2, 17) and grads.x.all() and (cell is Narrow or (run.y == 0.5).all())


SHARPNESS = 10.0


def test_a_global_that_a_surrogate_reads_is_watched(monkeypatch):
    fire = surrogate(lambda v: v > 0, lambda v: 1 / (1 + SHARPNESS * absolute(v)))

    class Fires(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return {"h": fire(z.a)}

    pylstm.Recurrent(Fires, 2, 3)
    monkeypatch.setattr(f"{__name__}.SHARPNESS", 20.0)
    with pytest.raises(TypeError, match=r"SHARPNESS was 10\.0 when the formula was derived"):
        pylstm.Recurrent(Fires, 2, 3)
