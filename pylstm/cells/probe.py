"""What a cell computes, as a few numbers: a file holds them, so that it is never read with a cell that has changed.

They come from the twin on fixed inputs, all positive, then of both signs, so they do not depend on how the cell is
written, and see closures, options and helper functions alike. `STATES` and `SCALES` say where: previous states of 0,
small, moderate, large, beyond 10, and a dozen rows within -1..1, then rows with all inputs up to 5, 10, 20 and 100.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pylstm.cells.contracts.sizes import fitting
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.twin import call, hook

FAR = (5.0, 5.0, 10.0, 10.0, 20.0, 20.0, 100.0, 100.0)
SCALES = (0.5, 1.5, 6.0, 0.7, 1.2) + (1.0,) * 12 + FAR
"""Largest magnitude in each row."""
STATES = (0.5, 1.5, 6.0, 0.0, 60.0) + (1.0,) * 12 + FAR
"""The same of previous states: row 3 is a first step."""
TOLERANCE = 1e-8
SIZES = {"input_size": 2, "hidden_size": 3}

Probe = dict[str, list[float | None]]


def probe(cell: Any) -> Probe:
    """``forward <state>``, ``backward <input>`` -> one number for each row of the inputs; None: not finite.

    Raises
    ------
    ValueError
        The cell has no forward function, or it fails.
    """
    found: Probe = {}
    with np.errstate(all="ignore"):
        for positive in (True, False):
            try:
                for name, array in _values(cell, positive):
                    found.setdefault(name, []).extend(_row_sums(array))
            except Exception as error:  # a twin is the user's code
                raise ValueError(f"cell {cell.name!r} cannot be computed ({type(error).__name__}: {error})") from None
    return found


def difference(saved: Mapping[str, Any], cell: Any) -> str:
    """The first value of `cell` that is not what `saved` says; ``""`` if there is none."""
    now = probe(cell)
    for name in [*now, *(name for name in saved if name not in now)]:
        if not _alike(saved.get(name), now.get(name)):
            return name
    return ""


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None or len(one) != len(other):
        return False
    return all(
        a is b if a is None or b is None else abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))
        for a, b in zip(one, other)
    )


def _values(cell: Any, positive: bool) -> Iterator[tuple[str, np.ndarray]]:
    contract = cell.contract
    needed = {name: 4 for name, default in contract.sizes.items() if default is None}
    widths = contract.resolve(**fitting(cell, SIZES | needed))
    drawn = _Numbers(positive)
    spaces: dict[str, dict[str, Any]] = {
        "prev": {name: drawn(widths[name], STATES) for name in contract.states},
        "p": {name: drawn(widths[name])[1] for name in contract.params},
        "u": {name: drawn(widths[name]) for name in contract.aux},
        "e": {},
        "size": widths.sizes,
    }
    for stage in contract.stages:
        forward, backward = (hook(cell, way, stage.name) for way in ("forward", "backward"))
        if forward is None:
            raise TypeError(f"it has no {hook_name('forward', stage.name)}")
        z = {name: drawn(widths[name]) for name in stage.gates}
        out = {name: np.asarray(value) for name, value in call(forward, z=z, **spaces).items()}
        made = _made(contract, stage)
        for name in made:
            yield f"forward {name}", np.broadcast_to(out[name], (len(SCALES), widths[name]))
        if backward is not None:
            y = {name: value.copy() for name, value in (z | out).items()}
            cotangents = call(backward, d={name: drawn(widths[name]) for name in made}, y=y, **spaces)
            for name in (*stage.gates, *spaces["prev"], *spaces["e"], *contract.params, *contract.aux):
                value = cotangents.get(name, 0.0)
                yield (
                    f"backward {name}" + f" of {stage.name}" * bool(stage.name),
                    np.broadcast_to(value, (len(SCALES), widths[name])),
                )
        spaces["e"] = spaces["e"] | {name: out[name] for name in stage.emits}


def _made(contract: Any, stage: Stage) -> tuple[str, ...]:
    return contract.states if stage is contract.stages[-1] else stage.emits


class _Numbers:
    """Blocks (rows, width) of fixed numbers, one row for each scale; every platform has the same."""

    def __init__(self, positive: bool) -> None:
        self.positive, self.used = positive, 0

    def __call__(self, width: int, scales: tuple[float, ...] = SCALES) -> np.ndarray:
        k = np.arange(self.used + 1, self.used + 1 + len(scales) * width)
        self.used += len(k)
        numbers = (k * 7919 % 2003) / 1001.5 - 1
        numbers = 0.05 + 0.95 * np.abs(numbers) if self.positive else numbers
        rows: np.ndarray = numbers.reshape(len(scales), width) * np.array(scales)[:, None]
        return rows


def _row_sums(array: np.ndarray) -> list[float | None]:
    sums = array @ np.sqrt(np.arange(1.0, 1.0 + array.shape[1]))
    return [float(f"{value:.12g}") if np.isfinite(value) else None for value in sums]
