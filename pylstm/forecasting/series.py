"""Series for forecasting: checked arrays, pairs of inputs and targets, windows, exogenous values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pylstm.data.finite import real_numbers, refuse_array
from pylstm.data.scaling import pack
from pylstm.data.stored import Stored, lazily
from pylstm.wording import warn

READ = 4_000_000
"""Values of arrays that are not in memory, the last ones, which are read; a fit takes about 80 bytes for each."""
LARGEST = 1e150
"""Largest magnitude of a series: squares of larger ones, of which errors are made, are infinite."""
SMALLEST = 1e-140
"""Smallest one of a series that is not 0: squares of its errors would be 0."""
WINDOWS = 8192
"""Windows to train on that are enough: many series are cut with a longer stride."""


def as_series(y: Any, joint: bool) -> tuple[list[np.ndarray], str]:
    """Series as float64 arrays (T_i, K), and the form they came in: "one", "columns" or "list".

    Parameters
    ----------
    y : array_like (T,) or (T, S), or list of arrays (T_i,)
        One series, S series side by side, or series of any lengths.
    joint : bool
        Whether the columns are K values of one series.

    Raises
    ------
    TypeError
        Not numbers.
    ValueError
        Another shape; no steps; values that are not finite.
    """
    form = "list"
    y = latest(y)
    if not (isinstance(y, list | tuple) and len(y) and np.ndim(y[0]) > 0):
        y = _numbers("y", y)
        if y.ndim not in (1, 2):
            raise ValueError(f"y must have shape (T,) or (T, S), or be a list of series, got {y.shape}")
        form = "one" if y.ndim == 1 else "columns"
        y = [y] if form == "one" or joint else list(y.T)
    arrays = [_numbers(f"series {number}", each) for number, each in enumerate(y)]
    for number, each in enumerate(arrays):
        where = f"series {number}" if len(arrays) > 1 else "y"
        if each.ndim != 1 and not (joint and each.ndim == 2):
            raise ValueError(f"{where} must have shape (T,){' or (T, K)' if joint else ''}, got {each.shape}")
        refuse_array(where, each, "fill the gaps, or cut the series there and pass a list")
        if not each.size:
            raise ValueError(f"{where} has no steps: each series needs at least one, leave those without any out")
        if (largest := max(-float(each.min()), float(each.max()))) > LARGEST:
            raise ValueError(
                f"the largest magnitude of {where} must be at most {LARGEST:g}, got {largest:.3g}: divide it"
            )
        if 0 < largest < SMALLEST:
            raise ValueError(
                f"the largest magnitude of {where} must be at least {SMALLEST:g}, got {largest:.3g}: multiply it"
            )
    if not arrays:
        raise ValueError("y has no series: at least one is needed")
    arrays = [each.reshape(len(each), -1) for each in arrays]
    if len({each.shape[1] for each in arrays}) > 1:
        raise ValueError(f"y must be series of equal widths, got {[each.shape for each in arrays]}")
    return arrays, form


def latest(y: Any) -> Any:
    """Series of which those that are not in memory are read from, the last `READ` values of all together."""
    return [_latest(each, len(y)) for each in y] if isinstance(y, list | tuple) else _latest(y, 1)


def _latest(values: Any, share: int) -> Any:
    """The last `READ` values, or this share of them, of an array that is not in memory; all of any other.

    Warns
    -----
    UserWarning
        There are more.
    """
    found = lazily(values) if hasattr(values, "shape") else values
    if not isinstance(found, Stored) or found.ndim > 2:
        return found
    steps = max(1, READ // share // max(1, *found.shape[1:], 1))
    if len(found) > steps:
        warn(
            f"of a series of {len(found)} steps that is not in memory the last {steps} are read: pass y[-n:], read "
            "into memory, for more"
        )
    return np.asarray(values[max(0, len(found) - steps) :])


def _numbers(name: str, values: Any) -> np.ndarray:
    return real_numbers(name, values, "numbers, an array (T,) or (T, S) or a list of arrays")


NINES = ("99", "999", "9999", "99999", "999999")
LIMITS = (32767, 2147483647, 1e20, 1e30, 1e36, -32768, -2147483648, -1e20, -1e30, -1e36)
CODES = np.array(
    [float(sign + each + tail) for each in NINES for tail in ("", ".9", ".99") for sign in "+-"] + [*LIMITS]
)
"""Numbers that stand for missing values in files of instruments, weather and climate."""
FEW = 8
"""Other values that a code is compared with, at least."""


def warn_of_values(series: Sequence[np.ndarray]) -> None:
    """Warn of values that may not be what they seem: codes of missing values, and a last one that stands alone.

    Warns
    -----
    UserWarning
    """
    warn_of_codes(series)
    warn_of_end(series)


def warn_of_codes(series: Sequence[np.ndarray]) -> None:
    """Warn of such numbers that lie further from all other values than these from one another.

    Warns
    -----
    UserWarning
        There are some, and where the first is.
    """
    for number, each in enumerate(series):
        for k in range(each.shape[1]):
            y = each[:, k]
            extreme = [float(y.min()), float(y.max())]
            for code in CODES[np.isclose(CODES[:, None], extreme, rtol=1e-6, atol=0).any(axis=1)]:
                here = np.isclose(y, code, rtol=1e-6, atol=0)
                others = y[~here & ~np.isclose(np.abs(y), abs(code), rtol=1e-6, atol=0)]
                if len(others) < FEW or not (low := others.min()) < (high := others.max()):
                    continue
                if code < low - (high - low) or code > high + (high - low):
                    of = "" if len(series) == 1 and each.shape[1] == 1 else f" of series {number}, column {k},"
                    warn(
                        f"{np.count_nonzero(here)} of {len(y)} values{of} are {code:g}, the first at step "
                        f"{int(here.argmax())}, and all others from {low:.6g} to {high:.6g}: where {code:g} stands for "
                        f"missing values, fill these gaps; of a CSV file, --missing {code:g} --interpolate does"
                    )
                    return


MANY, SUDDEN, ROUNDING = 20, 20.0, 1e-9
"""Values before the last one, how many times the largest step between them its own step is, for a warning, and what
share of the largest value is no step."""


def warn_of_end(series: Sequence[np.ndarray]) -> None:
    """Warn of a last value that lies far from the one before, or from a constant.

    Warns
    -----
    UserWarning
        Its step is more than `SUDDEN` times as large as the largest one before.
    """
    for number, each in enumerate(series):
        if len(each) <= MANY:
            continue
        steps = abs(np.diff(each, axis=0))
        before = steps[:-1].max(axis=0)
        least = np.maximum(SUDDEN * before, ROUNDING * abs(each).max(axis=0))
        for k in np.flatnonzero(steps[-1] > least):
            of = "" if len(series) == 1 and each.shape[1] == 1 else f" of series {number}, column {k}"
            says = (
                f"is {steps[-1, k]:.6g} from the one before, and no step before that is larger than {before[k]:.6g}"
                if np.ptp(each[:-1, k]) > ROUNDING * abs(each[-2, k])
                else f"differs from all {len(each) - 1} before it, which are {each[-2, k]:.6g}"
            )
            warn(
                f"the last value{of}, {each[-1, k]:.6g}, {says}: if it is an error, leave it out, as forecasts go on "
                "from it"
            )
            return


def pairs_of(z: np.ndarray, extra: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of the net, at every step that has `horizon` steps after it.

    Parameters
    ----------
    z : ndarray, shape (L, K)
    extra : ndarray, shape (L, M)
        Of the step that comes next.
    horizon : int

    Returns
    -------
    inputs : ndarray, shape (L - horizon, K + M)
        ``z_t`` and ``extra_{t+1}``.
    targets : ndarray, shape (L - horizon, horizon * K)
        ``z_{t+1}, ..., z_{t+horizon}``.
    """
    count = max(0, len(z) - horizon)
    targets = [z[k : k + count] for k in range(1, horizon + 1)]
    return np.hstack([z[:count], extra[1 : count + 1]]), np.hstack(targets)


def stride_of(window: int, lengths: Iterable[int]) -> int:
    """An eighth of a window; of many series so much that there are about `WINDOWS` windows, at most a whole one.

    Examples
    --------
    >>> stride_of(64, [500]), stride_of(24, [120] * 3000)
    (8, 24)
    """
    return max(1, window // 8, min(window, sum(lengths) // WINDOWS))


def training_spans(count: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Beginnings and ends of windows over `count` steps, the last one at the end.

    Examples
    --------
    >>> training_spans(10, 4, 4)
    [(0, 4), (4, 8), (6, 10)]
    """
    length = min(window, count)
    starts = [*range(0, count - length, stride), count - length]
    return [(start, start + length) for start in starts]


def validation_spans(first: int, count: int, window: int) -> list[tuple[int, int, int]]:
    """Windows (begin, from, end) that judge every step of ``first..count`` once, after half a window to read at least.

    Examples
    --------
    >>> validation_spans(6, 11, 4)
    [(4, 6, 8), (6, 8, 10), (7, 10, 11)]
    """
    half = max(1, window // 2)
    blocks = [(start, min(start + half, count)) for start in range(first, count, half)]
    return [(max(0, end - window), start, end) for start, end in blocks]


def _is_one_each(values: Any, lengths: list[int]) -> bool:
    """Whether they are a list of one array (T_i,) or (T_i, M) for each series."""
    if not isinstance(values, list | tuple) or not values:
        return False
    if np.ndim(values[0]) > 1:
        return True
    one_each = len(values) == len(lengths) > 1 and all(np.ndim(each) == 1 for each in values)
    return one_each and [len(each) for each in values] == lengths


def windows_of(
    pairs: list[Any], counts: list[int], window: int, stride: int, horizon: int, validated: bool, dtype: Any
) -> tuple[Any, Any]:
    """Data to train on, and to validate with weights of 0 where a window has only begun to read.

    Parameters
    ----------
    pairs : list of (inputs, targets)
        Of each series, as `pairs_of`.
    counts : list of int
        Of each series: pairs to train on.
    window, stride, horizon : int
    validated : bool
        Whether the other pairs validate.
    dtype : dtype
    """
    spans = [(k, *span) for k, count in enumerate(counts) for span in training_spans(count, window, stride)]
    train = tuple(pack([pairs[k][part][a:b] for k, a, b in spans], dtype) for part in (0, 1))
    if not validated:
        return train, None
    judged = [
        (k, *span)
        for k, count in enumerate(counts)  # the first forecast of a step behind the cut
        for span in validation_spans(count + horizon - 1, len(pairs[k][0]), window)
    ]
    data = [pack([pairs[k][part][a:b] for k, a, _, b in judged], dtype) for part in (0, 1)]
    masks = [(np.arange(a, b) >= first) for _, a, first, b in judged]
    return train, (*data, pack(masks, bool))


def as_extras(name: str, values: Any, count: int, width: int | None, lengths: Iterable[int]) -> list[np.ndarray]:
    """Exogenous values as one array (T_i, M) for each of `count` series; one array is for all of them.

    Raises
    ------
    ValueError
        Another number of arrays, of steps or of columns; values that are not finite.
    """
    lengths = list(lengths)
    if values is None:
        if width:
            raise ValueError(f"{name} is missing: this model was fitted with {width} exogenous values per step")
        return [np.zeros((length, 0)) for length in lengths]
    several = _is_one_each(values, lengths) or (isinstance(values, np.ndarray) and values.ndim == 3)
    arrays = [_numbers(name, each) for each in (values if several else [values] * count)]
    arrays = [each[:, None] if each.ndim == 1 else each for each in arrays]
    width = arrays[0].shape[1] if width is None else width
    if len(arrays) != count:
        raise ValueError(f"{name} must be one array for all series or {count} arrays, got {len(arrays)}")
    for each, length in zip(arrays, lengths):
        if each.shape != (length, width):
            raise ValueError(f"{name} must have shape {(length, width)}, got {each.shape}")
        refuse_array(name, each, "fill the gaps")
    return arrays
