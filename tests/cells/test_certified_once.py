"""However a cell comes in it is certified, once per class; what a domain and the limits of blocks refuse."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, sigmoid, tanh
from pylstm.cells.certification import certify as module
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.once import remembered
from pylstm.cells.lstm import LSTM


def wrong_cell():
    class Wrong(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return dict(h=tanh(z.a))

        def backward(d, y):
            return dict(a=-d.h * (1 - y.h**2))

    return Wrong


class Pickled(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=tanh(z.a))


@pytest.fixture
def calls(monkeypatch):
    """The cells that were certified."""
    found, right = [], module.certify

    def counted(cell, **options):
        found.append(cell)
        return right(cell, **options)

    monkeypatch.setattr(module, "certify", counted)
    return found


def test_a_class_is_certified_once_and_refused_at_every_use(calls):
    cell = wrong_cell()
    for _ in range(2):
        with pytest.raises(CertificationError, match=r"d h / d gate a: twin .* \(sign\)"):
            pylstm.Recurrent(cell, 3, 5)
    with pytest.raises(CertificationError):
        pylstm.Recurrent(cell, 3, 5, num_layers=2, bidirectional=True)
    assert calls == [cell] and not remembered(cell).ok


def test_opting_out_is_said():
    layer = pylstm.Recurrent(wrong_cell(), 3, 5, certified=False)
    assert "certified=False" in repr(layer) and "certified" not in repr(pylstm.Recurrent("lstm", 3, 5))
    layer(np.ones((2, 1, 3), "float32"))


def test_threads_certify_once(calls):
    class Fresh(LSTM):
        kernel = LSTM.kernel

    threads = [threading.Thread(target=pylstm.Recurrent, args=(Fresh, 3, 5)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [Fresh]


IMPORTED = """
import threading
import pylstm
from pylstm.cells import Cell, tanh
from pylstm.cells.kernels import load_kernel
from pylstm.cells.lstm import LSTM

kernel = load_kernel(LSTM)

class Inner(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=tanh(z.a))

thread = threading.Thread(target=pylstm.Recurrent, args=(Inner, 3, 5), daemon=True)
thread.start()
thread.join(30)
waits = thread.is_alive()
"""


def test_the_module_of_a_kernel_may_certify_cells_in_threads(tmp_path, monkeypatch):
    """It is imported without the lock: otherwise each would wait for the other."""
    (tmp_path / "kernel_of_test.py").write_text(IMPORTED)
    monkeypatch.syspath_prepend(tmp_path)

    class Outer(LSTM):
        kernel = "kernel_of_test:kernel"

    pylstm.Recurrent(Outer, 3, 5)
    import kernel_of_test

    assert not kernel_of_test.waits


@pytest.mark.parametrize(
    "kernel, message",
    [
        ("no_such_module:kernel", "cannot be loaded"),
        ("pylstm.cells._lstm", "not of the form"),
        (LSTM.kernel, "4 in the kernel, 1 declared"),
    ],
)
def test_a_kernel_that_cannot_be_loaded_is_a_finding(kernel, message):
    cell = wrong_cell()
    cell.backward = None
    cell.kernel = kernel
    for _ in range(2):
        with pytest.raises(CertificationError, match=message):
            pylstm.Recurrent(cell, 3, 5)


def test_an_unpickled_layer_is_certified(calls):
    text = pickle.dumps(pylstm.Recurrent(Pickled, 3, 5))
    del Pickled._certificate
    pickle.loads(text)
    assert calls == [Pickled, Pickled]


class Aged(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    params = ("tau",)
    aux = ("dt",)
    domain = {"dt": (0, 2.5), "tau": (0.1, None)}

    def forward(z, prev, p, u):
        seen.append((np.array(u.dt), np.array(p.tau)))
        return dict(h=sigmoid(z.a) * prev.h + u.dt / p.tau)

    def backward(d, y, prev, p, u):
        s = 1 / (1 + np.exp(-y.a))
        return dict(
            a=d.h * prev.h * s * (1 - s),
            h=d.h * s,
            tau=-d.h * u.dt / p.tau**2,
            dt=(d.h / p.tau).sum(axis=-1, keepdims=True),
        )


seen = []


def test_certification_keeps_to_the_domain():
    seen.clear()
    assert pylstm.certify(Aged).ok
    drawn = [(dt, tau) for dt, tau in seen if dt.dtype == np.float32]  # without the steps of the differences
    assert min(np.nanmin(dt) for dt, _ in drawn) == 0 and 2 < max(np.nanmax(dt) for dt, _ in drawn) <= 2.5
    assert min(tau.min() for _, tau in drawn) >= np.float32(0.1)


@pytest.mark.parametrize("value, text", [(-0.5, "at least 0"), (2.6, "at most 2.5")])
def test_a_layer_refuses_aux_outside_its_domain(value, text):
    layer = pylstm.Recurrent(Aged, 3, 5)
    layer.params["tau"] = np.ones(5, "float32")
    x, dt = np.ones((4, 2, 3), "float32"), np.ones((4, 2, 1), "float32")
    layer(x, aux={"dt": dt})
    dt[2, 1] = value
    with pytest.raises(ValueError, match=rf"aux\['dt'\] must be {text}.*at \(2, 1, 0\)"):
        layer(x, aux={"dt": dt})
    layer(x, aux={"dt": dt}, lengths=[4, 2])  # what stands beyond the ends is not looked at
    stream = layer.stream(2)
    stream.step(x[0], aux={"dt": dt[0]})
    with pytest.raises(ValueError, match=text):
        stream.step(x[2], aux={"dt": dt[2]})


@pytest.mark.parametrize(
    "domain, text",
    [
        ({"q": (0, 1)}, "'q' in domain is not a state"),
        ({"a": (0, 1)}, "'a' in domain is not a state"),
        ({"h": 3}, "must be a pair"),
        ({"h": (0, float("nan"))}, "must be a pair"),
        ({"h": (1, 0)}, "is empty"),
    ],
)
def test_domains_that_are_none(domain, text):
    with pytest.raises(TypeError, match=text):
        type("Bad", (Cell,), {"states": ("h",), "gates": {"a": "x"}, "domain": domain})


def wrong_at(width, forward=lambda z: np.tanh(z.a), dtype=None):
    """A cell by hand whose backward is wrong for layers of one width."""

    class WrongAt(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def backward(d, y):
            wrong = d.h.shape[1] == width and dtype in (None, d.h.dtype.name)
            return dict(a=d.h * (1 - y.h**2) * (1.5 if wrong else 1))

        locals()["forward"] = lambda z: dict(h=forward(z))

    return WrongAt


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("width", [8, 70])
def test_a_twin_is_certified_at_the_width_of_its_layer(width, dtype):
    cell = wrong_at(width, dtype=dtype)
    assert pylstm.Recurrent(cell, 3, 6).certified
    for _ in range(2):
        with pytest.raises(CertificationError, match=rf"d (all outputs|h) / d gate a, {width} units: .*factor 1.5"):
            pylstm.Recurrent(cell, 3, width)
    assert pylstm.Recurrent(cell, 3, width, certified=False).hidden_size == width
    assert pylstm.Recurrent(cell, 3, 6).certified


def test_a_width_is_certified_once():
    widths = []

    def forward(z):
        widths.append(z.a.shape[1])
        return np.tanh(z.a)

    cell = wrong_at(-1, forward)
    pylstm.Recurrent(cell, 3, 8)
    assert 8 in widths
    widths.clear()
    pylstm.Recurrent(cell, 5, 8, dtype="float64", bias=False)
    assert not widths
    pylstm.Recurrent(cell, 5, 9)
    assert set(widths) == {5, 9}


def test_a_width_is_certified_inside_the_domain_of_the_twin():
    """Forward is finite for positive gates alone."""

    class Root(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z):
            return dict(h=np.sqrt(z.a) / (1 + z.a))

        def backward(d, y):
            root = np.sqrt(y.a)
            wrong = 2.0 if d.h.shape[1] == 8 else 1.0
            return dict(a=wrong * d.h * (1 - y.a) / (2 * root * (1 + y.a) ** 2))

    assert pylstm.Recurrent(Root, 3, 6).certified
    with pytest.raises(CertificationError, match=r"8 units"):
        pylstm.Recurrent(Root, 3, 8)
