"""`GateSaturation`, and `Counts`: gates at the ends of their ranges, counted in the time loop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells.formula.ranges import Ends, ranges
from pylstm.checks import Array, check_number, quoted

Columns = dict[str, tuple[Ends, slice]]
"""Gate -> its ends, and its columns among those of all gates."""
LONG, SHORT = np.dtype(np.int64), np.dtype(np.int32)
NEAR = 0.05
"""How near an end counts, as a share of the range, where the caller does not say."""


@dataclass(frozen=True)
class GateSaturation:
    """How often the units of a gate stand at an end of its range.

    Attributes
    ----------
    ends : (float, float)
        Of the range: 0 and 1 for a sigmoid, -1 and 1 for a tanh, 0 and infinity for a relu.
    low, high : ndarray of float64, shape (width,)
        Share of the steps of all rows at which a unit is at the lower and at the upper end.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.diagnostics import GateSaturation
    >>> GateSaturation((0.0, 1.0), np.array([0.0, 0.3]), np.array([1.0, 0.2])).stuck(1)
    0.5
    """

    ends: Ends
    low: Array
    high: Array

    def stuck(self, end: int, share: float = 0.9) -> float:
        """Share of the units that are at one end for `share` of the steps or more.

        Parameters
        ----------
        end : {0, 1}
            The lower or the upper one.
        share : float
            Between 0 and 1.
        """
        return float((((self.low, self.high)[end]) >= share).mean()) if len(self.low) else 0.0


def check_threshold(name: str, threshold: Any) -> float:
    """`threshold`, between 0 and 0.5."""
    if not 0 < check_number(name, threshold) < 0.5:
        raise ValueError(f"{name} must be between 0 and 0.5, got {threshold!r}")
    return float(threshold)


def inner_ends(ends: Ends, threshold: float) -> Ends:
    """Up to where a value is at the lower end, and from where at the upper one."""
    low, high = ends
    near = threshold * (high - low) if math.isfinite(high - low) else 0.0
    return low + near, high - near


class Counts:
    """What the time loop counts of the gates of a run or a stream.

    Attributes
    ----------
    threshold : float
    ends : ndarray, shape (2, width of all gates)
        Of the layer's dtype; NaN, which no value is near, for a gate without ends.
    found : ndarray of int64, shape (threads, 2 width of all gates + 1)
        Of what each thread counted: low, high, and the rows of all steps.
    held : ndarray of int32 or int64, shape (threads, 2 width of all gates)
        What is not yet in `found`.
    """

    def __init__(self, ends: Array, columns: Columns, threshold: float, threads: int) -> None:
        self.ends, self.threshold, self._columns = ends, threshold, columns
        n = ends.size
        self.found = np.zeros((threads, n + 1), LONG)
        self.held = np.zeros((threads, n), SHORT if ends.itemsize == 4 else LONG)

    @classmethod
    def of(cls, layer: Any, saturation: Any, threads: int = 1) -> Counts | None:
        """What counts for a layer in so many threads, at the threshold `saturation`; None where that is false."""
        if saturation is not True and not isinstance(saturation, (bool, np.bool_, float, np.floating)):
            raise TypeError(
                f"saturation must be True, False or a threshold between 0 and 0.5, got {quoted(saturation)}"
            )
        flag = saturation is True or isinstance(saturation, (bool, np.bool_))
        if flag and not saturation:
            return None
        threshold = NEAR if flag else check_threshold("saturation", saturation)
        if threshold not in layer._ends:  # a short call would take longer to make them than to run
            layer._ends[threshold] = _ends_of(layer, threshold)
        ends, columns = layer._ends[threshold]
        return cls(ends, columns, threshold, threads)

    def shares(self) -> dict[str, GateSaturation]:
        """Gate -> its shares."""
        *found, rows = self.found.sum(axis=0)
        shares = (found + self.held.sum(axis=0)).reshape(self.ends.shape) / max(1, rows)
        return {
            gate: GateSaturation(ends, *(each.copy() for each in shares[:, columns]))
            for gate, (ends, columns) in self._columns.items()
        }


def _ends_of(layer: Any, threshold: float) -> tuple[Array, Columns]:
    """The values from which each column counts; the ends and columns of the gates that have any."""
    contract, at, known, found = layer.cell.contract, 0, ranges(layer.cell), dict[str, tuple[Ends, slice]]()
    ends = np.full((2, sum(layer.widths[gate] for gate in contract.gates)), np.nan, layer.dtype)
    for gate in contract.gates:
        columns, at = slice(at, at + layer.widths[gate]), at + layer.widths[gate]
        if gate in known:
            found[gate] = known[gate], columns
            ends[:, columns] = np.reshape(inner_ends(known[gate], threshold), (2, 1))
    return ends, found


def refuse_to_count(online: Any, saturation: Any) -> None:
    """`ValueError` where a stream that learns would count."""
    if online is not None and saturation is not False:
        raise ValueError("a stream that learns does not count: leave out saturation, or online")
