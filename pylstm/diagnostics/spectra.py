"""Jacobians of the steps of a run, the Lyapunov exponents of their products, and states at which a step stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pylstm.checks import Array, as_array, check_array, check_names, check_size
from pylstm.diagnostics.checks import check_run
from pylstm.layers import Recurrent, Run
from pylstm.layers.runs.steps import jacobians_of

AT_ONCE = 1 << 20
"""Numbers of the Jacobians that are held at a time, however long the run is."""


def jacobians(run: Run, *, direct: bool = False) -> Array:
    """The derivative of the states after every step with respect to those before it, by all paths.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    direct : bool
        Along the direct path alone, without what comes through a matrix that multiplies a state; of the memory c of an
        LSTM the forget gate. A matrix that multiplies what is made within the step stays, such as ``weight_rh`` of
        ``"gru_reset_before"``, times r * h.

    Returns
    -------
    ndarray, shape (T, B, N, N)
        ``[t, b, i, j]``: of unit i after step t by unit j before it, the states of the cell side by side (N units, in
        the order of ``run.states``). (T, N, N) of a single sequence, (B, T, N, N) with `batch_first`. 0 beyond the end
        of a row. The product of the matrices of several steps, the last first, is the derivative across them.

    Raises
    ------
    TypeError
        The run of a stack or two directions; `direct` is no bool.
    RuntimeError
        A run without a tape, or parameters that have changed since.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import jacobians
    >>> layer = pylstm.RNN(2, 3, dtype="float64", seed=0)
    >>> run = layer(np.ones((6, 1, 2)))
    >>> truth = (1 - run.y[3, 0] ** 2)[:, None] * layer.params["weight_h"]
    >>> bool(np.allclose(jacobians(run)[3, 0], truth, atol=1e-15))
    True
    """
    check_run(run)
    return run.jacobians(direct=direct)


def _each_jacobian(run: Run, count: int) -> Iterator[Array]:
    """Step by step, computed for `count` steps at a time."""
    for first in range(0, run._T, count):
        yield from jacobians_of(run, first=first, count=count)


def lyapunov_spectrum(run: Run, *, exponents: int | None = None, skip: int = 0) -> Array:
    """Mean rates at which small differences of the states grow along a run, the largest first.

    The product of the Jacobians is factored step by step, Q R = J Q: the logarithms of the diagonal of R add up
    (Benettin, Galgani, Giorgilli and Strelcyn, 1980).

    Parameters
    ----------
    run : Run
        Of one layer, with a tape; rows of equal length.
    exponents : int, optional
        How many; default all N.
    skip : int, optional
        Steps at the start that turn the directions, but do not count.

    Returns
    -------
    ndarray of float64, shape (B, exponents)
        Per step, natural logarithms. Above 0: chaos.

    Raises
    ------
    TypeError, ValueError
        The run of a stack; rows that end early; more exponents than units; no step left after `skip`.
    RuntimeError
        A run without a tape, or parameters that have changed since.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import lyapunov_spectrum
    >>> run = pylstm.RNN(2, 3, dtype="float64", seed=0)(np.ones((50, 1, 2)))
    >>> bool((lyapunov_spectrum(run) < 0).all())
    True
    """
    if getattr(run, "lengths", None) is not None:
        raise ValueError("lyapunov_spectrum needs rows of one length: run them without lengths")
    check_run(run)
    T, B, N = run._T, run._B, sum(run.layer.widths[name] for name in run.layer.cell.contract.states)
    count = N if exponents is None else check_size("exponents", exponents)
    if count > N:
        raise ValueError(f"exponents must be at most {N}, the units of the states, got {count}")
    if not 0 <= check_size("skip", skip, 0) < T:
        raise ValueError(f"skip must leave a step of {T}, got {skip!r}")
    Q = np.broadcast_to(np.eye(N)[:, :count], (B, N, count))
    total = np.zeros((B, count))
    for t, J in enumerate(_each_jacobian(run, max(1, AT_ONCE // max(1, B * N * N)))):
        Q, R = np.linalg.qr(J @ Q)
        if t >= skip:
            with np.errstate(divide="ignore"):  # a direction that is lost at once: -inf
                total += np.log(np.abs(np.diagonal(R, axis1=1, axis2=2)))
    found: Array = total / (T - skip)
    return found


def fixed_points(
    layer: Any, starts: dict[str, Any], x: Any = None, *, tolerance: float = 1e-10, steps: int = 50
) -> tuple[dict[str, Array], Array, Array]:
    """States at which one step of a layer stays, from several starts at once, by Newton's method.

    Sussillo and Barak (2013), Opening the black box.

    Parameters
    ----------
    layer : Recurrent
        One layer, best in float64.
    starts : dict of str to array_like, shape (B, width)
        Where to begin, such as states of a run; all states.
    x : array_like, shape (input_size,), optional
        The input at which it stays; default 0.
    tolerance : float
        Largest change of a unit in a step at which a point counts as found.
    steps : int
        Most steps of Newton's method.

    Returns
    -------
    states : dict of str to ndarray, shape (B, width)
    change : ndarray, shape (B,)
        Largest change of a unit in a step from there: below `tolerance` where a point was found.
    jacobian : ndarray, shape (B, N, N)
        Of the step, there: its eigenvalues tell whether the point is stable.

    Raises
    ------
    TypeError
        Not one layer; an array of another dtype than the layer's.
    ValueError
        A state is missing or has another shape; a cell that needs aux inputs.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import fixed_points
    >>> layer = pylstm.GRU(2, 3, dtype="float64", seed=0)
    >>> states, change, jacobian = fixed_points(layer, {"h": np.zeros((4, 3))})
    >>> bool((change < 1e-10).all()), bool((abs(np.linalg.eigvals(jacobian)) < 1).all())
    (True, True)
    """
    at, x = _starts(layer, starts, x)
    names = layer.cell.contract.states
    ends, identity = np.cumsum([layer.widths[name] for name in names]), np.eye(at.shape[1])
    for left in reversed(range(check_size("steps", steps) + 1)):
        states = {name: np.ascontiguousarray(part) for name, part in zip(names, np.split(at, ends[:-1], axis=-1))}
        run = layer(x, states)
        gap = np.concatenate([run.final[name] for name in names], -1) - at
        change, J = np.abs(gap).max(axis=1), jacobians_of(run)[0]
        moving = (change > tolerance) & np.isfinite(J).all(axis=(1, 2))
        if left == 0 or not moving.any():
            break
        # the least of the moves, where some units stay as they are
        moves = np.linalg.pinv(identity - J[moving]) @ gap[moving][..., None]
        at = at.copy()
        at[moving] += moves[..., 0]
    return states, change, J


def _starts(layer: Any, starts: Any, x: Any) -> tuple[Array, Array]:
    """All starts with the states side by side, and the input of each as a step."""
    if not isinstance(layer, Recurrent):
        raise TypeError(f"fixed_points takes one layer, such as stack.layers[0], got {type(layer).__name__}")
    names = layer.cell.contract.states
    check_names("starts", starts, names)
    if missing := [name for name in names if name not in starts]:
        raise ValueError(
            f"starts has no {', '.join(missing)}: pass arrays (B, width) of all states, {', '.join(names)}"
        )
    first = as_array(f"starts[{names[0]!r}]", starts[names[0]])
    if first.ndim != 2:
        raise ValueError(f"starts[{names[0]!r}] must have shape (B, {layer.widths[names[0]]}), got {first.shape}")
    B = len(first)
    arrays = [check_array(f"starts[{name!r}]", starts[name], (B, layer.widths[name]), layer.dtype) for name in names]
    one = (
        np.zeros(layer.input_size, layer.dtype) if x is None else check_array("x", x, (layer.input_size,), layer.dtype)
    )
    rows = np.ascontiguousarray(np.broadcast_to(one, (B, layer.input_size)))
    return np.concatenate(arrays, -1), rows[:, None] if layer.batch_first else rows[None]
