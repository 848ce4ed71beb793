"""What certification found: one `Path` for every value and every local derivative, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

SMALLEST_SCALE = 1e-2
"""Arrays whose largest element is below this are compared as if it were this: a zero path has no scale of its own."""


class CertificationError(ValueError):
    """A cell is not what it declares; the message names every wrong path.

    Attributes
    ----------
    certificate : Certificate
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


@dataclass
class Certificate:
    """The outcome of `certify`.

    Attributes
    ----------
    cell : str
        Name of the cell.
    paths : list of Path
        In the order of the checks.
    notes : list of str
        What could not be checked, and why.
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
        head = f"cell {self.cell!r}: {len(failures)} of {len(self.paths)} paths are wrong"
        return "\n  ".join([head, *map(str, failures)])

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers that are not finite become None."""
        paths = [vars(path) | {"error": path.error if np.isfinite(path.error) else None} for path in self.paths]
        return {"cell": self.cell, "ok": self.ok, "notes": self.notes, "paths": paths}

    def fail(self, form: str, name: str, fault: str, detail: str = "") -> None:
        """Record that something is wrong which no numbers show."""
        self.paths.append(Path(form, name, fault=fault, detail=detail))

    def check(self, form: str, name: str, right: bool, fault: str) -> None:
        """Record a condition."""
        self.paths.append(Path(form, name, fault="" if right else fault))

    def compare(self, form: str, name: str, got: Any, expected: np.ndarray, tolerance: float, truth: str) -> bool:
        """Record the comparison of an array with what it should be (`truth` says by what), and return its outcome."""
        got = np.asarray(got)
        if got.shape != expected.shape:
            self.fail(form, name, f"shape {got.shape}, expected {expected.shape}")
            return False
        scale = max(np.abs(expected).max(initial=0.0), SMALLEST_SCALE)
        error = np.abs(got - expected) / scale
        worst = float(error.max(initial=0.0))  # NaN if any is NaN
        if worst <= tolerance:
            self.paths.append(Path(form, name, worst))
            return True
        at = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), error.shape)
        where = ", ".join(f"{axis} {k}" for axis, k in zip(("row", "unit")[-len(at) :], at))
        detail = f"{form} {got[at]:.6g}, {truth} {expected[at]:.6g} at {where}"
        self.paths.append(Path(form, name, worst, classify(got, expected, tolerance * scale), detail))
        return False

    def compare_paths(
        self,
        form: str,
        output: str,
        got: dict[tuple[str, str], np.ndarray],
        expected: dict[tuple[str, str], np.ndarray],
        tolerance: float,
        truth: str,
    ) -> dict[tuple[str, str], bool]:
        """Compare the derivatives of one output with respect to every input (kind, name); True where right."""
        right = {}
        for key, derivative in expected.items():
            name = f"d {output} / d {' '.join(key)}"
            right[key] = self.compare(form, name, got[key], derivative, tolerance, truth)
            if not right[key] and np.shape(got[key]) == derivative.shape:
                others = [
                    other for other in expected if other != key and np.abs(expected[other]).max() > SMALLEST_SCALE
                ]
                for other in others:
                    if np.shape(got[key]) == expected[other].shape and np.allclose(got[key], expected[other], 1e-4, 0):
                        self.paths[-1] = replace(self.paths[-1], fault=f"that of {' '.join(other)}")
        return right


def classify(got: np.ndarray, expected: np.ndarray, small: float) -> str:
    """Name the kind of mistake: how `got` relates to `expected`, where what is below `small` counts as zero."""
    if np.isnan(got).all():
        return "not written"
    if np.isnan(got).any():
        return "not written, or NaN, in places"
    if (np.abs(expected) <= small).all():
        return "should be zero"
    if (np.abs(got) <= small).all():
        return "missing?"
    large = np.abs(expected) > 1e-3 * np.abs(expected).max()
    ratio = got[large] / expected[large]
    middle = float(np.median(ratio))
    if np.abs(got - middle * expected).max() <= max(10 * small, 1e-6 * np.abs(got).max()):
        return "sign" if abs(middle + 1) < 1e-4 else f"factor {middle:.3f}"
    return "wrong"
