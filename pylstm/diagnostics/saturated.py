"""`saturation`: gates that stand at an end of the range of their activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells.formula.ranges import ranges
from pylstm.checks import Array
from pylstm.diagnostics.checks import check_run
from pylstm.layers import Run
from pylstm.layers.inputs.saturated import NEAR, GateSaturation, check_threshold, inner_ends
from pylstm.layers.runs.steps import by_step

__all__ = ["GateSaturation", "ranges", "saturation"]


def saturation(run: Any, threshold: float | None = None) -> dict[str, GateSaturation]:
    """How often the gates of a run stand at an end of the range of their activation, where they pass no gradient.

    Parameters
    ----------
    run : Run or Stream
        Of one layer: with a tape, or made with ``saturation=True``, so that the loop has counted.
    threshold : float, optional
        How near the end, as a share of the range: with 0.05 a sigmoid below 0.05 or above 0.95, a tanh below -0.9 or
        above 0.9. Where the range has no upper end, such as that of a relu, a value counts that is the lower end
        itself: a relu is 0 at some steps, and dead where it is at all. Default: what the run was made with, else 0.05.

    Returns
    -------
    dict of str to GateSaturation
        Gate -> its shares, in the order of the gates. A gate without a bounded activation has none: what the cell
        leaves of it is its pre-activation, a quotient, or the cell is no formula.

    Raises
    ------
    TypeError, ValueError
        The run of a stack or two directions; a threshold that is not between 0 and 0.5, or not that of a stream, or of
        a run without a tape, that counts.
    RuntimeError
        A run without a tape, or a stream, that does not count.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import saturation
    >>> layer, x = pylstm.LSTM(2, 4, seed=0).initialise("gate_bias", "f", 9.0), np.ones((6, 1, 2), "float32")
    >>> found = saturation(layer(x))
    >>> list(found), float(found["f"].high.mean()), float(found["i"].high.mean())
    (['i', 'f', 'g', 'o'], 1.0, 0.0)
    >>> float(saturation(layer(x, tape=False, saturation=True))["f"].high.mean())
    1.0
    """
    stream = hasattr(run, "counted")
    counts = run.counted if stream else run._given.counts if isinstance(run, Run) else None
    if threshold is None:
        threshold = NEAR if counts is None else counts.threshold
    check_threshold("threshold", threshold)
    if counts is not None and counts.threshold == threshold:
        found: dict[str, GateSaturation] = counts.shares()
        return found
    if counts is not None and (stream or not _has_tape(run)):
        kind, call = ("stream", f"layer.stream({run.batch_size}, ") if stream else ("run", "layer(x, ")
        raise ValueError(
            f"threshold is {threshold}, but this {kind} counts at {counts.threshold}: leave out threshold, or make the "
            f"{kind} with that one, {call}saturation={threshold})"
        )
    if stream:
        raise RuntimeError(
            "this stream does not count, nor does a fork of one that does: make one that goes on from here, other = "
            f"layer.stream({run.batch_size}, saturation={threshold}); other.restore(stream.snapshot())"
        )
    return _from_tape(run, threshold)


def _has_tape(run: Any) -> bool:
    try:
        check_run(run)
    except RuntimeError:
        return False
    return True


def _from_tape(run: Any, threshold: float) -> dict[str, GateSaturation]:
    try:
        check_run(run)
    except RuntimeError as error:
        raise RuntimeError(f"{error}, or with saturation={threshold}") from None
    lengths, found = getattr(run, "lengths", None), {}
    inside = np.ones((run._T, run._B), bool) if lengths is None else np.arange(run._T)[:, None] < lengths
    for name, ends in ranges(run.layer.cell).items():
        values = by_step(run, run.gates[name])[inside]
        low, high = inner_ends(ends, threshold)
        found[name] = GateSaturation(ends, *(_mean(each) for each in (values <= low, values >= high)))
    return found


def _mean(flags: np.ndarray) -> Array:
    found: Array = flags.mean(axis=0) if len(flags) else np.zeros(flags.shape[1])
    return found
