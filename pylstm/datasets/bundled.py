"""Data sets that other packages carry: read from where those are installed, not copied, and without importing them.

To import scikit-learn, statsmodels or aeon (with numba) takes seconds; their data files are read in milliseconds.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from pylstm.datasets.text import read_utf8


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
    """

    name: str
    source: str
    x: list[np.ndarray]
    y: np.ndarray
    x_test: list[np.ndarray]
    y_test: np.ndarray
    classes: tuple[str, ...]


class Series(NamedTuple):
    """Numbers at equal distances of time.

    Attributes
    ----------
    name, source : str
    values : ndarray of float64, shape (T,)
    times : tuple of str
        Of each value.
    season : int
        Steps of a season; 0 for none.
    filled : int
        How many of the values were missing and are on a straight line between their neighbours.
    """

    name: str
    source: str
    values: np.ndarray
    times: tuple[str, ...]
    season: int
    filled: int = 0


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
    table = np.loadtxt(_find("digits", "scikit-learn", "sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
    images = (table[:, :64] / 16).astype(np.float32).reshape(-1, 8, 8)
    labels = table[:, 64].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = np.sort(order[360:]), np.sort(order[:360])
    names = tuple(str(number) for number in range(10))
    return Classification(
        "digits", "scikit-learn", list(images[train]), labels[train], list(images[test]), labels[test], names
    )


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
    parts = []
    for part in ("TRAIN", "TEST"):
        path = f"datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"
        parts.append(_read_ts(_find("Japanese vowels", "aeon", "aeon", path)))
    (x, y), (x_test, y_test) = parts
    names = tuple(sorted(set(y)))
    number = {name: k for k, name in enumerate(names)}
    labels, test_labels = (np.array([number[name] for name in each], np.int64) for each in (y, y_test))
    return Classification("japanese-vowels", "aeon", x, labels, x_test, test_labels, names)


def sunspots() -> Series:
    """Mean sunspot numbers of the years 1700 to 2008; a cycle takes about 11 years, which is no fixed season.

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
    rows = _rows(_find("sunspots", "statsmodels", "statsmodels", "datasets/sunspots/sunspots.csv"))
    values = np.array([float(value) for _, value in rows])
    return Series("sunspots", "statsmodels", values, tuple(year for year, _ in rows), season=0)


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
    rows = _rows(_find("co2", "statsmodels", "statsmodels", "datasets/co2/co2.csv"))
    times = [f"{day[:4]}-{day[4:6]}-{day[6:]}" for day, _ in rows]
    values, filled = fill_gaps(np.array([float(value or "nan") for _, value in rows]))
    if every == "week":
        return Series("co2", "statsmodels", values, tuple(times), 52, filled)
    months, month_of = np.unique([time[:7] for time in times], return_inverse=True)
    means = np.bincount(month_of, values) / np.bincount(month_of)
    return Series("co2", "statsmodels", means, tuple(months.tolist()), 12, filled)


def fill_gaps(values: np.ndarray) -> tuple[np.ndarray, int]:
    """`values` with every NaN on the straight line between its known neighbours, and how many there were.

    NaNs before the first or after the last known value stay.

    Examples
    --------
    >>> fill_gaps(np.array([1.0, np.nan, 3.0, np.nan]))
    (array([ 1.,  2.,  3., nan]), 1)
    """
    missing = np.isnan(values)
    known = np.flatnonzero(~missing)
    if known.size == 0:
        return values.copy(), 0
    inside = np.flatnonzero(missing)
    inside = inside[(inside > known[0]) & (inside < known[-1])]
    filled = values.copy()
    filled[inside] = np.interp(inside, known, values[known])
    return filled, len(inside)


def _find(what: str, distribution: str, package: str, path: str) -> str:
    """The file `path` of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"the data set {what} is part of {distribution}, which is not installed: pip install 'pylstm[data]'",
            name=package,
        )
    found = [os.path.join(folder, path) for folder in spec.submodule_search_locations]
    for each in found:
        if os.path.isfile(each):
            return each
    raise FileNotFoundError(f"the installed {distribution} has no {path}, where the data set {what} is looked for")


def _rows(path: str) -> list[list[str]]:
    """Fields of all lines but the first."""
    return [[field.strip('"') for field in line.split(",")] for line in read_utf8(path).splitlines()[1:] if line]


def _read_ts(path: str) -> tuple[list[np.ndarray], list[str]]:
    """Sequences (T_i, I) and labels of a .ts file: numbers joined by ``,``, channels and then the label by ``:``."""
    x, y = [], []
    for line in read_utf8(path).splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.split(":")
            steps = [[float(number) for number in channel.split(",")] for channel in channels]
            x.append(np.array(steps, np.float32).T.copy())
            y.append(label.strip())
    return x, y
