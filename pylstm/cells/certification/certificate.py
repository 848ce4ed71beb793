"""What certification found: one `Path` for every value and every local derivative, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pylstm.cells.certification.problem import Key
from pylstm.cells.certification.truth import Bounds
from pylstm.hints import explained_constructor

SMALLEST_SCALE = 1e-2
"""Rows whose largest element is below this are compared as if it were this: a zero path has no scale of its own."""


UNLOADED = "blocks and ABI"
"""Name of the path of a kernel that cannot be loaded, or made."""


class CertificationError(ValueError):
    """A cell is not what it declares; the message names every wrong path.

    Attributes
    ----------
    certificate : Certificate

    Examples
    --------
    >>> import pylstm
    >>> class Wrong(pylstm.Cell):
    ...     states, gates = ("h",), {"a": "x+h"}
    ...     def forward(z):
    ...         return {"a": pylstm.tanh(z.a), "h": pylstm.tanh(z.a)}
    ...     def backward(d, y):
    ...         return {"a": d.h * (1 - y.a)}  # not 1 - y.a**2
    >>> try:
    ...     pylstm.register(Wrong)
    ... except pylstm.CertificationError as error:
    ...     print(error.certificate.ok)
    False
    """

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate.message())
        self.certificate = certificate


@dataclass(frozen=True)
class Path:
    """One thing that was checked.

    Attributes
    ----------
    form : str
        Whose: ``"twin"``, ``"kernel float64"``, ``"kernel float32"``, ``"kernel"`` or ``"declaration"``.
    name : str
        ``"gate f"`` for a value, ``"d c / d gate f"`` for a local derivative, ``"rows, forward"`` and so on.
    error : float
        Largest difference, relative to the largest element of the array; NaN where no numbers are compared.
    fault : str
        Empty if right, else what is wrong: ``"missing?"``, ``"sign"``, ``"factor 2.000"``, ``"wrong"``, ...
    detail : str
        The numbers at the worst unit.
    """

    form: str
    name: str
    error: float = float("nan")
    fault: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether this path is right."""
        return not self.fault

    def __str__(self) -> str:
        return f"{self.name}: {self.detail or self.form} ({self.fault or 'ok'})"


@explained_constructor
@dataclass
class Certificate:
    """The outcome of `certify`.

    Attributes
    ----------
    cell : str
        Name of the cell, with the options that are not the defaults.
    paths : list of Path
        In the order of the checks.
    notes : list of str
        What could not be checked, and why.

    Examples
    --------
    >>> import pylstm
    >>> certificate = pylstm.certify(pylstm.cells.LSTM)
    >>> certificate.cell, certificate.ok, certificate.paths[0].name
    ('lstm', True, 'forward, names and shapes')
    """

    cell: str
    paths: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Path]:
        """The paths that are wrong."""
        return [path for path in self.paths if not path.ok]

    @property
    def ok(self) -> bool:
        """Whether every path is right."""
        return not self.failures

    def message(self) -> str:
        """The failures, one a line, under a headline."""
        failures = self.failures
        if not failures:
            return f"cell {self.cell!r}: certified, {len(self.paths)} paths"
        if [path.name for path in failures] == [UNLOADED] and not failures[0].detail:
            return f"cell {self.cell!r} cannot run: {failures[0].fault.removeprefix(f'cell {self.cell!r}: ')}"
        verb = "is" if len(failures) == 1 else "are"
        head = f"cell {self.cell!r}: {len(failures)} of {len(self.paths)} paths {verb} wrong"
        return "\n  ".join([head, *map(str, failures)])

    def as_dict(self) -> dict[str, Any]:
        """The certificate as JSON can hold it: numbers that are not finite become None."""
        paths = [vars(path) | {"error": path.error if np.isfinite(path.error) else None} for path in self.paths]
        return {"cell": self.cell, "ok": self.ok, "notes": self.notes, "paths": paths}

    def fail(self, form: str, name: str, fault: str, detail: str = "") -> None:
        """Record that something is wrong which no numbers show."""
        self.paths.append(Path(form, name, fault=fault, detail=detail))

    def add(self, other: Certificate) -> None:
        """Record all that `other` holds."""
        self.paths += other.paths
        self.notes += other.notes

    def check(self, form: str, name: str, right: bool, fault: str) -> None:
        """Record a condition."""
        self.paths.append(Path(form, name, fault="" if right else fault))

    def compare(
        self, form: str, name: str, got: Any, truth: Bounds, allowed: Any, by: str, places: Sequence[str] = ()
    ) -> bool:
        """Record the comparison of an array with its bounds (`by` says who found them), and return its outcome.

        `allowed` is how far an element may be outside; `places` says what is special about each row. A value that is
        not finite is no fault where forward has no derivative.
        """
        given = got = np.asarray(got)
        if got.shape != truth.low.shape:
            self.fail(form, name, f"shape {got.shape}, expected {truth.low.shape}")
            return False
        middle = truth.middle
        scale = np.maximum(np.abs(middle).max(axis=-1, keepdims=True, initial=0.0), SMALLEST_SCALE)
        with np.errstate(invalid="ignore"):
            error = np.abs(got - middle)
            if truth.low is not truth.high:
                lost = ~np.isfinite(got) & ~truth.sharp
                got, middle = (np.where(lost, 0, each) for each in (got, middle))
                error = np.where(lost, 0, np.maximum(np.maximum(truth.low - got, got - truth.high), 0))
        wrong = ~(error <= allowed)
        worst = float((error / scale).max(initial=0.0))
        if not wrong.any():
            self.paths.append(Path(form, name, worst))
            return True
        at = np.unravel_index(np.argmax(np.nan_to_num(error / scale, nan=np.inf) * wrong), error.shape)
        where = ", ".join(f"{axis} {k}" for axis, k in zip(("row", "unit")[-len(at) :], at))
        where += f" ({places[int(at[0])]})" if places and places[int(at[0])] else ""
        detail = f"{form} {got[at]:.6g}, {by} {middle[at]:.6g} at {where}"
        rows = wrong.any(axis=-1)
        missing = np.isnan(given[rows]).all()
        small = np.broadcast_to(allowed, got.shape)[rows]
        fault = "not written" if missing else classify(got[rows], middle[rows], small)
        self.paths.append(Path(form, name, worst, fault, detail))
        return False

    def compare_paths(
        self,
        form: str,
        names: dict[Key, str],
        got: dict[Key, Any],
        truth: dict[Key, Bounds],
        allowed: dict[Key, Any],
        by: str,
        places: Sequence[str] = (),
    ) -> dict[Key, bool]:
        """Compare the cotangents of every input (kind, name); `names`: those of the paths. True where right."""
        right: dict[Key, bool] = {}
        worst = _worst(got, truth, allowed)
        for key, bounds in truth.items():
            if key in worst:
                self.paths.append(Path(form, names[key], worst[key]))
                right[key] = True
                continue
            right[key] = self.compare(form, names[key], got[key], bounds, allowed[key], by, places)
            if not right[key] and np.shape(got[key]) == bounds.low.shape:
                for other in truth.keys() - {key}:
                    if _is_that_of(got[key], bounds, truth[other]):
                        self.paths[-1] = replace(self.paths[-1], fault=f"that of {' '.join(other)}")
        return right


def _worst(got: dict[Key, Any], truth: dict[Key, Bounds], allowed: dict[Key, Any]) -> dict[Key, float]:
    """The largest errors of arrays that are right, those of one shape at once; of exact truths."""
    shapes: dict[tuple[int, ...], list[Key]] = {}
    for key, bounds in truth.items():
        if bounds.low is bounds.high and np.shape(got[key]) == bounds.low.shape:
            shapes.setdefault((*bounds.low.shape, *np.shape(allowed[key])), []).append(key)
    found: dict[Key, float] = {}
    for keys in shapes.values():
        exact, most = np.array([truth[key].low for key in keys]), np.array([allowed[key] for key in keys])
        with np.errstate(invalid="ignore"):
            error = np.abs(np.array([got[key] for key in keys]) - exact)
        scale = np.maximum(np.abs(exact).max(axis=-1, keepdims=True, initial=0.0), SMALLEST_SCALE)
        axes = tuple(range(1, error.ndim))
        right, worst = (error <= most).all(axis=axes), (error / scale).max(axis=axes, initial=0.0)
        found |= {key: float(value) for key, value, there in zip(keys, worst, right) if there}
    return found


def _is_that_of(got: np.ndarray, own: Bounds, other: Bounds) -> bool:
    """Whether a wrong array is that of another path, at least in the rows where the two differ."""
    if other.low.shape != got.shape or np.abs(other.middle).max(initial=0.0) <= SMALLEST_SCALE:
        return False

    def near(one: np.ndarray) -> bool:
        scale = np.maximum(np.abs(other.middle).max(axis=-1, keepdims=True), SMALLEST_SCALE)
        return bool((np.abs(one - other.middle) <= 1e-4 * scale).all())

    return near(got) and not near(own.middle)


def classify(got: np.ndarray, expected: np.ndarray, small: np.ndarray) -> str:
    """Name the kind of mistake: how `got` relates to `expected`, where what is below `small` counts as zero."""
    if np.isnan(got).any():
        return "not written, or NaN, in places"
    if (np.abs(expected) <= small).all():
        return "should be zero"
    if (np.abs(got) <= small).all():
        return "missing?"
    large = np.abs(expected) > np.maximum(1e-3 * np.abs(expected).max(axis=-1, keepdims=True), 10 * small)
    if large.any():
        middle = float(np.median(got[large] / expected[large]))
        size = np.abs(got).max(axis=-1, keepdims=True)
        if (np.abs(got - middle * expected) <= np.maximum(10 * small, 1e-6 * size)).all():
            return "sign" if abs(middle + 1) < 1e-4 else f"factor {middle:.3f}"
    return "wrong"
