"""`pylstm.export` of formulas with lags and complex values: the bits of `stream.step`."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, abs2, conj, exp, lag, tanh


class Lagged(Cell):
    states = ("h", "c")
    gates = {"a": "x+lag(h, 4)", "b": "c+lag(h, 2)"}

    def forward(z, prev):
        c = tanh(z.b) - 0.5 * lag("c", 3)
        return {"h": tanh(z.a + c) + 0.3 * lag("h", 5), "c": c}


class Spinning(Cell):
    states = ("h", "s")
    complex = ("s", "u", "turn")
    gates = {"u": "x+h+lag(s, 2)"}
    params = ("turn",)

    def forward(z, prev, p):
        s = exp(1j * p.turn.real - 0.5) * prev.s + z.u / (1 + abs2(z.u)) + 0.2 * lag("s", 3) * conj(p.turn)
        return {"h": tanh(s.real - s.imag), "s": s}


@pytest.fixture(scope="module")
def built(kit, tmp_path_factory):
    layers = {}
    for cell in (Lagged, Spinning):
        layers[cell.name] = layer = pylstm.Recurrent(cell, 3, 5, dtype="float32", seed=1)
        layer.params.flat[...] = np.random.default_rng(5).standard_normal(layer.params.size) * 0.4
    return layers, kit.Built(kit.write_all(layers, tmp_path_factory.mktemp("lags")), kit.compiler("gcc"), "-O2")


@pytest.mark.parametrize("cell", [Lagged, Spinning], ids=lambda cell: cell.name)
def test_the_bits_of_a_stream(built, kit, cell):
    layers, library = built
    assert kit.same(library.outputs(layers[cell.name], cell.name), kit.expected(layers[cell.name]))
