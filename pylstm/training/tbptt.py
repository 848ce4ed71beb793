"""Truncated back-propagation through time: `truncated_bptt`, windows of a long sequence with carried states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pylstm.checks import as_array, check_number, check_size, quoted
from pylstm.data.finite import first_not_finite
from pylstm.hints import explained, explained_constructor
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.generators import unmoved
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack
from pylstm.training.following import call_out

Loss = Callable[[np.ndarray, slice], tuple[float, np.ndarray]]


class Window(NamedTuple):
    """Steps of one back-propagation: those from `start` on are run, the losses from `first` on count, up to `end`.

    The window after it starts at step `next`.
    """

    start: int
    first: int
    end: int
    next: int


def window(number: int, steps: int, k1: int, k2: int | None = None) -> Window:
    """Window 0, 1, ... of a sequence of `steps` steps, see `truncated_bptt`.

    Examples
    --------
    >>> [window(k, 10, 4, 6)[:3] for k in range(3)]
    [(0, 0, 4), (2, 4, 8), (6, 8, 10)]
    """
    first, older = number * k1, 0 if k2 is None else k2 - k1
    end = min(steps, first + k1)
    return Window(max(0, first - older), first, end, min(end, max(0, first + k1 - older)))


def windows(steps: int, k1: int, k2: int | None = None) -> Iterator[Window]:
    """All windows of a sequence of `steps` steps, in order.

    Raises
    ------
    TypeError, ValueError
        `k1` is not an integer of at least 1; `k2` is not an integer, or below `k1`.
    """
    k1, k2 = check_truncation(k1, k2)
    return (window(number, steps, k1, k2) for number in range(-(-steps // k1)))


def check_truncation(k1: int, k2: int | None) -> tuple[int, int]:
    """Both as integers, with 1 <= k1 <= k2."""
    k1 = check_size("k1", k1)
    k2 = k1 if k2 is None else check_size("k2", k2)
    if k2 < k1:
        raise ValueError(
            f"k2 must be at least k1={k1}, got {k2}: otherwise the oldest of the new losses have no gradient"
        )
    return k1, k2


@explained_constructor
@dataclass
class TruncatedStep:
    """One window of `truncated_bptt`.

    Attributes
    ----------
    value : float
        The loss of its new steps.
    grads : Gradients or CompositeGradients
        Of that loss: ``grads.params``; ``grads.x`` of the steps of the window; ``grads.initial`` of the states it
        started from, which goes no further.
    window : Window
    final : dict of str to ndarray, or list by layer
        States after its last step: what `initial` takes, to continue in another call.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(2, 4, seed=0), np.ones((10, 3, 2), "float32")
    >>> step = next(pylstm.truncated_bptt(layer, x, lambda y, steps: (float(y.sum()), np.ones_like(y)), 5))
    >>> step.window, step.grads.x.shape, step.final["c"].shape
    (Window(start=0, first=0, end=5, next=5), (5, 3, 2), (3, 4))
    """

    value: float
    grads: Any
    window: Window
    final: Any


@explained()
def truncated_bptt(
    layer: Any,
    x: Any,
    loss: Loss,
    k1: int,
    k2: int | None = None,
    initial: Any = None,
    *,
    aux: Any = None,
    pre: Any = None,
    blend: Any = None,
    reset: Any = None,
) -> Iterator[TruncatedStep]:
    """Back-propagate the losses of every `k1` steps of a long sequence through the last `k2` steps.

    Window j = 0, 1, ... has the new steps f = j k1 up to, not including, e = min(T, f + k1). It starts k2 - k1 steps
    earlier, at b = max(0, f - (k2 - k1)), from the states before step b, which the window before has left; they are
    taken as constants. From there the layer runs to the end of the window, which gives the gradient of

        L_j = sum of the losses of steps f .. e - 1

    by the parameters as they are then; they may have changed since the window before. With ``k2 = k1`` windows do not
    overlap, and every step is run once; otherwise k2 / k1 times.

    Parameters
    ----------
    layer : Recurrent or Stack
        Of one direction.
    x : array_like, shape (T, B, input_size), (B, T, input_size) with `batch_first`, or (T, input_size)
        Or whatever has that shape and can be sliced, as a `numpy.memmap`: only windows of it are read.
    loss : function
        ``loss(y, steps)`` gets the outputs of the new steps and their slice of T, and returns the loss and cotangent,
        in the shape of `y`. Whatever stands above the layer is computed there.
    k1, k2 : int
        1 <= k1 <= k2; without `k2` it is `k1`.
    initial : optional
        Initial states, as the layer takes them.
    aux, pre, blend : optional
        Per-step inputs of the whole sequence, as the layer takes them.
    reset : array_like of bool, shape (T, B), (B, T) with `batch_first`, or (T,), optional
        Where True, a new sequence begins in that row, as in a run: from what the layer starts with, whatever the window
        before has left, and no loss goes back past it. Or whatever has that shape and can be sliced.

    Yields
    ------
    TruncatedStep
        One for each window; what is done to ``layer.params`` meanwhile, the next window sees.

    Raises
    ------
    TypeError
        Two directions; `k1` or `k2` is not an integer; a loss that does not return a number and a cotangent.
    ValueError
        `k1` below 1, or `k2` below `k1`; `reset` or a cotangent of another shape; `aux`, `pre` or `blend` of another
        number of steps; a loss that is not finite,
        where `x` is not either: the index is named.

    Notes
    -----
    Williams and Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories: BPTT(h; h') with h = k2, h' = k1. Sutskever (2013), Training recurrent neural networks, section 2.8.6.

    Examples
    --------
    >>> import pylstm
    >>> layer, x = pylstm.LSTM(2, 4, seed=0), np.ones((10, 3, 2), "float32")
    >>> target, optimiser = np.zeros((10, 3, 4), "float32"), pylstm.SGD(layer.params, lr=0.1)
    >>> for step in truncated_bptt(layer, x, lambda y, steps: pylstm.squared_error(y, target[steps]), 4, 6):
    ...     optimiser.step(step.grads.params)
    ...     print(step.window.start, step.window.end, step.grads.x.shape)
    0 4 (4, 3, 2)
    2 8 (6, 3, 2)
    6 10 (4, 3, 2)
    """
    if not isinstance(layer, Recurrent | Stack | Bidirectional):
        raise TypeError(f"layer must be a Recurrent or a Stack, such as model.layer, got {type(layer).__name__}")
    if isinstance(layer, Bidirectional) or any(isinstance(e, Bidirectional) for e in getattr(layer, "layers", ())):
        raise TypeError("a reverse direction starts at the end of the sequence: it cannot be truncated")
    k1, k2 = check_truncation(k1, k2)
    x = x if hasattr(x, "shape") else as_array("x", x)
    axis = 1 if layer.batch_first and len(x.shape) == 3 else 0
    if reset is not None:
        reset = reset if hasattr(reset, "shape") else as_array("reset", reset)
        if reset.shape != x.shape[:-1]:
            raise ValueError(f"reset must have shape {x.shape[:-1]}, as the steps and rows of x, got {reset.shape}")
    given = {"aux": aux, "pre": pre, "blend": blend}
    given = {kind: _of_steps(kind, values, x.shape[axis], axis) for kind, values in given.items()} | {"reset": reset}
    _check_loss(loss)
    return _steps(layer, x, loss, windows(x.shape[axis], k1, k2), initial, given, axis)


def _of_steps(what: str, values: Any, steps: int, axis: int) -> Any:
    """Per-step inputs by name or by layer, as what can be sliced, each with as many steps as the sequence has."""
    if isinstance(values, dict):
        return {name: _of_steps(f"{what}[{name!r}]", value, steps, axis) for name, value in values.items()}
    if isinstance(values, list | tuple) and all(each is None or isinstance(each, dict) for each in values):
        return [_of_steps(f"{what}[{k}]", value, steps, axis) for k, value in enumerate(values)]
    if values is None:
        return None
    values = values if hasattr(values, "shape") else as_array(what, values)
    found = values.shape[axis] if len(values.shape) > axis else 0
    if found != steps:
        raise ValueError(f"{what} must have the {steps} steps of x, got {found}")
    return values


def _steps(
    layer: Any, x: Any, loss: Loss, all_windows: Iterator[Window], initial: Any, given: dict[str, Any], axis: int
) -> Iterator[TruncatedStep]:
    states = initial
    for each in all_windows:
        piece = (slice(None),) * axis + (slice(each.start, each.end),)
        inputs = as_array("x", x[piece])
        with unmoved(layer.rng if getattr(layer, "drops", False) else None):
            run = layer(inputs, states, **{kind: _cut(values, piece) for kind, values in given.items()})
            value, dy = _judged(run, loss, each, axis)
            if not np.isfinite(value):
                _refuse_not_finite(inputs, axis, each.start)
            grads = run.backward(dy)
        final = states_at(run, each.end - each.start)
        states = states_at(run, each.next - each.start) if each.next else initial  # which may be learned
        yield TruncatedStep(value, grads, each, final)


def _judged(run: Any, loss: Loss, each: Window, axis: int) -> tuple[float, np.ndarray]:
    """The loss of the new steps of a window, and the cotangent of all its outputs."""
    new = (slice(None),) * axis + (slice(each.first - each.start, None),)
    cure = "to end early, break out of the loop over truncated_bptt"
    returned = call_out("the loss", cure, loss, run.y[new], slice(each.first, each.end))
    if not (isinstance(returned, tuple | list) and len(returned) == 2 and np.ndim(returned[0]) == 0):
        raise TypeError(
            "loss must return a number and its derivative with respect to y, as pylstm.squared_error(y, target[steps]) "
            f"does, got {quoted(returned)}"
        )
    value, dnew = check_number("the value of loss", returned[0]), as_array("the cotangent of loss", returned[1])
    if dnew.shape != run.y[new].shape:
        raise ValueError(f"loss: the cotangent must have the shape of y, {run.y[new].shape}, got {dnew.shape}")
    dy = np.zeros(run.y.shape, dnew.dtype)
    dy[new] = dnew
    return value, dy


def _refuse_not_finite(inputs: np.ndarray, axis: int, start: int) -> None:
    """Refuse a window from step `start` on of which a value is NaN or infinite."""
    at = first_not_finite(inputs)
    if at is not None:
        index = tuple(k + start if n == axis else k for n, k in enumerate(at))
        raise ValueError(f"the loss is not finite: x holds {inputs[at]} at index {index}: fill it or leave it out")


def _check_loss(loss: Any) -> None:
    """`TypeError` for what cannot be called as a loss of a window is."""
    if not callable(loss):
        raise TypeError(f"loss must be a function(y, steps) -> (value, dy), got {quoted(loss)}")
    try:
        inspect.signature(loss).bind(None, None)
    except TypeError:
        raise TypeError(
            f"loss must take two arguments, loss(y, steps), where target[steps] belong to y; got {quoted(loss)}"
        ) from None
    except ValueError:  # a function of C without a signature
        pass


def states_at(run: Any, steps: int) -> Any:
    """Copies of the states of a run after so many steps, as its layer takes `initial`.

    Examples
    --------
    >>> import pylstm
    >>> run = pylstm.GRU(2, 4, num_layers=2)(np.ones((5, 3, 2), "float32"))
    >>> [states["h"].shape for states in states_at(run, 2)]
    [(3, 4), (3, 4)]
    """
    if isinstance(run.layer, Stack):
        return [states_at(each, steps) for each in run.layers]
    axis = 1 if run.layer.batch_first and run.y.ndim == 3 else 0
    return {name: np.array(np.take(states, steps, axis)) for name, states in run.states.items()}


def _cut(values: Any, piece: tuple[slice, ...]) -> Any:
    """The steps of a window, of per-step inputs by name or by layer."""
    if isinstance(values, dict):
        return {name: _cut(value, piece) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_cut(value, piece) for value in values]
    return None if values is None else values[piece]
