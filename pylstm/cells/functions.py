"""Functions of which cells are made.

For NumPy arrays (real or complex: complex steps go through them, ordered by the real part) and for the symbols of a
formula. On symbols, arithmetic, powers, comparisons, ``abs`` and the conditions ``& | ~`` are Python's operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.cells.formula.pairs import Pair
from pylstm.cells.formula.symbols import Symbol
from pylstm.cells.surrogates import declared as declared
from pylstm.cells.surrogates import stop_gradient as stop_gradient
from pylstm.cells.surrogates import surrogate as surrogate
from pylstm.hints import explained

Function = Callable[[Any], Any]


def of_numbers(*names: str) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: what is neither a number nor an array is refused in words, of the arguments `names`; default: all."""

    def decorate(function: Callable[..., Any]) -> Any:
        taken = names or function.__code__.co_varnames[: function.__code__.co_argcount]
        function.__annotations__ |= dict.fromkeys(taken, np.ndarray)
        return explained()(function)

    return decorate


def _array(x: Any) -> Any:
    """A list as an array; numbers, arrays and symbols of a formula as they are."""
    return np.asarray(x) if isinstance(x, list | tuple) else x


def _function(name: str, array: Function, text: str, x: str, y: str) -> Function:
    """The function that is `array` on numbers; `x` and `y` are its example."""

    def function(x: Any) -> Any:
        if isinstance(x, Pair):
            return getattr(x, name)()
        return x.apply(name, x) if isinstance(x, Symbol) else array(x)

    function.__name__ = function.__qualname__ = name
    example = f">>> import numpy as np\n>>> {name}(np.array({x}))\narray({y})"
    function.__doc__ = f"{text}\n\nExamples\n--------\n{example}"
    made: Function = of_numbers()(function)
    return made


def _sigmoid(x: Any) -> Any:
    negative = np.real(x) < 0
    e = np.exp(np.where(negative, x, -x))
    return np.where(negative, e, e.dtype.type(1)) / (1 + e)


def _relu(x: Any) -> Any:
    return np.where(np.real(x) <= 0, np.zeros_like(x), x)  # NaN stays NaN


def _softplus(x: Any) -> Any:
    positive = np.where(np.real(x) < 0, np.zeros_like(x), x)  # at 0 its slope is 1, and -1/2 that of the rest
    return positive + np.log1p(np.exp(-absolute(x)))


exp: Function = _function("exp", np.exp, "e^x.", "[0.0, -np.inf]", "[1., 0.]")
expm1: Function = _function("expm1", np.expm1, "e^x - 1, accurate near 0.", "[0.0, 1e-20]", "[0.e+00, 1.e-20]")
log: Function = _function("log", np.log, "Natural logarithm.", "[1.0, np.inf]", "[ 0., inf]")
log1p: Function = _function("log1p", np.log1p, "log(1 + x), accurate near 0.", "[0.0, 1e-20]", "[0.e+00, 1.e-20]")
sqrt: Function = _function("sqrt", np.sqrt, "Square root.", "[4.0, 9.0]", "[2., 3.]")
tanh: Function = _function("tanh", np.tanh, "Hyperbolic tangent.", "[0.0, 1000.0]", "[0., 1.]")
sin: Function = _function("sin", np.sin, "Sine.", "[0.0, np.pi / 2]", "[0., 1.]")
cos: Function = _function("cos", np.cos, "Cosine.", "[0.0, np.pi]", "[ 1., -1.]")
sigmoid: Function = _function(
    "sigmoid",
    _sigmoid,
    "1 / (1 + exp(-x)), without overflow: e / (1 + e) below 0, e = exp(-abs(x)).",
    "[0.0, 1000.0, -1000.0]",
    "[0.5, 1. , 0. ]",
)
relu: Function = _function("relu", _relu, "x where x > 0, else 0.", "[-2.0, 3.0]", "[0., 3.]")
softplus: Function = _function(
    "softplus",
    _softplus,
    "log(1 + exp(x)), without overflow: relu(x) + log1p(exp(-abs(x))).",
    "[1000.0, -1000.0]",
    "[1000.,    0.]",
)


def _symbol(*values: Any) -> Symbol | None:
    return next((value for value in values if isinstance(value, Symbol)), None)


@of_numbers()
def maximum(a: Any, b: Any) -> Any:
    """The larger of `a` and `b`; the derivative at a tie belongs to `a`.

    Examples
    --------
    >>> import numpy as np
    >>> maximum(np.array([1.0, 3.0]), 2.0)
    array([2., 3.])
    """
    symbol = _symbol(a, b)
    return np.maximum(a, b) if symbol is None else symbol.apply("max", a, b)


@of_numbers()
def minimum(a: Any, b: Any) -> Any:
    """The smaller of `a` and `b`; the derivative at a tie belongs to `a`.

    Examples
    --------
    >>> import numpy as np
    >>> minimum(np.array([1.0, 3.0]), 2.0)
    array([1., 2.])
    """
    symbol = _symbol(a, b)
    return np.minimum(a, b) if symbol is None else symbol.apply("min", a, b)


@of_numbers()
def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where `condition`, else `b`.

    Examples
    --------
    >>> import numpy as np
    >>> where(np.array([True, False]), 1.0, 2.0)
    array([1., 2.])
    """
    symbol = _symbol(condition, a, b)
    return np.where(condition, a, b) if symbol is None else symbol.apply("where", condition, a, b)


@of_numbers()
def absolute(x: Any) -> Any:
    """x where x >= 0, else -x; of a symbol the same as ``abs``.

    Examples
    --------
    >>> import numpy as np
    >>> absolute(np.array([-2.0, 3.0]))
    array([2., 3.])
    """
    return abs(x) if isinstance(x, Symbol | Pair) else np.where(np.real(x) < 0, -x, x)


@of_numbers()
def conj(x: Any) -> Any:
    """Complex conjugate, of a complex value of a formula or an array.

    Examples
    --------
    >>> conj(np.array([1 + 2j]))
    array([1.-2.j])
    """
    return x.conj() if isinstance(x, Pair) else x if isinstance(x, Symbol) else np.conj(x)


@of_numbers()
def abs2(x: Any) -> Any:
    """Square of the modulus: real^2 + imag^2.

    Examples
    --------
    >>> abs2(np.array([3 + 4j]))
    array([25.])
    """
    if isinstance(x, Symbol | Pair):
        return x.abs2() if isinstance(x, Pair) else x * x
    return np.real(x) ** 2 + np.imag(x) ** 2


@of_numbers()
def dsigmoid_from_y(y: Any) -> Any:
    """Derivative of the sigmoid from its output: y (1 - y).

    Examples
    --------
    >>> import numpy as np
    >>> dsigmoid_from_y(np.array([0.5, 1.0]))
    array([0.25, 0.  ])
    """
    y = _array(y)
    return y * (1 - y)


@of_numbers()
def dtanh_from_y(y: Any) -> Any:
    """Derivative of tanh from its output: 1 - y^2, as (1 - y) (1 + y): exact near 1.

    Examples
    --------
    >>> import numpy as np
    >>> dtanh_from_y(np.array([0.0, 0.5]))
    array([1.  , 0.75])
    """
    y = _array(y)
    return (1 - y) * (1 + y)


@of_numbers()
def drelu_from_y(y: Any) -> Any:
    """Derivative of relu from its output: 1 where y > 0, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> drelu_from_y(np.array([0.0, 2.0]))
    array([0., 1.])
    """
    y = np.asarray(np.real(y))
    return np.where(np.isnan(y), y, y > 0).astype(y.dtype)


@of_numbers()
def dabs_from_x(x: Any) -> Any:
    """Derivative of abs: the sign of x, 0 at 0.

    Examples
    --------
    >>> import numpy as np
    >>> dabs_from_x(np.array([-2.0, 0.0, 3.0]))
    array([-1.,  0.,  1.])
    """
    return np.sign(np.real(x))


@of_numbers()
def filled(value: Any, like: Any) -> Any:
    """`value` (a number, or one per row) in the shape and dtype of the array `like`.

    Examples
    --------
    >>> import numpy as np
    >>> filled(2.0, np.zeros((2, 2), "float32"))
    array([[2., 2.],
           [2., 2.]], dtype=float32)
    """
    return np.zeros_like(like) + value
