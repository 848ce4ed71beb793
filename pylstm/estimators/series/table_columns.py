"""Columns of a table: their names, ids and numbers, or what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.wording import with_article


def names_of(frame: Any) -> list[Any]:
    """Names of the columns."""
    if hasattr(frame, "collect_schema") and hasattr(frame, "collect"):
        raise TypeError("a LazyFrame of polars has no rows yet: pass frame.collect()")
    if hasattr(frame, "column_names") and hasattr(frame, "to_pandas"):
        raise TypeError("a Table of pyarrow is not read: pass table.to_pandas(), or polars.from_arrow(table)")
    if not isinstance(frame, dict) and not hasattr(frame, "columns"):
        first = frame[0] if isinstance(frame, list | tuple) and len(frame) else None
        cure = ": pandas.DataFrame(rows) makes one" if isinstance(first, dict) else ""
        if hasattr(frame, "reset_index"):
            cure = ": y.reset_index() makes one"
        if hasattr(first, "columns"):
            cure = ": put them below each other, with a column of their ids, id=..."
        what = f"a list of {type(first).__name__}s" if hasattr(first, "shape") else quoted(frame)
        what = f"{with_article(type(frame).__name__)} {frame.shape}" if hasattr(frame, "shape") else what
        raise TypeError(f"with id= or time= a DataFrame or a dict of columns is needed, got {what}{cure}")
    return list(getattr(frame, "columns", frame))


def check_columns(columns: Any, names: list[Any], index: Any = (), fitted: bool = False) -> None:
    """Refuse columns that are not there, are named twice, or leave none to forecast; `fitted`: those that a fit had."""
    given = [each for each in (columns.id, columns.time) if each is not None]
    given += [*columns.target, *columns.known, *columns.static]
    for k, name in enumerate(given):
        if name not in names:
            cure = f": frame.reset_index() makes a column of the index {name!r}" if name in index else ""
            known = ", ".join(map(str, names))
            if fitted:
                raise ValueError(
                    f"the table must have the columns of the fit, {name!r} is missing (it has {known}){cure}"
                )
            raise ValueError(f"unknown column {name!r} (known: {known}){cure}")
        if name in given[:k]:
            raise ValueError(f"the column {name!r} is named twice")
    if not columns.target:
        raise ValueError("no column is left to forecast: target=[...] names it")


def owner_of(name: Any, column: Any) -> np.ndarray:
    """The id of each row."""
    found = np.asarray(column)
    if found.dtype.kind not in "iub" and any(each is None or each != each for each in found.tolist()):
        raise ValueError(f"the column {name!r} has a row without an id")
    return found


def numbers_of(frame: Any, columns: Any) -> np.ndarray:
    """Columns (rows, columns) of numbers."""
    found = []
    for name in columns:
        column = np.asarray(frame[name])
        if column.dtype.kind in "mM":
            raise TypeError(f"the column {name!r} holds dates: time={name!r} says so")
        if column.dtype.kind == "c":
            raise TypeError(f"the column {name!r} holds complex numbers: make columns of real and imaginary part")
        try:
            found.append(column.astype("float64"))
        except (TypeError, ValueError):
            raise TypeError(
                f"the column {name!r} must hold numbers: target=[...] names what is forecast, known=[...] and "
                "static=[...] inputs"
            ) from None
    return np.stack(found, axis=1)


def ahead_of(frame: Any, columns: Any, ids: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Known inputs of a table of steps to come, and the id of each row.

    Raises
    ------
    ValueError
        A column is not there, a value is missing, a series was not in the fit.
    """
    names = names_of(frame)
    for name in (*columns.known, *([] if columns.id is None else [columns.id])):
        if name not in names:
            raise ValueError(f"X must have the columns of the fit, {name!r} is missing")
    values = numbers_of(frame, columns.known)
    gaps = np.argwhere(np.isnan(values))
    if len(gaps):
        raise ValueError(f"row {gaps[0][0]} of X, column {columns.known[gaps[0][1]]!r}: a missing value: fill it")
    if columns.id is None:
        return values, np.zeros(len(values), int)
    owner = owner_of(columns.id, frame[columns.id])
    other = next((each for each in owner.tolist() if each not in ids), None)
    if other is not None:
        raise ValueError(f"X has rows of the series {other!r}, which the fit did not have: leave them out")
    return values, owner


def static_of(frame: Any, columns: Any, panel: Any, ids: list[Any], fitted: Any) -> tuple[np.ndarray, dict[Any, Any]]:
    """Numbers (S, F) of the static columns, of others one for each of their values; and these values.

    Parameters
    ----------
    frame : DataFrame or dict
    columns : Columns
    panel : Panel
    ids : list
    fitted : Table, optional
        Of the fit, which has such values.

    Raises
    ------
    ValueError
        A missing value, or one that changes in a series, or that the fit did not have.
    """
    parts = [np.zeros((len(panel.values), 0))]
    levels: dict[Any, Any] = {}
    for name in columns.static:
        column = np.asarray(frame[name])
        each = []
        for k, rows in enumerate(panel.rows):
            own = column[rows]
            if empty := [k for k, value in enumerate(own.tolist()) if value is None or value != value]:
                raise ValueError(f"row {rows[empty[0]]}, column {name!r}: a missing value: a static column needs all")
            if any(value != own[0] for value in own.tolist()):
                of = f" of {ids[k]!r}" if ids else ""
                raise ValueError(f"the static column {name!r} must have one value in a series, it changes in that{of}")
            each.append(own[0])
        if column.dtype.kind in "iufb":
            levels[name] = None
            parts.append(np.array(each, "float64")[:, None])
            continue
        texts = [str(value) for value in each]
        levels[name] = sorted(set(texts)) if fitted is None else fitted.levels[name]
        if unknown := set(texts) - set(levels[name]):
            raise ValueError(
                f"the static column {name!r} must have values that the fit had, got {sorted(unknown)[0]!r}: leave such "
                "series out"
            )
        parts.append(np.array([[text == value for value in levels[name]] for text in texts], "float64"))
    return np.hstack(parts), levels
