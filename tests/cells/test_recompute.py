"""Kept values for which there is no room are computed again in backward; limits of blocks that a user does not meet."""

from __future__ import annotations

import numpy as np
import pytest

import formula_cells as fc
import pylstm
import row_cells as rc
from pylstm.cells import Cell, certify, derive, sigmoid, tanh
from pylstm.cells.contracts.limits import MAX_BLOCKS, MAX_MAPS
from pylstm.cells.formula import derivation


def fresh(cell):
    return type(cell.__name__, (cell,), {"name": cell.name})


class Rounds(Cell):
    """More costly values than blocks: each round needs two."""

    states = ("h",)
    gates = {"a": "x+h", "b": "x+h"}

    def forward(z, prev):
        h = prev.h
        for _ in range(70):
            h = h + 0.05 * (tanh(z.a + h) * sigmoid(z.b - h) - h)
        return {"h": h}


class Sixty(Cell):
    """60 gates, 180 linear maps."""

    states = ("h", "c")
    gates = {f"g{k}": "x+h+c" for k in range(60)}

    def forward(z, prev):
        c = prev.c
        for k in range(0, 60, 2):
            c = c + 0.1 * tanh(getattr(z, f"g{k}")) * sigmoid(getattr(z, f"g{k + 1}") + c)
        return {"h": tanh(c), "c": c}


@pytest.mark.parametrize("cell", [Rounds, Sixty], ids=lambda cell: cell.name)
def test_many_gates_and_values(cell):
    assert len(derive(cell).contract.keep) <= MAX_BLOCKS
    assert certify(cell).ok
    layer = pylstm.Recurrent(cell, 2, 3, dtype="float64", seed=0)
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 4, 2, 2)), rng.standard_normal((4, 2, 3))
    direction, step = rng.standard_normal(x[0].shape), 1e-6
    wanted = np.sum(dy * (layer(x[0] + step * direction).y - layer(x[0] - step * direction).y)) / (2 * step)
    assert np.sum(layer(x[0]).backward(dy).x * direction) == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize("cell", [*fc.CELLS, *rc.CELLS], ids=lambda cell: cell.name)
def test_any_room_is_enough(cell, most, monkeypatch):
    roomy = derive(cell)
    monkeypatch.setattr(derivation, "MAX_BLOCKS", most)
    tight = fresh(cell)
    derived = derive(tight)
    assert len(derived.contract.keep) <= most
    if len(roomy.contract.keep) <= most:
        assert derived.contract.keep == roomy.contract.keep
    assert certify(tight).ok


@pytest.mark.parametrize("most", [0, 1, 2])
@pytest.mark.parametrize("cell", fc.CELLS, ids=lambda cell: cell.name)
def test_the_same_cotangents(cell, most, monkeypatch):
    monkeypatch.setattr(derivation, "MAX_BLOCKS", most)
    tight = fresh(cell)
    for stage in cell.contract.stages:
        spaces = fc.draw(cell, stage)
        (_, given), (_, wanted) = (fc.forward_and_backward(each, stage, spaces) for each in (tight, cell))
        for name, value in wanted.items():
            np.testing.assert_allclose(given[name], value, rtol=1e-12, atol=1e-14, err_msg=name)


def test_the_cheapest_go_first(monkeypatch):
    class Two(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z, prev):
            cheap = tanh(prev.h)
            dear = tanh(prev.h**5 - 0.3 * prev.h**3 + 0.2)
            return {"h": cheap * dear * tanh(z.a)}

    assert set(derive(Two).stages[""].keep) == {"cheap", "dear"}
    monkeypatch.setattr(derivation, "MAX_BLOCKS", 1)
    stage = derive(fresh(Two)).stages[""]
    assert list(stage.keep) == ["dear"]
    assert stage.backward.counts()["tanh"] == 1


def test_modifiers_of_the_last_of_many_states():
    """Of 70 states, one by one: what a pre, a blend, a reset do to the last is what they do to it alone."""
    names = tuple(f"s{k}" for k in range(70))

    def forward(z, prev):
        return {name: tanh(z.a + (k + 1) / 70 * getattr(prev, name)) for k, name in enumerate(names)}

    many = type("Many", (Cell,), {"states": names, "gates": {"a": "x"}, "forward": forward, "output": "s69"})
    one = type(
        "One",
        (Cell,),
        {"states": ("s69",), "gates": {"a": "x"}, "forward": lambda z, prev: {"s69": tanh(z.a + prev.s69)}},
    )
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((6, 3, 2)), rng.standard_normal((6, 3, 4))
    given = {"pre": {"s69": rng.uniform(0.5, 1.5, (6, 3, 4))}, "blend": {"s69": rng.uniform(0.2, 0.8, (6, 3, 4))}}
    given["reset"] = rng.random((6, 3)) < 0.3
    found = []
    for cell in (many, one):
        layer = pylstm.Recurrent(cell, 2, 4, dtype="float64", seed=3)
        run = layer(x, **given)
        grads = run.backward(dy)
        found.append((run.y, grads.x, grads.pre["s69"], grads.blend["s69"]))
    for left, right in zip(*found):
        np.testing.assert_array_equal(left, right)


def test_more_than_there_is_room_for_is_refused():
    gates = {f"g{k}": "x" for k in range(MAX_BLOCKS + 1)}
    with pytest.raises(TypeError, match=rf"{MAX_BLOCKS + 1} gates .* at most {MAX_BLOCKS} are possible: make"):
        type("Many", (Cell,), {"states": ("h",), "gates": gates})
    gates = {f"g{k}": "x+h+c+e" for k in range(100)}
    with pytest.raises(TypeError, match=f"400 linear maps .*at most {MAX_MAPS} are"):
        type("Many", (Cell,), {"states": ("h", "c", "e"), "gates": gates})
