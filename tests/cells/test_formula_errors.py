"""What cannot be traced is refused at the user's line, with the cure."""

from __future__ import annotations

import inspect
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


def numbers(z):
    return dict(h=[0.1, 0.2, 0.3] * z.a)  # here


def mean(z):
    return dict(h=z.a - z.a.mean())  # here


def largest(z):
    return dict(h=tanh(z.a).max())  # here


def numpy_sum(z):
    return dict(h=z.a / np.sum(z.a))  # here


def numpy_dot(z, prev):
    return dict(h=np.dot(z.a, prev.h))  # here


def numpy_matrix(z):
    return dict(h=np.ones((3, 3)) @ z.a)  # here


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
    (array, 'a formula cannot contain an array: declare numbers of its units as a constant, constants = {"c": ...}'),
    (numbers, "a formula cannot contain a list: declare numbers of its units as a constant"),
    (mean, "a symbol is not an array and has no mean: write row_mean(z.a), with the functions of pylstm.cells"),
    (largest, "has no max: write row_max(x), with the functions of pylstm.cells"),
    (numpy_sum, "NumPy's sum cannot be traced: write row_sum(z.a), with the functions of pylstm.cells"),
    (numpy_dot, "NumPy's dot cannot be traced: write contract(z.a, prev.h), with the functions of pylstm.cells"),
    (numpy_matrix, "a formula has no matrix product: declare a gate"),
    (text, "type str"),
    (matrix, "declare a gate: its pre-activation is the matrix product of its sources; of a matrix in a state and a"),
    (element, "a symbol has no elements: use one gate, state or parameter per value"),
    (loop, "over the units of a row write row_sum(z.a) for sum(z.a)"),
    (modulo, "rounding has no derivative"),
    (unknown, "z.b does not exist: z has a"),
    (assigned, "cannot be assigned"),
    (power, "positive base"),
]


BAD = float("nan")


def times_nan(z, prev):
    a = tanh(z.a)
    return dict(h=a * BAD + prev.h)  # here


def below_inf(z):
    return dict(h=functions.maximum(z.a, -np.inf))  # here


def overflowing(z):
    rate = 1e200 * 1e200
    return dict(h=functions.where(z.a > 0, z.a, rate))  # here


@pytest.mark.parametrize(
    ("forward", "number"),
    [(times_nan, "nan"), (below_inf, "-inf"), (overflowing, "inf")],
    ids=["nan", "below", "above"],
)
def test_numbers_that_are_not_finite(forward, number):
    with pytest.raises(FormulaError) as caught:
        derive(cell_of(forward))
    first = forward.__code__.co_firstlineno
    line = first + next(k for k, text in enumerate(inspect.getsource(forward).splitlines()) if "# here" in text)
    cure = "it comes from 0 / 0" if number == "nan" else "write a finite one, such as 1e30"
    assert f"{__file__}:{line}: a formula cannot contain the number {number}: {cure}" in str(caught.value)


def test_a_result_that_is_not_finite():
    with pytest.raises(FormulaError, match=r"test_formula_errors.py:\d+: .*: h is the number nan: it comes from"):
        derive(cell_of(lambda z: {"h": BAD}))


def test_numbers_of_the_formula_that_overflow():
    """Left to the arithmetic of the arrays, as before any 1 / 0: not a number that no source can be written for."""
    cell = cell_of(lambda z, size: {"h": tanh(z.a) / (size.hidden_size * 1e300 * 1e300)})
    derivation = derive(cell)
    assert derivation is not None


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


def test_numbers_of_lists_and_arrays():
    """One by one they are numbers of the formula, whatever holds them."""
    weights, one = np.array([0.5, 0.25]), np.array([2.0])

    def forward(z, prev):
        return dict(h=sum(w * prev.h for w in weights.tolist()) + weights[1] * z.a * one + [3.0, 4.0][1])

    stage = derive(cell_of(forward)).stages[""]
    assert {each.value for each in stage.forward.operations if each.op == "const"} == {0.5, 0.25, 2.0, 4.0}


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
