"""`Frame`: the library, index and names of the series that a forecaster was given, for its forecasts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.panel import placed
from pylstm.estimators.series.index import Index, all_steps, name_of
from pylstm.schema import Entries

LIBRARIES = ("pandas", "polars", "dict")


@dataclass(frozen=True)
class Frame:
    """What a Series or DataFrame of pandas or polars is besides its numbers.

    Attributes
    ----------
    library : {"pandas", "polars"}
    columns : list or None
        Names of a DataFrame.
    name : str, number or None
        Of a Series.
    index : Index or None
        Of pandas.
    """

    library: str
    columns: list[Any] | None
    name: Any = None
    index: Index | None = None

    @classmethod
    def of(cls, y: Any, freq: Any = None, like: Any = None, other: bool = False) -> Any:
        """The frame of `y`, or of each where it is a list; None for arrays.

        Parameters
        ----------
        y : Any
        freq : str, number or offset of pandas, optional
        like : Frame or list of Frame, optional
            Of the fit, whose steps hold for the times of `y`.
        other : bool
            Whether they are other series, with times of any kind.

        Raises
        ------
        TypeError, ValueError
            As `Index.of`; a column of texts.
        """
        if isinstance(y, list | tuple):
            frames = [None] * len(y)
            for number, own in enumerate(likes(like, len(y))):
                if hasattr(y[number], "to_numpy"):
                    with called(f"y[{number}]"):
                        frames[number] = cls.of(y[number], freq, own, other)
            return frames if any(frames) else None
        if not hasattr(y, "to_numpy") or not (hasattr(y, "columns") or hasattr(y, "name")):
            return None
        pandas = hasattr(y, "index")
        columns = list(y.columns) if hasattr(y, "columns") else None
        if columns == []:
            raise ValueError("y must have at least one column, got none")
        check_numbers("y", y)
        own = likes(like, 1)[0]
        index = Index.of(y.index, freq, None if own is None else own.index, other) if pandas else None
        return cls("pandas" if pandas else "polars", columns, None if columns else y.name, index)

    def back(self, values: np.ndarray) -> Any:
        """Forecasts (n,) or (n, K) in the kind of the series, behind the end of its index."""
        library = imported(self.library)
        if self.index is None:
            if self.columns is None:
                return library.Series(self.name, values)
            return library.DataFrame(dict(zip(self.columns, values.reshape(len(values), -1).T)))
        index = self.index.future(len(values))
        if self.columns is not None:
            return library.DataFrame(values.reshape(len(values), -1), index=index, columns=self.columns)
        return library.Series(values, index=index, name=self.name)

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        index = None if self.index is None else self.index.metadata
        return {"library": self.library, "columns": self.columns, "name": self.name, "index": index}

    @classmethod
    def from_metadata(cls, says: Entries) -> Frame:
        """The inverse of `metadata`."""
        says.only(("library", "columns", "name", "index"))
        columns = None if says.get("columns") is None else says.list("columns", (str, int, float))
        index = None if says.get("index") is None else Index.from_metadata(says.entries("index"))
        library = says.text("library", LIBRARIES[:2])
        if (index is None) != (library == "polars"):
            says.refuse("must be there for pandas alone", says.get("index"), "index")
        return cls(library, columns, name_of(says, "name"), index)


def is_indexed(values: Any) -> bool:
    """Whether it is a Series or DataFrame of pandas."""
    return hasattr(values, "to_numpy") and hasattr(values, "index") and hasattr(values, "reindex")


def with_steps(values: Any, fill: str, freq: Any = None) -> Any:
    """A Series or DataFrame of pandas with the absent steps of its dates put in; without dates as it is."""
    found = all_steps(values.index, freq)
    if found is None:
        return values
    steps, index = found
    try:
        rows = np.asarray(values, "float64").reshape(len(values), -1)
    except (TypeError, ValueError):  # refused with the name of the column
        return values
    full, library = placed(rows, steps, fill), imported("pandas")
    if hasattr(values, "columns"):
        return library.DataFrame(full, index=index, columns=values.columns)
    return library.Series(full[:, 0], index=index, name=values.name)


def likes(like: Any, count: int) -> list[Frame | None]:
    """The frame of the fit for each of so many series: its own, or the first that has an index."""
    if isinstance(like, list) and len(like) == count:
        return like
    frames = like if isinstance(like, list) else [like]
    first = next((each for each in frames if isinstance(each, Frame) and each.index is not None), None)
    return [first] * count


@contextmanager
def called(name: str, usual: str = "y") -> Iterator[None]:
    """Block in which errors about y say another name of it: that it is an element of a list, or a history."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = re.sub(rf"(?<!['\w]){usual}(?!['\w])", name, str(error))
        raise (TypeError if isinstance(error, TypeError) else ValueError)(text) from None


def check_numbers(name: str, values: Any) -> None:
    """Refuse a Series, or a column of a DataFrame, of dates or texts, which it would turn into numbers beside others.

    Raises
    ------
    TypeError
    """
    if hasattr(values, "columns"):
        for column in values.columns:
            cure = f"Forecaster(time={column!r}) reads such a table" if name == "y" else "leave it out"
            _check_column(f"the column {column!r} of {name}", values[column], cure)
    elif hasattr(values, "to_numpy"):
        own = getattr(values, "name", None)
        cure = "the values are needed, and their dates as the index"
        _check_column(name if own is None else f"{name}, {own!r},", values, cure)


def _check_column(where: str, column: Any, of_dates: str) -> None:
    values = np.asarray(column)
    each = values.reshape(-1).tolist() if values.dtype.kind in "OUT" else []
    if values.dtype.kind in "mM" or any(hasattr(one, "isoformat") for one in each):
        raise TypeError(f"{where} holds dates: {of_dates}")
    text = next((one for one in each if isinstance(one, str)), None)
    if text is not None:
        raise TypeError(
            f"{where} holds texts, the first {quoted(text)}: leave it out, make numbers of it (pandas.to_numeric), or "
            "name what it is, Forecaster(time=..., id=...)"
        )


def imported(library: str) -> Any:
    """pandas or polars."""
    if library == "pandas":
        import pandas

        return pandas
    import polars

    return polars
