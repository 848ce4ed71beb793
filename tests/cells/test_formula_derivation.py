"""Derivation: cotangents against complex steps, the tape, shared subexpressions, stable programs."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import formula_cells as fc
from pylstm.cells import LSTM, Cell, exp, maximum, minimum, sigmoid, sin, tanh
from pylstm.cells.formula import Block, derive
from pylstm.cells.formula.emission import latex
from pylstm.cells.formula.graph import Graph

BUNDLED = [LSTM] + [
    getattr(importlib.import_module(f"pylstm_{module}"), name)
    for module, names in {
        "rnn": ("RNNTanh", "RNNReLU", "RNNLinear"),
        "gru": ("GRU", "GRUResetBefore"),
        "peephole": ("Peephole",),
        "cifg": ("CIFG",),
        "lstm_linear_output": ("LSTMLinearOutput",),
    }.items()
    for name in names
]


def close(actual, wanted, tolerance):
    actual, wanted = np.broadcast_arrays(actual, wanted)
    return np.max(np.abs(actual - wanted)) <= tolerance * max(np.max(np.abs(wanted)), 1e-2)


def stages(cells):
    cases = [(cell, stage) for cell in cells for stage in cell.contract.stages]
    return pytest.mark.parametrize("cell, stage", cases, ids=[f"{cell.name}-{stage.name}" for cell, stage in cases])


@stages(fc.CELLS)
def test_cotangents_are_those_of_complex_steps(cell, stage):
    spaces = fc.draw(cell, stage)
    forward, _ = fc.hooks(cell, stage)
    _, backward = fc.forward_and_backward(cell, stage, spaces)
    steps = fc.complex_steps(forward, spaces)
    for name, wanted in steps.items():
        assert close(backward.get(name, 0.0), wanted, 1e-13), name
    assert set(stage.gates) <= set(backward) <= set(steps)


@stages(fc.CELLS)
def test_twin_computes_the_formula(cell, stage):
    for dtype in (np.float64, np.float32):
        spaces = fc.draw(cell, stage, seed=1, dtype=dtype)
        out, backward = fc.forward_and_backward(cell, stage, spaces)
        for name, value in fc.call(cell.formulas[stage.name], spaces).items():
            rounding = 16 * np.finfo(dtype).eps if cell in (fc.Timed, fc.Everything) else 0  # np.power, not products
            assert close(out[name], value, rounding), name
        for name, value in backward.items():
            assert value.dtype == dtype, name


@stages(BUNDLED)
def test_derivation_of_bundled_cells_is_their_backward(cell, stage):
    twin = type("Twin", (Cell,), {k: v for k, v in vars(cell).items() if not k.startswith(("backward", "__"))})
    assert set(twin.formulas) == {each.name for each in cell.contract.stages}
    spaces = fc.draw(cell, stage, seed=2)
    out, backward = fc.forward_and_backward(cell, stage, spaces)
    mine, derived = fc.forward_and_backward(twin, stage, spaces)
    assert set(derived) == set(backward)
    for name, value in backward.items():
        assert close(derived[name], value, 1e-14), name
    for name, value in out.items():
        np.testing.assert_array_equal(mine[name], value)
    assert twin.contract.keep == cell.contract.keep


def test_tape_of_the_lstm():
    stage = derive(LSTM).stages[""]
    assert {gate: repr(node) for gate, node in stage.slots.items()} == {
        "i": "sigmoid(z.i)",
        "f": "sigmoid(z.f)",
        "g": "tanh(z.g)",
        "o": "sigmoid(z.o)",
    }
    assert stage.keep == {"tanh_c": "hidden_size"}


def test_tape_of_others():
    assert fc.FormulaPeephole.keep == ("tanh_c",)
    assert fc.ResetBefore.keep == ()
    linear = derive(fc.Linear).stages[""]
    assert {gate: repr(node) for gate, node in linear.slots.items()} == {"a": "z.a", "b": "z.b", "unused": "z.unused"}
    timed = derive(fc.Timed).stages[""]
    assert list(timed.keep) == ["z_a"]  # its condition; sigmoid(p.alpha) and exp(-u.dt) are computed again
    assert repr(timed.slots["ta"]) == "z.ta"


def test_slots_show_activations_and_linear_gates():
    class Elman(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z):
            return dict(h=tanh(z.a))

    assert repr(derive(Elman).stages[""].slots["a"]) == "tanh(z.a)"  # not needed: the state is it

    class SimpleRecurrentUnit(Cell):
        states = ("h", "c")
        gates = dict(v="x", f="x", r="x")

        def forward(z, prev):
            f = sigmoid(z.f)
            c = f * prev.c + (1 - f) * z.v
            return dict(h=sigmoid(z.r) * tanh(c), c=c)

    stage = derive(SimpleRecurrentUnit).stages[""]
    assert [repr(node) for node in stage.slots.values()] == ["z.v", "sigmoid(z.f)", "sigmoid(z.r)"]
    assert list(stage.keep) == ["tanh_c"]


def test_one_cheap_value_replaces_several():
    stage = derive(fc.Near).stages[""]
    assert list(stage.keep) == ["near"]  # not z.a and z.b
    assert {gate: repr(node) for gate, node in stage.slots.items()} == {"a": "tanh(z.a)", "b": "tanh(z.b)"}


def test_equal_subexpressions_are_one():
    graph = Graph()
    a, b = graph.leaf("z", "a", "hidden_size"), graph.leaf("z", "b", "hidden_size")
    assert graph.make("mul", a, b) is graph.make("mul", b, a)
    assert graph.make("sub", a, b) is not graph.make("sub", b, a)

    class Twice(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z, prev):
            return dict(h=sigmoid(z.a + prev.h) * tanh(prev.h + z.a) + sigmoid(z.a + prev.h))

    assert derive(Twice).counts("forward") == {"add": 2, "sigmoid": 1, "tanh": 1, "mul": 1}


def test_simplification():
    graph = Graph()
    a, one, zero = graph.leaf("z", "a", "hidden_size"), graph.const(1), graph.const(0)
    make = graph.make
    assert make("mul", a, one) is a
    assert make("add", zero, a) is a
    assert make("sub", a, zero) is a
    assert make("neg", make("neg", a)) is a
    assert make("exp", zero) is one
    assert make("mul", make("neg", a), a) is make("neg", make("mul", a, a))
    assert make("neg", make("sub", a, one)) is make("sub", one, a)
    assert make("div", a, graph.const(4)) is make("mul", a, graph.const(0.25))
    assert make("div", a, graph.const(3)).op == "div"  # not exact as a product
    assert make("mul", a, zero).op == "mul"  # NaN and inf are not lost
    assert make("div", one, zero).op == "div"


def test_counts_are_stable():
    first, second = derive(LSTM), derive(LSTM)
    assert first.stages[""].forward == second.stages[""].forward
    assert first.stages[""].backward == second.stages[""].backward
    assert first.counts("forward") == {"sigmoid": 3, "tanh": 2, "mul": 3, "add": 1}
    assert first.counts("backward") == {"mul": 11, "dtanh_from_y": 2, "add": 1, "dsigmoid_from_y": 3}


def test_an_operation_follows_those_that_it_uses():
    program = derive(LSTM).stages[""].backward
    assert len(program.uses) == len(program.operations)
    assert all(argument < operation.index for operation in program.operations for argument in operation.args)


def test_no_function_is_computed_twice():
    for cell in fc.CELLS:
        counts = derive(cell).counts("backward")
        computed = {op for op in ("tanh", "sigmoid", "softplus", "log", "log1p", "sqrt") if op in counts}
        # of the parameter alone; of the base of a power, which only the cotangent of its exponent needs
        needed = {fc.Timed: {"sigmoid"}, fc.Everything: {"log"}}.get(cell, set())
        assert computed == needed, cell.name


def test_a_kept_pre_activation_is_stored_before_its_slot():
    """The loop writes what a twin returns in order, and z is a view of the slots."""
    stores = [store.block for store in derive(fc.Timed).stages[""].forward.stores]
    assert stores.index(Block("keep", "z_a")) < stores.index(Block("gates", "a"))


def test_a_tie_belongs_to_the_first():
    class Ties(Cell):
        states = ("h",)
        gates = dict(a="x", b="x", c="x")

        def forward(z):
            return dict(h=maximum(z.a, z.b) + minimum(z.a, z.c))

    spaces = fc.draw(Ties, Ties.contract.stages[0])
    spaces["z"]["b"] = spaces["z"]["c"] = spaces["z"]["a"]
    _, backward = fc.forward_and_backward(Ties, Ties.contract.stages[0], spaces)
    np.testing.assert_array_equal(backward["a"], 2 * spaces["d"]["h"])
    assert not np.any(backward["b"]) and not np.any(backward["c"])


def test_equal_contributions_are_one_product():
    class Cube(Cell):
        states = ("h",)
        gates = dict(a="x")

        def forward(z, prev):
            return dict(h=z.a + prev.h**3)

    assert derive(Cube).counts("backward") == {"mul": 5, "add": 1}


def test_derivatives_from_outputs_and_from_arguments():
    class Waves(Cell):
        states = ("h",)
        gates = dict(a="x", b="x")

        def forward(z):
            return dict(h=exp(z.a) * sin(z.b))

    stage = derive(Waves).stages[""]
    assert stage.backward.counts() == {"mul": 4, "cos": 1}
    assert sorted([repr(node) for node in stage.slots.values()]) == ["exp(z.a)", "sin(z.b)"]
    assert list(stage.keep) == ["z_b"]


class Clash(Cell):
    """Local variables called as a gate, a pre-activation, a state and a parameter, each another value."""

    states = ("h", "c")
    gates = {"f": "x+h", "g": "x+h"}
    params = ("p_f",)

    def forward(z, prev, p):
        f = 0.5 * z.g + prev.h
        z_f = sigmoid(z.f)
        h = tanh(f) * p.p_f
        p_f = exp(-h * h)
        return dict(h=z_f * tanh(h) + f * f, c=p_f * p_f + h)


def test_a_symbol_is_one_value():
    derived = derive(Clash).stages[""]
    for equations in (latex.forward_equations(derived), latex.backward_equations(derived)):
        symbols = [left for left, _ in latex.preactivations(Clash.contract, derived.stage) + equations]
        assert len(symbols) == len(set(symbols))
    partial = [left for left, _ in latex.local_derivatives(derived)]
    assert len(partial) == len(set(partial))
    names = [*derived.traced.names.values(), *Clash.params]
    assert len(names) == len(set(names)) and "f_value" in names


def test_defining_is_lazy_and_derives_once():
    calls = []

    class Watched(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z):
            calls.append(1)
            return dict(h=tanh(z.a))

    assert calls == []
    assert Watched.contract.keep == ()
    assert Watched.backward is Watched.backward
    assert calls == [1]


def test_a_given_backward_is_kept():
    def backward(d, y):
        return dict(a=d.h * (1 - y.h * y.h))

    given = type(
        "Given", (Cell,), dict(states=("h",), gates=dict(a="x"), forward=lambda z: dict(h=tanh(z.a)), backward=backward)
    )
    assert given.backward is backward
    assert given.formulas == {}


def test_a_new_forward_does_not_inherit_backward_and_kernel():
    class Other(LSTM):
        def forward(z, prev):
            c = sigmoid(z.f) * prev.c + z.i * z.g
            return dict(h=sigmoid(z.o) * c, c=c)

    assert Other.kernel is None
    assert Other.contract.keep == ()
    assert Other.backward is not LSTM.backward
    assert type("Third", (Other,), {}).backward is not Other.backward
