"""Checks of X for the estimators: flat rows, an array with steps, or sequences of different lengths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import validate_data

from pylstm.checks import quoted
from pylstm.data.finite import first_not_finite
from pylstm.data.sequences import Rows as Rows
from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, lazily, stored
from pylstm.estimators.sequences.hidden import refuse_masked, refuse_times
from pylstm.estimators.sequences.refusing import refuse_other

if TYPE_CHECKING:
    from pylstm.arrays import HasArray

RowsOrBatches: TypeAlias = "Rows | Iterable[Any] | Callable[[], Iterable[Any]]"

Labels: TypeAlias = "HasArray | PathLike[str] | Sequence[Any]"

Columned: TypeAlias = "HasArray | Sequence[Any] | Mapping[Any, Any]"
"""Series, or a table of them."""

FLOATS = [np.float64, np.float32]

ROWS, STEPS = "rows", "steps"
"""Forms of X: (N, F), whose rows are cut into steps, and all others, which have steps."""


def take(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as an array (N, T, I), `Sequences` or `Stored` rows, checked; sets or compares what is known of its features.

    Parameters
    ----------
    estimator : BaseEstimator
        With `features_per_step`. With `reset` it gets ``n_features_in_``, ``n_step_features_``, ``input_form_`` and,
        where the columns have names, ``feature_names_in_``.
    X : array_like (N, F) or (N, T, I), DataFrame, Sequences, or list of array_like or DataFrames (T_i, I)
        Of numbers. A row of F numbers is read as steps of `features_per_step` numbers. Also what `unpacked` takes.
    reset : bool
        Whether this is a fit.

    Raises
    ------
    TypeError, ValueError
        Not numbers, not finite, sparse, empty; other features than those of the fit.
    """
    refuse_other(X)
    X = _lazily(X)
    if isinstance(X, Stored):
        return _take_stored(estimator, X, reset)
    if hasattr(X, "__len__") and not isinstance(X, str | bytes) and not len(X):
        raise ValueError("X has no sequences (0 sample(s)), a minimum of 1 is required: pass at least one")
    with explained_values("X", X):
        return _take_present(estimator, X, reset)


@contextmanager
def explained_values(name: str, values: Any) -> Iterator[None]:
    """Scikit-learn's words for a value that is not finite, with its place, and what to do in place of its advice."""
    try:
        yield
    except ValueError as error:
        if name == "X" and "could not convert string to float" in str(error):
            raise ValueError(_text_in(values)) from None
        found = _NOT_FINITE.match(str(error))
        if found is None:
            raise
        at = None
        with suppress(TypeError, ValueError):
            at = first_not_finite(np.asarray(values, "float64"))
        place = "" if at is None else f", first at index {at[0] if len(at) == 1 else at}"
        cure = "fill the gaps, or leave such sequences out" if name == "X" else "leave such sequences out"
        raise ValueError(f"{found[1] or name} contains {found[2]}{place}: {cure}") from None


def _text_in(X: Any) -> str:
    """What to say of an X that holds text."""
    frames = [(f"X[{k}]", each) for k, each in enumerate(X)] if isinstance(X, list | tuple) else [("X", X)]
    for which, frame in frames:
        for name in getattr(frame, "columns", ()):
            column = np.asarray(frame[name])
            text = next((each for each in column.tolist() if isinstance(each, str)), None)
            if column.dtype.kind in "OUST" and text is not None:
                cure = ", pandas.get_dummies(X) one column for each of its values" if hasattr(X, "iloc") else ""
                return (
                    f"{which}: the column {name!r} holds text, such as {quoted(text)}: leave it out, or make numbers "
                    f"of it{cure}"
                )
    text = next((each for each in np.asarray(X, object).ravel().tolist() if isinstance(each, str)), "")
    return f"X must be numbers, but holds text, such as {quoted(text)}: leave it out, or make numbers of it"


_NOT_FINITE = re.compile(r"Input (?:(\S+) )?contains (NaN|infinity)")


def _take_present(estimator: Any, X: Any, reset: bool) -> Any:
    """`take` of what is in memory."""
    X = unpacked(X)
    refuse_masked("X", X)
    refuse_times("X", X)
    if np.isscalar(X):
        raise ValueError(f"X must be sequences, an array (N, T, I) or a list of arrays (T, I), got {quoted(X)}")
    several = _sequences_of(X)
    if several is not None:
        names = _common_names(several)
        taken = _ragged(several, estimator.features_per_step)
    elif _ndim(X) == 3:
        names, taken = None, check_array(X, dtype=FLOATS, allow_nd=True, estimator=estimator, input_name="X")
    else:
        return _take_rows(estimator, X, reset)
    width = taken.shape[2]
    if reset:
        _forget(estimator)
        estimator.input_form_, estimator.n_features_in_, estimator.n_step_features_ = STEPS, width, width
        if names is not None:
            estimator.feature_names_in_ = np.array(names, dtype=object)
    elif estimator.input_form_ == STEPS:
        _compare_names(estimator, names)
    _compare_width(estimator, width)
    return taken


def _lazily(X: Any) -> Any:
    """X as `lazily` has it; what is read must be finite, so that a message has the number of the row in the file."""
    found = stored(X)
    return lazily(X if found is None or found.dtype.kind != "f" else found.finite("X"))


def _take_stored(estimator: Any, X: Stored, reset: bool) -> Stored:
    """Rows that are not in memory: checked for NaN when they are read."""
    if X.ndim not in (2, 3) or X.dtype.kind not in "biuf":
        raise ValueError(f"X must be numbers of shape (N, F) or (N, T, I), got {X.dtype} of shape {X.shape}")
    form, width, found = STEPS if X.ndim == 3 else ROWS, X.shape[-1], X.finite("X")
    if reset:
        _forget(estimator)
        estimator.input_form_, estimator.n_features_in_ = form, width
    elif form == ROWS == estimator.input_form_ and width != estimator.n_features_in_:
        raise ValueError(
            f"X has {width} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input"
        )
    if form == ROWS:
        size = _width_of_steps(estimator, width)
        found = found.changed(lambda rows: rows.reshape(len(rows), -1, size), (width // size, size), X.dtype)
    if reset:
        estimator.n_step_features_ = found.shape[2]
    _compare_width(estimator, found.shape[2])
    return found


def _width_of_steps(estimator: Any, width: int) -> int:
    size: int = estimator.features_per_step
    if width % size:
        raise ValueError(f"the number of features of X must be a multiple of features_per_step={size}, got {width}")
    return size


def _take_rows(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """Flat rows, cut into steps."""
    if reset:
        _forget(estimator)
    if reset or estimator.input_form_ == ROWS:
        X = validate_data(estimator, X, dtype=FLOATS, reset=reset)
    else:
        X = check_array(X, dtype=FLOATS, estimator=estimator, input_name="X")
    size = _width_of_steps(estimator, X.shape[1])
    if reset:
        estimator.input_form_, estimator.n_step_features_ = ROWS, size
    _compare_width(estimator, size)
    return X.reshape(len(X), -1, size)


def _forget(estimator: Any) -> None:
    for name in ("feature_names_in_", "n_features_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def _compare_width(estimator: Any, width: int) -> None:
    if width != estimator.n_step_features_:
        raise ValueError(
            f"X has {width} features at a step, but {type(estimator).__name__} is expecting "
            f"{estimator.n_step_features_} features at a step as input"
        )


def _compare_names(estimator: Any, names: list[str] | None) -> None:
    fitted = getattr(estimator, "feature_names_in_", None)
    if names is not None and fitted is not None and list(fitted) != names:
        raise ValueError(
            f"The feature names should match those that were passed during fit: {list(fitted)}, got {names}"
            f"{in_this_order('each', list(fitted), names)}"
        )


def _ndim(X: Any) -> int:
    if hasattr(X, "ndim"):
        return X.ndim
    try:
        return np.asarray(X).ndim
    except ValueError:  # nested lists of no common shape: `check_array` says what is wrong
        return 2


def unpacked(X: Any) -> Any:
    """Lists of arrays in place of a Series of arrays or lists, and of a frame whose cells are Series.

    Examples
    --------
    >>> unpacked(np.array([[1.0, 2.0]])).shape
    (1, 2)
    """
    if hasattr(X, "columns") and hasattr(X, "dtypes") and getattr(X, "ndim", 2) == 2 and len(X) and len(X.columns):
        columns = [_cells(X[name]) for name in X.columns]
        if all(each is not None for each in columns):
            return [np.stack([np.asarray(cell) for cell in row], axis=1) for row in _rows_of(columns)]
        return X
    cells = None if isinstance(X, np.ndarray | list | tuple | Sequences) else _cells(X)
    return X if cells is None else [_of_numbers(each) for each in cells]


def _of_numbers(cell: Any) -> Any:
    """An array in place of a list of numbers."""
    flat = isinstance(cell, list | tuple) and not any(hasattr(each, "__len__") for each in cell)
    return np.asarray(cell) if flat else cell


def _cells(column: Any) -> list[Any] | None:
    """Sequences in the cells of a Series; None where these are single values."""
    if not hasattr(column, "dtype") or not hasattr(column, "to_list") or not len(column):
        return None
    first = next(iter(column))
    return list(column) if hasattr(first, "__len__") and not isinstance(first, str | bytes) else None


def _rows_of(columns: list[Any]) -> Any:
    for k, row in enumerate(zip(*columns)):
        if len({len(cell) for cell in row}) > 1:
            raise ValueError(f"the cells of row {k} must have one length, got {[len(cell) for cell in row]} steps")
        yield row


def _arrays(X: Any) -> Any:
    """Arrays in place of lists of numbers, where these differ in length."""
    if not all(isinstance(each, list | tuple | np.ndarray) for each in X) or all(hasattr(each, "shape") for each in X):
        return X
    found = []
    for k, each in enumerate(X):
        try:
            found.append(np.asarray(each))
        except ValueError:
            raise ValueError(f"X[{k}] must have shape (T,) or (T, I), but its steps differ in their widths") from None
    shapes = {each.shape for each in found}
    numbers = all(each.dtype.kind in "biuf" or not each.size for each in found)
    return found if numbers and len(shapes) > 1 and len({len(shape) for shape in shapes}) == 1 else X


def _sequences_of(X: Any) -> list[Any] | None:
    """The single sequences, where X holds them one by one."""
    if isinstance(X, Sequences):
        return X.rows()
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if isinstance(X, list | tuple) and len(X):
        X = _arrays(X)
    if not isinstance(X, list | tuple) or not len(X) or not all(hasattr(each, "shape") for each in X):
        return None
    if all(len(each.shape) == 2 for each in X):
        return list(X)
    return list(X) if all(len(each.shape) == 1 for each in X) else None


def _ragged(several: list[Any], size: int) -> np.ndarray | Sequences:
    """One array where all have the same number of steps, otherwise `Sequences`."""
    arrays = [
        check_array(
            each, dtype=FLOATS, ensure_2d=False, ensure_min_samples=0, ensure_min_features=0, input_name=f"X[{k}]"
        )
        for k, each in enumerate(several)
    ]
    if not arrays:
        raise ValueError("Found array with 0 sample(s) (no sequences) while a minimum of 1 is required.")
    arrays = [each.reshape(-1, size) if each.ndim == 1 else each for each in arrays]
    widths = {each.shape[1] for each in arrays if each.ndim == 2}
    if len(widths) != 1 or any(each.ndim != 2 for each in arrays):
        raise ValueError(
            f"the sequences must be (T, I) with one I, got shapes {sorted({each.shape for each in arrays})}"
        )
    if len({len(each) for each in arrays}) == 1 and len(arrays[0]):
        return np.stack(arrays)
    return Sequences.of(arrays, dtype=np.result_type(*arrays))


def _common_names(several: list[Any]) -> list[str] | None:
    """Names of the columns of data frames; all must have the same."""
    columns: list[Any] = [getattr(each, "columns", None) for each in several]
    if not columns or any(each is None for each in columns):
        return None
    lists = [list(each) for each in columns]
    if any(each != lists[0] for each in lists):
        number = next(k for k, each in enumerate(lists) if each != lists[0])
        cure = in_this_order(f"X[{number}]", lists[0], lists[number])
        raise ValueError(
            f"all data frames must have the same columns: {lists[0]}, got {lists[number]} in X[{number}]{cure}"
        )
    return lists[0] if all(isinstance(name, str) for name in lists[0]) else None


def in_this_order(name: str, wanted: list[Any], got: list[Any]) -> str:
    """The cure of a frame that has the columns in another order; nothing where it has others."""
    return f": {name}[{wanted}] has them in this order" if sorted(map(str, wanted)) == sorted(map(str, got)) else ""


def seed_of(random_state: Any) -> int:
    """The seed of a fit: drawn from `random_state`, the same for the same integer.

    Raises
    ------
    ValueError
        What scikit-learn takes for no random state, and a bool.
    """
    try:
        if isinstance(random_state, bool | np.bool_):
            raise ValueError
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise ValueError(
            f"random_state must be an integer in 0..2**32 - 1, None or a numpy.random.RandomState, got "
            f"{quoted(random_state)}"
        ) from None
