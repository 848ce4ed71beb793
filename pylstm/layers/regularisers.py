"""Noise that regularises any cell, and penalties: each seeded, each off (or its mean) in evaluation.

The noise comes as arrays for the arguments of a layer: ``layer(x, **zoneout(layer, x, {"h": 0.1}, seed=step))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.checks import as_array, check_number, generator, listed, quoted
from pylstm.hints import explained
from pylstm.layers.generators import unmoved
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.parameters import Parameters

__all__ = ["activation_penalty", "drop_connect", "input_dropout", "l2_penalty", "state_dropout", "zoneout"]


@explained()
def zoneout(
    layer: RecurrentLayer, x: Any, rates: Mapping[str, float], *, seed: Any = None, training: bool = True
) -> dict[str, Any]:
    """Zoneout: each element of a state keeps its previous value with a probability, at every step anew.

    Parameters
    ----------
    layer : Recurrent
    x : array_like
        The input, for its shape.
    rates : dict of str to float
        State -> probability, in 0..1.
    seed : int or Generator, optional
    training : bool
        False: the mean, s = rate s_prev + (1 - rate) s_new.

    Returns
    -------
    dict
        ``{"blend": {state: array}}``, for the layer's call.

    Raises
    ------
    ValueError
        An unknown state; a rate out of 0..1.

    Notes
    -----
    Krueger et al. (2017), Zoneout: regularizing RNNs by randomly preserving hidden activations. As there, the new
    states of a step are computed before any is zoned out.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(3, 5, seed=0), np.ones((7, 2, 3), "float32")
    >>> run = layer(x, **zoneout(layer, x, {"h": 0.05, "c": 0.5}, seed=1))
    >>> bool((run.states["c"][1:] == run.states["c"][:-1]).any())
    True
    """
    _check_states(layer, rates)
    rng, steps = generator(seed), _shape_of(x)[:-1]
    blend = {}
    with unmoved(rng):
        for name, rate in rates.items():
            if training:
                blend[name] = (rng.random((*steps, layer.widths[name])) >= _rate(name, rate)).astype(layer.dtype)
            else:
                blend[name] = np.full((*steps, 1), 1 - _rate(name, rate), layer.dtype)
    return {"blend": blend}


@explained()
def state_dropout(
    layer: RecurrentLayer, x: Any, rates: Mapping[str, float], *, seed: Any = None, training: bool = True
) -> dict[str, Any]:
    """Variational dropout of previous states: the same elements of a row at every step.

    Parameters
    ----------
    layer : Recurrent
    x : array_like
        The input, for its shape.
    rates : dict of str to float
        State -> probability with which an element is 0, in 0..1 and below 1; the others are divided by 1 - rate.
    seed : int or Generator, optional
    training : bool
        False: nothing.

    Returns
    -------
    dict
        ``{"pre": {state: array}}``, for the layer's call.

    Raises
    ------
    ValueError
        An unknown state; a rate out of range.

    Notes
    -----
    Gal and Ghahramani (2016), A theoretically grounded application of dropout in recurrent neural networks. The
    factor acts on every use of the previous state: of ``h`` of ``lstm``, which only the gates use, that is the paper's;
    the ``h`` of ``gru`` is carried to the next step, too, and is dropped there as well.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(3, 5, seed=0), np.ones((7, 2, 3), "float32")
    >>> run = layer(x, **state_dropout(layer, x, {"h": 0.25}, seed=1))
    """
    _check_states(layer, rates)
    if not training:
        return {"pre": None}
    rng, shape, pre = generator(seed), _shape_of(x), {}
    with unmoved(rng):
        for name, rate in rates.items():
            factors = _factors(rng, name, rate, _once(layer, shape, layer.widths[name]), layer.dtype)
            pre[name] = np.broadcast_to(factors, (*shape[:-1], layer.widths[name]))
    return {"pre": pre}


@explained()
def input_dropout(layer: Any, x: Any, rate: float, *, seed: Any = None, training: bool = True) -> np.ndarray:
    """Variational dropout of inputs: factors for `x`, the same for a row at every step.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    x : array_like
        The input, for its shape.
    rate : float
        Probability with which an element is 0, in 0..1 and below 1; the others are divided by 1 - rate.
    seed : int or Generator, optional
    training : bool
        False: all factors are 1.

    Returns
    -------
    ndarray
        Factors that broadcast to `x`, with 1 step: ``run = layer(x * factors)``; the gradient of `x` is then
        ``grads.x * factors``.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(3, 5, seed=0), np.ones((7, 2, 3), "float32")
    >>> input_dropout(layer, x, 0.5, seed=1).shape
    (1, 2, 3)
    """
    _check_layer(layer)
    shape = _once(layer, _shape_of(x), _shape_of(x)[-1])
    if not training:
        return np.ones(shape, layer.dtype)
    return _factors(generator(seed), "x", rate, shape, layer.dtype)


@explained()
@contextmanager
def drop_connect(
    layer: Any, rate: float, names: Iterable[str] = ("weight_h",), *, seed: Any = None, training: bool = True
) -> Iterator[Parameters]:
    """DropConnect: elements of weight matrices are 0 within a ``with`` block, the others divided by 1 - rate.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    rate : float
        Probability, in 0..1 and below 1.
    names : iterable of str
        Parameters. A name stands for the parameters of a stack that end with it, too: ``weight_h`` for
        ``1.reverse.weight_h``.
    seed : int or Generator, optional
    training : bool
        False: nothing happens.

    Yields
    ------
    factors : Parameters
        1 where nothing is dropped, as in frozen parameters. A run made in the block keeps the weights it had; the
        gradient of the whole weights is that which it gives, times the factors: ``grads.params.flat *= factors.flat``.

    Raises
    ------
    ValueError
        No such parameter; a rate out of range.

    Notes
    -----
    Merity, Keskar and Socher (2018), Regularizing and optimizing LSTM language models. After the block the parameters
    have their values of before, whatever was written to the dropped ones meanwhile.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(3, 5, seed=0), np.ones((7, 2, 3), "float32")
    >>> with drop_connect(layer, 0.5, seed=1) as factors:
    ...     run = layer(x)
    >>> grads = run.backward(np.ones_like(run.y))
    >>> grads.params.flat *= factors.flat
    """
    params, rng, names = layer.params, generator(seed), listed("names", names)
    factors = params.zeros_like()
    factors.flat[...] = 1
    chosen = [full for full in params for name in names if full == name or full.endswith(f".{name}")]
    if not chosen:
        raise ValueError(f"drop_connect: unknown parameter {', '.join(names)} (known: {', '.join(params)})")
    with unmoved(rng):
        for name in chosen if training else ():
            factors[name] = _factors(rng, name, rate, params[name].shape, params.dtype)
    params.fill_held(factors.flat, 1)
    before = {name: params[name].copy() for name in chosen}
    for name in chosen:
        params[name][...] *= factors[name]
    try:
        yield factors
    finally:
        params.update(before)


@explained()
def l2_penalty(params: Parameters, factor: float, names: Iterable[str] | None = None) -> tuple[float, Parameters]:
    """factor times the sum of squares of parameters, but for frozen ones, and its gradient, to be added to the loss's.

    Parameters
    ----------
    params : Parameters
    factor : float
    names : iterable of str, optional
        Default all.

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.LSTM(3, 5, seed=0)
    >>> value, gradient = l2_penalty(layer.params, 1e-4, ["weight_x", "weight_h"])
    """
    gradient, value, factor = params.zeros_like(), 0.0, check_number("factor", factor)
    for name in params if names is None else listed("names", names):
        gradient[name] = (2 * params.dtype.type(factor)) * params[name]
        for piece in (params.flat[piece] for own, piece in params.trained_pieces() if own == name):
            value += factor * float(np.vdot(piece, piece))
    params.fill_held(gradient.flat, 0)
    return value, gradient


@explained()
def activation_penalty(
    y: Any, alpha: float = 0.0, beta: float = 0.0, *, batch_first: bool = False
) -> tuple[float, np.ndarray]:
    """alpha mean(y^2) + beta mean((y_t - y_{t-1})^2), and its gradient, to be added to the cotangent of `y`.

    Parameters
    ----------
    y : array_like, shape (T, B, width), (T, width), or with `batch_first` (B, T, width)
        Outputs of a run; float32 or float64.
    alpha, beta : float
        Factors of activation regularisation and of temporal activation regularisation.
    batch_first : bool

    Notes
    -----
    Merity, McCann and Socher (2017), Revisiting activation regularization for language RNNs.

    Examples
    --------
    >>> import numpy as np
    >>> activation_penalty(np.array([[1.0], [3.0]]), 2.0, 1.0)
    (14.0, array([[-2.],
           [10.]]))
    """
    y = as_array("y", y)
    axis = 1 if batch_first and y.ndim == 3 else 0
    steps, gradient = np.moveaxis(y, axis, 0), np.zeros_like(y)
    if y.size == 0:
        return 0.0, gradient
    value = alpha * float(np.mean(np.square(y)))
    gradient += y * y.dtype.type(2 * alpha / y.size)
    changes = np.diff(steps, axis=0)
    if changes.size:
        value += beta * float(np.mean(np.square(changes)))
        turned, scaled = np.moveaxis(gradient, axis, 0), changes * y.dtype.type(2 * beta / changes.size)
        turned[1:] += scaled
        turned[:-1] -= scaled
    return value, gradient


def _check_layer(layer: Any) -> None:
    if not hasattr(layer, "batch_first"):
        raise TypeError(f"layer must be a Recurrent, Stack or Bidirectional, got {quoted(layer)}")


def _shape_of(x: Any) -> tuple[int, ...]:
    """Shape of an input, of 3 axes or of one sequence."""
    shape = as_array("x", x).shape
    if len(shape) not in (2, 3):
        raise ValueError(f"x must have shape (T, B, input_size) or (T, input_size), got {shape}")
    return shape


def _check_states(layer: RecurrentLayer, rates: Mapping[str, float]) -> None:
    states = layer.cell.contract.states
    if not isinstance(rates, Mapping):
        raise TypeError(f"rates must be a dict by state, such as {{{states[0]!r}: 0.2}}, got {quoted(rates)}")
    for name in rates:
        if name not in states:
            raise ValueError(f"cell {layer.cell.name!r} has no state {name!r} (known: {', '.join(states)})")


def _rate(name: str, rate: float) -> float:
    if not 0 <= check_number(f"rate of {name!r}", rate) <= 1:
        raise ValueError(f"rate of {name!r} must be in 0..1, got {rate}")
    return rate


def _factors(rng: np.random.Generator, name: str, rate: float, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """0 with probability `rate`, else 1 / (1 - rate)."""
    if not 0 <= check_number(f"rate of {name!r}", rate) < 1:
        raise ValueError(f"rate of {name!r} must be in 0..1 and below 1, got {rate}")
    kept: np.ndarray = (rng.random(shape) >= rate).astype(dtype)
    kept *= np.dtype(dtype).type(1 / (1 - rate))
    return kept


def _once(layer: Any, shape: tuple[int, ...], width: int) -> tuple[int, ...]:
    """Shape of a per-step array of one step, in the layout of the input's `shape`."""
    if len(shape) == 2:
        return 1, width
    return (shape[0], 1, width) if layer.batch_first else (1, shape[1], width)
