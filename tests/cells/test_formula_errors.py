"""What cannot be traced is refused at the user's line, with the cure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pylstm.cells import Cell, Stage, functions, tanh
from pylstm.cells.formula import FormulaError, derive


def cell_of(forward, **more):
    body = dict(states=("h",), gates=dict(a="x+h"), forward=forward) | more
    return type("Broken", (Cell,), body)


def branch(z, prev):
    if z.a > prev.h:  # here
        return dict(h=z.a)
    return dict(h=prev.h)


def chain(z, prev):
    return dict(h=z.a and prev.h)  # here


def builtin_max(z, prev):
    return dict(h=max(z.a, prev.h))  # here


def as_float(z):
    return dict(h=math.tanh(z.a))  # here


def numpy_function(z):
    return dict(h=np.tanh(z.a))  # here


def numpy_where(z, prev):
    return dict(h=np.where(z.a > 0, z.a, prev.h))  # here


def array(z):
    return dict(h=z.a * np.ones(3))  # here


def text(z):
    return dict(h=z.a + "1")  # here


def matrix(z, prev):
    return dict(h=z.a @ prev.h)  # here


def element(z):
    return dict(h=z.a[0])  # here


def loop(z):
    return dict(h=sum(z.a))  # here


def modulo(z):
    return dict(h=z.a % 2)  # here


def unknown(z):
    return dict(h=z.b)  # here


def assigned(z):
    z.a = 1  # here
    return dict(h=z.a)


def power(z):
    return dict(h=(-2.0) ** z.a)  # here


def infinite_power(z):
    return dict(h=z.a**math.inf)  # here


def minus_infinite_power(z):
    return dict(h=z.a**-math.inf)  # here


def nan_power(z):
    return dict(h=z.a**math.nan)  # here


def infinite_base(z):
    return dict(h=math.inf**z.a)  # here


def nan_base(z):
    return dict(h=math.nan**z.a)  # here


LINES = [
    (infinite_power, "the exponent inf of a power is not finite"),
    (minus_infinite_power, "the exponent -inf of a power is not finite"),
    (nan_power, "the exponent nan of a power is not finite"),
    (infinite_base, "the base inf of a power is not positive and finite"),
    (nan_base, "the base nan of a power is not positive and finite"),
    (branch, "pylstm.where(condition, a, b)"),
    (chain, "& | ~"),
    (builtin_max, "pylstm.maximum"),
    (as_float, "pylstm.tanh"),
    (numpy_function, "NumPy's tanh cannot be traced: use pylstm.tanh"),
    (numpy_where, "use pylstm.where"),
    (array, "declare it under `params` or `aux`"),
    (text, "type str"),
    (matrix, "declare a gate"),
    (element, "a symbol has no elements: use one gate, state or parameter per value"),
    (loop, "a symbol has no elements: use one gate, state or parameter per value"),
    (modulo, "rounding has no derivative"),
    (unknown, "z.b does not exist: z has a"),
    (assigned, "cannot be assigned"),
    (power, "positive base"),
]


@pytest.mark.parametrize("forward, cure", LINES, ids=[each.__name__ for each, _ in LINES])
def test_error_at_the_line_with_the_cure(forward, cure):
    with open(__file__) as file:
        source = file.read().splitlines()
    first = forward.__code__.co_firstlineno
    line = next(k for k in range(first, first + 4) if source[k - 1].endswith("# here"))
    with pytest.raises(FormulaError) as caught:
        cell_of(forward).contract  # noqa: B018
    message = str(caught.value)
    assert message.startswith(f"{__file__}:{line}: "), message
    assert cure in message
    assert "# here" in message


WRONG = [
    (lambda z, q: dict(h=z.a), "unknown argument 'q'"),
    (lambda z: tanh(z.a), "return a dict"),
    (lambda z: dict(h=z.a, k=z.a), "with k"),
    (lambda z: dict(), "without h"),
]


@pytest.mark.parametrize("forward, reason", WRONG, ids=[reason for _, reason in WRONG])
def test_wrong_result(forward, reason):
    with pytest.raises(FormulaError, match=reason) as caught:
        derive(cell_of(forward))
    assert __file__ in str(caught.value)


def test_widths_that_do_not_fit():
    mixed = cell_of(lambda z, prev: dict(h=z.a + prev.h), widths={"a": 3})
    with pytest.raises(FormulaError, match="widths 3 and 'hidden_size' meet"):
        derive(mixed)
    returned = cell_of(lambda z: dict(h=z.a), widths={"a": 3})
    with pytest.raises(FormulaError, match="h has width 3, declared is 'hidden_size'"):
        derive(returned)


def test_emissions_are_named():
    stages = (Stage("one", gates=("a",), emits=("m",)), Stage("two"))
    cell = type(
        "Two",
        (Cell,),
        dict(
            states=("h",),
            gates=dict(a="x"),
            stages=stages,
            forward_one=lambda z: dict(n=z.a),
            forward_two=lambda e: dict(h=e.m),
        ),
    )
    with pytest.raises(FormulaError, match="emissions of stage 'one' are m"):
        derive(cell)


def test_numpy_scalars_are_numbers():
    class Scaled(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z):
            return dict(h=np.sqrt(2.0) * z.a + np.float32(1) - np.ones(1)[0] * z.a / np.int64(3))

    assert derive(Scaled).counts("forward") == {"mul": 1, "add": 1, "div": 1, "sub": 1}


@pytest.mark.parametrize(
    "name", ["exp", "expm1", "log", "log1p", "sqrt", "sigmoid", "tanh", "relu", "softplus", "sin", "cos"]
)
def test_functions_take_symbols_and_arrays(name):
    function = getattr(functions, name)
    assert derive(cell_of(lambda z: dict(h=function(z.a)))).counts("forward") == {name: 1}
    assert np.all(np.isfinite(function(np.array([0.5, 2.0]))))
    np.testing.assert_allclose(function(np.array([0.5 + 0j])), function(np.array([0.5])), rtol=1e-15)


@pytest.mark.parametrize("exponent", [3.0, 1024, 1025, 1e6, 1e300])
def test_a_large_exponent(exponent):
    assert cell_of(lambda z: dict(h=z.a**exponent)).contract.states == ("h",)
