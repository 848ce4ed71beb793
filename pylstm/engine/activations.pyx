"""Elementwise activations as Python functions: for tests, NumPy twins and benchmarks."""

from pylstm._math cimport (
    floating, exp, expm1, log, log1p, sigmoid, tanh, softplus, relu, sin, cos, sqrt,
    dsigmoid_from_y, dtanh_from_y, drelu_from_y)

NAMES = (
    "exp", "expm1", "log", "log1p", "sigmoid", "tanh", "softplus", "relu", "sin", "cos", "sqrt",
    "dsigmoid_from_y", "dtanh_from_y", "drelu_from_y")


cdef void _apply(Py_ssize_t which, const floating *x, floating *out, Py_ssize_t n) noexcept nogil:
    """`which` counts in the order of `NAMES`."""
    cdef Py_ssize_t k
    if which == 0:
        for k in range(n): out[k] = exp(x[k])
    elif which == 1:
        for k in range(n): out[k] = expm1(x[k])
    elif which == 2:
        for k in range(n): out[k] = log(x[k])
    elif which == 3:
        for k in range(n): out[k] = log1p(x[k])
    elif which == 4:
        for k in range(n): out[k] = sigmoid(x[k])
    elif which == 5:
        for k in range(n): out[k] = tanh(x[k])
    elif which == 6:
        for k in range(n): out[k] = softplus(x[k])
    elif which == 7:
        for k in range(n): out[k] = relu(x[k])
    elif which == 8:
        for k in range(n): out[k] = sin(x[k])
    elif which == 9:
        for k in range(n): out[k] = cos(x[k])
    elif which == 10:
        for k in range(n): out[k] = sqrt(x[k])
    elif which == 11:
        for k in range(n): out[k] = dsigmoid_from_y(x[k])
    elif which == 12:
        for k in range(n): out[k] = dtanh_from_y(x[k])
    elif which == 13:
        for k in range(n): out[k] = drelu_from_y(x[k])


def apply(str name, const floating[::1] x, floating[::1] out):
    """Write ``name(x[k])`` to ``out[k]`` for every k.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    x, out : (n,) contiguous arrays, both float32 or both float64
        `out` may be `x` itself, but may not overlap it otherwise.

    Raises
    ------
    ValueError
        Unknown name, unequal lengths, another dtype or layout.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.engine.levels import load
    >>> x = np.array([-100.0, 0.0, 1.0], np.float32)
    >>> load("pylstm.engine.activations").apply("sigmoid", x, x)
    >>> x
    array([3.783506e-44, 5.000000e-01, 7.310586e-01], dtype=float32)
    """
    if name not in NAMES:
        raise ValueError(f"activation {name!r}: expected one of {', '.join(NAMES)}")
    if x.shape[0] != out.shape[0]:
        raise ValueError(f"x has {x.shape[0]} elements, out has {out.shape[0]}: expected the same number")
    cdef Py_ssize_t which = NAMES.index(name)
    if x.shape[0] > 0:
        with nogil:
            _apply(which, &x[0], &out[0], x.shape[0])
