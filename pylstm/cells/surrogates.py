"""Derivatives that a cell declares in place of the true ones: `surrogate` and `stop_gradient`.

A formula carries what is declared beside the value; `pylstm.cells.formula.derivation` derives with it, then drops it.
On arrays the value alone counts, except where somebody differentiates forward itself: complex steps move a value by
what is declared, and so do the differences of certification (`pylstm.cells.certification.anchors`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import numpy as np

from pylstm.cells.formula.symbols import Symbol
from pylstm.checks import quoted
from pylstm.hints import explained

Function = Callable[[Any], Any]
moved: ContextVar[Callable[[Any, Any, Any], Any] | None] = ContextVar("moved", default=None)
"""The value that differences are to see: a function of x, the value there, and the declared derivative."""


@explained()
def surrogate(forward: Function, derivative: Function) -> Function:
    """A function whose derivative is declared: that of a step, a rounding, a sign, for cells that are trained with it.

    Parameters
    ----------
    forward, derivative : function of one value
        Written with the functions of `pylstm.cells`, of the value x alone; what they read besides is held: no gradient
        goes through it.

    Returns
    -------
    function of one value
        ``forward(x)``; backward multiplies cotangents by ``derivative(x)``.

    Raises
    ------
    TypeError
        An argument that is not a function.

    Notes
    -----
    Certification compares what is declared with itself, and all that lies around it with differences: there the value
    moves from ``forward(x)`` on as its declared derivative says. Neftci, Mostafa & Zenke (2019), Surrogate gradient
    learning in spiking neural networks.

    Examples
    --------
    >>> from pylstm.cells import Cell, absolute, certify, surrogate
    >>> spike = surrogate(lambda v: v > 0, lambda v: 1 / (1 + 10 * absolute(v)) ** 2)
    >>> class Spiking(Cell):
    ...     states = ("s", "v")
    ...     gates = {"i": "x+s"}
    ...     def forward(z, prev):
    ...         v = 0.9 * prev.v * (1 - prev.s) + z.i
    ...         return {"s": spike(v - 1), "v": v}
    >>> certify(Spiking).ok
    True
    """
    for name, given in (("forward", forward), ("derivative", derivative)):
        if not callable(given):
            raise TypeError(
                f"{name} must be a function of one value, got {quoted(given)}: write, for example, "
                "surrogate(lambda v: v > 0, lambda v: 1 / (1 + absolute(v)) ** 2)"
            )

    def declaring(x: Any) -> Any:
        if isinstance(x, Symbol):
            return x.apply("surrogate", x, forward(x), derivative(x))
        x = _as_array(x)
        return declared(x, forward(x), derivative(x))

    declaring.forward, declaring.derivative = forward, derivative  # type: ignore[attr-defined]
    return declaring


@explained()
def stop_gradient(x: Any) -> Any:
    """`x`, as a number that nothing depends on: backward sends no cotangent through it.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.cells import stop_gradient
    >>> stop_gradient(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    if isinstance(x, Symbol):
        return x.apply("stop", x)
    x = _as_array(x)
    return declared(x, x, np.zeros_like(x))


@explained()
def declared(x: Any, value: Any, derivative: Any) -> Any:
    """`value` at the array `x`, whose derivative counts as `derivative`: what a derived twin says of a surrogate.

    Conditions become numbers, and a number stands for each element of `x`.

    Examples
    --------
    >>> x = np.array([-1.0, 2.0])
    >>> declared(x, x > 0, 1 / (1 + x * x)), declared(x + 1e-30j, x > 0, 1 / (1 + x * x)).imag
    (array([0., 1.]), array([5.e-31, 2.e-31]))
    """
    if np.asarray(value).dtype == bool or np.shape(value) != np.shape(x):
        value = value + np.zeros_like(x)
    if (differing := moved.get()) is not None:
        return differing(x, value, derivative)
    if np.iscomplexobj(x):
        return np.real(value) + (x - np.real(x)) * np.real(derivative)
    return value


def _as_array(x: Any) -> Any:
    if isinstance(x, str | bytes):
        raise TypeError(f"x must be a number or an array, got {quoted(x)}")
    return x if hasattr(x, "dtype") else np.asarray(x, np.float64)
