"""`Frame`: the library, index and names of the series that a forecaster was given, for its forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
    def of(cls, y: Any, freq: Any = None) -> Any:
        """The frame of `y`, or of each where it is a list; None for arrays.

        Raises
        ------
        ValueError
            As `Index.of`.
        """
        if isinstance(y, list | tuple):
            frames = [cls.of(each, freq) if hasattr(each, "to_numpy") else None for each in y]
            return frames if any(frames) else None
        if not hasattr(y, "to_numpy") or not (hasattr(y, "columns") or hasattr(y, "name")):
            return None
        pandas = hasattr(y, "index")
        columns = list(y.columns) if hasattr(y, "columns") else None
        if columns == []:
            raise ValueError("y must have at least one column, got none")
        for name in columns or ():
            _check_numbers(name, y[name])
        index = Index.of(y.index, freq) if pandas else None
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


def _check_numbers(name: Any, column: Any) -> None:
    """Refuse a column of dates or texts, which a frame would turn into numbers beside others."""
    values = np.asarray(column)
    first = values.flat[0] if values.size else None
    if values.dtype.kind in "mM" or hasattr(first, "isoformat"):
        raise TypeError(f"the column {name!r} of y holds dates: Forecaster(time={name!r}) reads such a table")
    if isinstance(first, str):
        raise TypeError(
            f"the column {name!r} of y holds texts: leave it out, or name what it is, Forecaster(time=..., id=...)"
        )


def imported(library: str) -> Any:
    """pandas or polars."""
    if library == "pandas":
        import pandas

        return pandas
    import polars

    return polars
