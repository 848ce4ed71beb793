"""What is wrong with the times of a column or an index, in words that name the cure."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.data.digits import DateError

COUNTED = ", or, where these numbers count steps, pass freq=1"
"""Cure of a number among months that is none."""
SAME = "keep one of them, y[~y.index.duplicated()]"
SORTED = "sort the rows (y.sort_index()), or pass y.to_numpy()"
NONE = ("NoneType", "NaTType", "NAType")


def missing_rows(column: Any) -> np.ndarray:
    """Which rows have no time: None, NaN, NaT, or a text without letters."""
    for name in ("isna", "is_null"):  # of pandas, of polars
        if hasattr(column, name):
            found = np.asarray(getattr(column, name)(), bool)
            break
    else:
        found = np.zeros(len(column), bool)
    values = np.asarray(column) if found.all() or getattr(column, "dtype", None) is None or _plain(column) else None
    if values is None or found.all():
        return found
    if values.dtype.kind in "mM":
        return found | np.isnat(values)
    if values.dtype.kind == "f":
        return found | np.isnan(values)
    if values.dtype.kind in "OUT":
        return found | np.array([_is_missing(each) for each in values.tolist()], bool)
    return found


def _plain(column: Any) -> bool:
    """Whether it is an array of NumPy, or becomes one in no time: no dates of a time zone, no periods."""
    dtype = getattr(column, "dtype", None)
    return not (hasattr(dtype, "tz") or hasattr(dtype, "freq"))


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return type(value).__name__ in NONE or (isinstance(value, float) and value != value)


def refuse_missing(name: Any, column: Any, library: str) -> None:
    """Refuse a column of times of which rows have none.

    Raises
    ------
    ValueError
    """
    missing = missing_rows(column)
    if not missing.any():
        return
    if missing.all():
        raise ValueError(f"the column {name!r} has no time in any row: name another, time=..., or leave time out")
    if library == "X":
        raise ValueError(f"the column {name!r} of X has no time in row {_which(missing)}: write it there")
    cure = {"pandas": f": frame.dropna(subset=[{name!r}])", "polars": f": frame.drop_nulls({name!r})"}
    raise ValueError(
        f"the column {name!r} has no time in row {_which(missing)}: write it there, or leave the row out"
        f"{cure.get(library, '')}"
    )


def _which(missing: np.ndarray) -> str:
    rows = np.flatnonzero(missing)
    return str(rows[0]) if len(rows) == 1 else f"{rows[0]} and {len(rows) - 1} more"


def refuse_missing_index(index: Any) -> None:
    """Refuse an index of pandas of which rows have no date or number.

    Raises
    ------
    ValueError
    """
    missing = missing_rows(index)
    if not missing.any():
        return
    if missing.all():
        raise ValueError("the index of y has no time in any row: y.reset_index(drop=True) numbers the rows")
    raise ValueError(
        f"the index of y has no time in row {_which(missing)}: write it there, or leave the row out, y[y.index.notna()]"
    )


def refuse_zones(values: list[Any]) -> None:
    """Refuse dates of Python that have time zones, of which NumPy knows nothing.

    Raises
    ------
    DateError
    """
    zones = [getattr(each, "tzinfo", None) for each in values]
    first = next((k for k, zone in enumerate(zones) if zone is not None), None)
    if first is None:
        return
    cure = "pandas.to_datetime(column, utc=True) takes all as of UTC"
    bare = next((k for k, zone in enumerate(zones) if zone is None), None)
    if bare is not None:
        raise DateError(
            bare, f"{values[bare]} has no time zone, and {values[first]} has one: write one to each; {cure}"
        )
    other = next((k for k, zone in enumerate(zones) if zone != zones[first]), None)
    if other is None:
        raise DateError(first, f"{values[first]} is a date of Python with a time zone: {cure}")
    raise DateError(other, f"{values[other]} has another time zone than {values[first]}: {cure}")


def refuse_other_times(where: str, fitted: Any, given: Any, column: Any) -> None:
    """Refuse times of another kind than those of a fit: numbers for dates, dates for numbers.

    Parameters
    ----------
    where : str
        The column or the index.
    fitted, given : Clock
    column : Series, Index or array
        The times as they were given.

    Raises
    ------
    ValueError
    """
    if fitted.family == given.family:
        return
    first = next(iter(column))
    raise ValueError(
        f"{where} must hold {fitted.what}, as in the fit, got {given.what}, the first {first}: write the times as "
        "those of the fit"
    )


def check_periods(index: Any) -> None:
    """Refuse periods that do not follow each other.

    Raises
    ------
    ValueError
    """
    size, apart = index.freq.n, np.diff(index.astype("int64").to_numpy())
    if (apart == size).all():
        return
    row = int(np.argmax(apart != size)) + 1
    text = f"the index of y must have every period once, in order: {index[row]} is after {index[row - 1]}; "
    if apart[row - 1] == 0:
        raise ValueError(text + SAME)
    if (apart < 0).any():
        raise ValueError(text + SORTED)
    raise ValueError(text + "put absent ones in (Forecaster(fill='linear')), or pass y.to_numpy()")


def refuse_other_index(fitted: str, given: str, first: Any) -> None:
    """Refuse a history of other times than the fit: numbers for dates, dates for numbers; not rows without an index.

    Parameters
    ----------
    fitted, given : str
        What they hold; nothing where that is no times.
    first : Any
        The first time.

    Raises
    ------
    ValueError
    """
    families = ["dates" if "such as" in each else each for each in (fitted, given)]
    if all(families) and families[0] != families[1]:
        raise ValueError(
            f"the index of history must hold {fitted}, as in the fit, got {given}, the first {first}: write the times "
            "as those of the fit, or pass history.reset_index(drop=True)"
        )
