"""Series of `benchmarks/forecasts.py`: those that packages ship, and simulated ones. Nothing is downloaded.

``of_packages()`` reads the 181 yearly series of the M1 competition (aeon) and the series of statsmodels, sktime and
pmdarima, whatever of these is installed; ``simulated(seed)`` draws seasonal, trending, heteroscedastic, intermittent
series and such with level shifts.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HORIZONS = {1: 6, 4: 8, 7: 14, 12: 12, 52: 13}
"""Season -> steps that are forecast."""
LONGEST = 600
"""Steps that are taken of a longer series, the last ones."""
KINDS = ("seasonal", "trending", "heteroscedastic", "intermittent", "level shifts")
EACH = 10
"""Simulated series of each kind and seed."""


class Given(NamedTuple):
    """A series, its season (1: none) and where it is from."""

    name: str
    group: str
    values: np.ndarray
    season: int

    @property
    def horizon(self) -> int:
        return HORIZONS.get(self.season, 6)


def of_packages() -> list[Given]:
    """What is installed, without constant series and without those shorter than 12 steps beside the forecast."""
    found = [*m1_yearly(), *of_statsmodels(), *of_sktime(), *of_pmdarima()]
    found = [each._replace(values=np.asarray(each.values, "float64")[-LONGEST:]) for each in found]
    for each in found:
        if not np.isfinite(each.values).all():
            raise ValueError(f"{each.name} has gaps")
    return [each for each in found if len(each.values) >= each.horizon + 9 and np.ptp(each.values[: -each.horizon]) > 0]


def m1_yearly() -> Iterator[Given]:
    folder = _folder("aeon", "datasets/data/m1_yearly_dataset")
    if folder is None:
        return
    text = next(folder.glob("*.tsf")).read_text("latin-1")
    for line in text.partition("@data")[2].strip().splitlines():
        name, *_, values = line.split(":")
        yield Given(f"M1 {name}", "M1 yearly", np.array(values.split(","), "float64"), 1)


def of_statsmodels() -> Iterator[Given]:
    if importlib.util.find_spec("statsmodels") is None:
        return

    def table(name: str) -> Any:
        return importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data

    group = "statsmodels"
    yield Given("nile", group, table("nile")["volume"], 1)
    yield Given("sunspots", group, table("sunspots")["SUNACTIVITY"], 1)
    monthly = table("co2")["co2"].resample("MS").mean().interpolate()
    yield Given("co2 monthly", group, monthly, 12)
    yield Given("co2 weekly", group, table("co2")["co2"].interpolate(), 52)
    yield Given("el nino", group, table("elnino").iloc[:, 1:].to_numpy().ravel(), 12)
    macro = table("macrodata")
    for column in macro.columns.drop(["year", "quarter"]):
        yield Given(f"macrodata {column}", group, macro[column], 4)
    copper = table("copper")
    for column in copper.columns.drop([c for c in copper.columns if c.lower() in ("year", "time")]):
        yield Given(f"copper {column}", group, copper[column], 1)
    equipment = table("elec_equip")
    for column in equipment.select_dtypes("number"):
        yield Given(f"electrical equipment {column}", group, equipment[column], 12)
    germany = table("interest_inflation")
    for column in ("Dp", "R"):
        yield Given(f"interest and inflation {column}", group, germany[column], 4)
    danish = table("danish_data")
    for column in danish.columns.drop([c for c in danish.columns if c in ("period", "year", "quarter")]):
        if np.issubdtype(danish[column].dtype, np.number):
            yield Given(f"danish {column}", group, danish[column], 4)


def of_sktime() -> Iterator[Given]:
    """CSV files of sktime, or of aeon, which ships the same ones."""
    import pandas as pd

    folder = _folder("sktime", "datasets/data") or _folder("aeon", "datasets/data")
    if folder is None:
        return
    seasons = {
        "Airline": 12,
        "Lynx": 1,
        "ShampooSales": 12,
        "Longley": 1,
        "Uschange": 4,
    }
    seasons |= {"seatbelts": 12}
    for name, season in seasons.items():
        for path in sorted(folder.glob(f"{name}/*.csv")):
            frame = pd.read_csv(path)
            for column in frame.columns:
                if re.fullmatch(r"(?i)unnamed.*|year|quarter|date|period|time|month|index|law|label|obs", str(column)):
                    continue
                if np.issubdtype(frame[column].dtype, np.number) and frame[column].notna().all():
                    yield Given(f"{path.stem} {column}", "sktime", frame[column], season)


def of_pmdarima() -> Iterator[Given]:
    if importlib.util.find_spec("pmdarima") is None:
        return
    from pmdarima import datasets as data

    seasons = {"ausbeer": 4, "austres": 4, "heartrate": 1, "sunspots": 12, "wineind": 12}
    for name, season in (seasons | {"woolyrnq": 4}).items():  # the others are downloaded
        values = np.asarray(getattr(data, f"load_{name}")(), "float64")
        yield Given(f"{name} (pmdarima)", "pmdarima", values[np.isfinite(values)], season)
    for column in ("Open", "Volume"):
        yield Given(f"msft {column}", "pmdarima", data.load_msft()[column], 1)


def simulated(seed: int) -> list[Given]:
    """`EACH` series of every kind of `KINDS`; the generator depends on the seed, the kind and the number."""
    found = []
    for kind in KINDS:
        for number in range(EACH):
            rng = np.random.default_rng([seed, KINDS.index(kind), number])
            values, season = SIMULATE[kind](rng)
            found.append(Given(f"{kind} {seed}.{number}", kind, values, season))
    return found


def _seasonal(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    season = int(rng.choice([4, 7, 12]))
    steps = season * int(rng.integers(6, 16))
    shape = rng.normal(size=season)
    level = 20 + np.cumsum(rng.normal(0, rng.uniform(0, 0.3), steps))
    noise = rng.normal(0, rng.uniform(0.2, 1), steps)
    return level + rng.uniform(1, 4) * np.resize(shape, steps) + noise, season


def _trending(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    steps = int(rng.integers(40, 160))
    slope = rng.choice([-1, 1]) * rng.uniform(0.2, 1.5)
    slopes = slope + np.cumsum(rng.normal(0, rng.uniform(0, 0.1), steps))
    return 100 + np.cumsum(slopes + rng.normal(0, rng.uniform(0.3, 2), steps)), 1


def _heteroscedastic(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """GARCH(1, 1) around a level that reverts, or walks."""
    steps, back = int(rng.integers(80, 300)), rng.choice([0.7, 0.95, 1.0])
    values, variance, shock = np.zeros(steps), 1.0, 0.0
    for t in range(1, steps):
        variance = 0.1 + 0.25 * shock**2 + 0.65 * variance
        shock = np.sqrt(variance) * rng.normal()
        values[t] = back * values[t - 1] + shock
    return 50 + values, 1


def _intermittent(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    steps = int(rng.integers(60, 200))
    there = rng.random(steps) < rng.uniform(0.2, 0.6)
    return np.where(there, 1 + rng.poisson(rng.uniform(1, 6), steps), 0).astype("float64"), 1


def _level_shifts(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    steps = int(rng.integers(80, 240))
    shifts = np.where(rng.random(steps) < 0.02, rng.normal(0, 6, steps), 0)
    return 40 + np.cumsum(shifts) + rng.normal(0, 1, steps), 1


SIMULATE = dict(zip(KINDS, (_seasonal, _trending, _heteroscedastic, _intermittent, _level_shifts)))


def _folder(package: str, path: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / path
    return folder if folder is not None and folder.exists() else None
