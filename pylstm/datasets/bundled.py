"""Data sets that ship with other packages, read by their own loaders; nothing is downloaded.

A package is imported by the first of its data sets that is loaded, once per process: 0.7 s (statsmodels), 1.4 s
(scikit-learn), 1.7 s (aeon, with numba).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pylstm.data.panel import fill_gaps
from pylstm.hints import explained, explained_constructor


@explained_constructor
class Classification(NamedTuple):
    """Labelled sequences, in two parts.

    Attributes
    ----------
    name, source : str
        `source`: which package the data are from.
    x, x_test : list of ndarray, shape (T_i, I), float32
        Sequences; of one length or of several.
    y, y_test : ndarray of int64, shape (N,)
        Numbers of the classes.
    classes : tuple of str
        Names of the classes.

    Examples
    --------
    >>> from pylstm.datasets import digits
    >>> data = digits()
    >>> data.name, len(data.x), len(data.y) == len(data.x), data.classes[:3]
    ('digits', 1437, True, ('0', '1', '2'))
    """

    name: str
    source: str
    x: list[np.ndarray]
    y: np.ndarray
    x_test: list[np.ndarray]
    y_test: np.ndarray
    classes: tuple[str, ...]


class Times(Sequence[str]):
    """Times of the steps of a series, as text, made when they are asked for.

    Parameters
    ----------
    values : ndarray of bytes, text or numbers, shape (T,)

    Examples
    --------
    >>> times = Times(np.array([b"May", b"June"]))
    >>> times[-1], list(times), times[:1], len(times)
    ('June', ['May', 'June'], ('May',), 2)
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(Times(self._values[at]))
        value = self._values[at]
        return value.decode() if isinstance(value, bytes) else str(value)


@explained_constructor
class Series(NamedTuple):
    """Numbers at equal intervals of time.

    Attributes
    ----------
    name, source : str
    values : ndarray of float64, shape (T,)
    times : sequence of str
        Of each value.
    season : int
        Steps of a season; 0 for none.
    filled : int
        How many of the values were missing and are on a straight line between their neighbours.

    Examples
    --------
    >>> from pylstm.datasets import sunspots
    >>> series = sunspots()
    >>> series.values.shape, series.times[0], series.season, series.filled
    ((309,), '1700', 0, 0)
    """

    name: str
    source: str
    values: np.ndarray
    times: Sequence[str]
    season: int
    filled: int = 0


@explained()
def digits() -> Classification:
    """Handwritten digits: 1797 images of 8 x 8 pixels in 0..1, each read as 8 rows of 8 numbers.

    The test part are 360 images of all writers, drawn once and for all; the file has no split of its own.

    Returns
    -------
    Classification
        1437 and 360 sequences of shape (8, 8), 10 classes.

    Raises
    ------
    ModuleNotFoundError
        scikit-learn, which carries the data, is not installed.

    Notes
    -----
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.

    Examples
    --------
    >>> data = digits()
    >>> len(data.x), len(data.x_test), data.x[0].shape, data.classes[:3]
    (1437, 360, (8, 8), ('0', '1', '2'))
    """
    images, labels = digit_images()
    images = images.astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = np.sort(order[360:]), np.sort(order[:360])
    names = tuple(str(number) for number in range(10))
    return Classification(
        "digits", "scikit-learn", list(images[train]), labels[train], list(images[test]), labels[test], names
    )


def digit_images() -> tuple[np.ndarray, np.ndarray]:
    """All images of `digits` (1797, 8, 8) as float64 in 0..1, and what they show (1797,) as int64."""
    with _part_of("scikit-learn", "sklearn", "digits", extra="sklearn"):
        from sklearn.datasets import load_digits
    data = load_digits()
    return data.images / 16, data.target.astype(np.int64)


@explained()
def japanese_vowels() -> Classification:
    """Nine speakers saying two Japanese vowels: 12 coefficients at each of 7 to 29 steps; who speaks?

    The parts are those of the authors: 270 utterances to train on, 370 to test.

    Returns
    -------
    Classification
        Sequences of shape (7..29, 12), 9 classes.

    Raises
    ------
    ModuleNotFoundError
        aeon, which carries the data, is not installed.

    Notes
    -----
    Kudo, Toyama and Shimbo (1999), Multidimensional Curve Classification Using Passing-Through Regions, Pattern
    Recognition Letters 20 (11-13).

    Examples
    --------
    >>> data = japanese_vowels()
    >>> len(data.x), len(data.x_test), data.x[0].shape, data.x[1].shape
    (270, 370, (20, 12), (26, 12))
    """
    with _part_of("aeon", "aeon", "Japanese vowels"):
        from aeon.datasets import load_japanese_vowels
    (x, y), (x_test, y_test) = (load_japanese_vowels(split) for split in ("train", "test"))
    x, x_test = ([np.ascontiguousarray(each.T, np.float32) for each in part] for part in (x, x_test))
    names, labels = np.unique(y, return_inverse=True)
    classes = tuple(names.tolist())
    return Classification("japanese-vowels", "aeon", x, labels, x_test, np.searchsorted(names, y_test), classes)


@explained()
def sunspots() -> Series:
    """Mean sunspot numbers of the years 1700 to 2008; a cycle takes about 11 years, which is not a fixed season.

    Returns
    -------
    Series
        309 values.

    Raises
    ------
    ModuleNotFoundError
        statsmodels, which carries the data, is not installed.

    Notes
    -----
    National Geophysical Data Center, as statsmodels has it.

    Examples
    --------
    >>> series = sunspots()
    >>> len(series.values), series.times[0], series.values[:3].tolist(), series.season
    (309, '1700', [5.0, 11.0, 16.0], 0)
    """
    with _part_of("statsmodels", "statsmodels", "sunspots"):
        from statsmodels.datasets import sunspots
    years = sunspots.load().data
    times = tuple(str(int(year)) for year in years["YEAR"])
    return Series("sunspots", "statsmodels", years["SUNACTIVITY"].to_numpy(), times, season=0)


@explained()
def co2(every: str = "month") -> Series:
    """Carbon dioxide in the air of Mauna Loa, in parts per million, from March 1958 to December 2001.

    59 of the 2284 weeks have no measurement: they are put on a straight line between their neighbours. A month is the
    mean of the weeks that begin in it.

    Parameters
    ----------
    every : {"month", "week"}
        526 months with a season of 12, or 2284 weeks with one of 52.

    Returns
    -------
    Series

    Raises
    ------
    ValueError
        Another `every`.
    ModuleNotFoundError
        statsmodels, which carries the data, is not installed.

    Notes
    -----
    Keeling and Whorf (2004), Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO network.

    Examples
    --------
    >>> series = co2()
    >>> len(series.values), series.times[0], series.times[-1], series.season, series.filled
    (526, '1958-03', '2001-12', 12, 59)
    >>> len(co2("week").values)
    2284
    """
    if every not in ("month", "week"):
        raise ValueError(f"every must be month or week, got {every!r}")
    with _part_of("statsmodels", "statsmodels", "co2"):
        from statsmodels.datasets import co2
    weeks = co2.load().data["co2"]
    times = weeks.index.strftime("%Y-%m-%d").tolist()
    values, filled = fill_gaps(weeks.to_numpy())
    if every == "week":
        return Series("co2", "statsmodels", values, tuple(times), 52, filled)
    months, month_of = np.unique([time[:7] for time in times], return_inverse=True)
    means = np.bincount(month_of, values) / np.bincount(month_of)
    return Series("co2", "statsmodels", means, tuple(months.tolist()), 12, filled)


@contextmanager
def _part_of(distribution: str, package: str, what: str, extra: str = "data") -> Iterator[None]:
    """Import the loader of a data set; the error names the package to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != package:  # it is installed, but something that it needs is not
            raise
        raise ModuleNotFoundError(
            f"the data set {what} is part of {distribution}, which is not installed: pip install 'pylstm[{extra}]'",
            name=package,
        ) from error
