"""`saturation`: gates that stand at an end of the range of their activation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells import FormulaError, derive
from pylstm.cells.formula.graph import below
from pylstm.checks import Array, check_number
from pylstm.diagnostics.steps import by_step, check_run

Ends = tuple[float, float]
ANYTHING = (-math.inf, math.inf)
RANGES: dict[str, Ends] = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "abs": (0.0, math.inf),
    "sqrt": (0.0, math.inf),
}
"""Operation of a formula -> the range of its values."""


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


def saturation(run: Any, threshold: float = 0.05) -> dict[str, GateSaturation]:
    """How often the gates of a run stand at an end of the range of their activation, where they pass no gradient.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    threshold : float
        How near the end, as a share of the range: with 0.05 a sigmoid below 0.05 or above 0.95, a tanh below -0.9 or
        above 0.9. Where the range has no upper end, such as that of a relu, a value counts that is the lower end
        itself.

    Returns
    -------
    dict of str to GateSaturation
        Gate -> its shares, in the order of the gates. A gate without a bounded activation has none: what the cell
        leaves of it is its pre-activation, a quotient, or the cell is no formula.

    Raises
    ------
    TypeError, ValueError
        The run of a stack or two directions; a threshold that is not between 0 and 0.5.
    RuntimeError
        A run without a tape.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import saturation
    >>> layer = pylstm.LSTM(2, 4, seed=0).initialise("gate_bias", "f", 9.0)
    >>> found = saturation(layer(np.ones((6, 1, 2), "float32")))
    >>> list(found), float(found["f"].high.mean()), float(found["i"].high.mean())
    (['i', 'f', 'g', 'o'], 1.0, 0.0)
    """
    check_run(run)
    if not 0 < check_number("threshold", threshold) < 0.5:
        raise ValueError(f"threshold must be between 0 and 0.5, got {threshold!r}")
    lengths, found = getattr(run, "lengths", None), {}
    inside = np.ones((run._T, run._B), bool) if lengths is None else np.arange(run._T)[:, None] < lengths
    for name, (low, high) in ranges(run.layer.cell).items():
        values = by_step(run, run.gates[name])[inside]
        near = threshold * (high - low) if math.isfinite(high - low) else 0.0
        shares = [(values <= low + near), (values >= high - near)]
        found[name] = GateSaturation((low, high), *(_mean(each) for each in shares))
    return found


def _mean(flags: np.ndarray) -> Array:
    found: Array = flags.mean(axis=0) if len(flags) else np.zeros(flags.shape[1])
    return found


def ranges(cell: Any) -> dict[str, Ends]:
    """Gate -> the range of what the cell leaves of it, for gates that have an end.

    Examples
    --------
    >>> import pylstm
    >>> ranges(pylstm.cells.LSTM)
    {'i': (0.0, 1.0), 'f': (0.0, 1.0), 'g': (-1.0, 1.0), 'o': (0.0, 1.0)}
    """
    try:
        stages = derive(cell).stages.values()
    except FormulaError:
        return {}
    nodes = {gate: node for stage in stages for gate, node in stage.slots.items()}
    found = {gate: range_of(nodes[gate]) for gate in cell.contract.gates if gate in nodes}
    return {gate: ends for gate, ends in found.items() if ends != ANYTHING and ends[0] < ends[1]}


def range_of(node: Any) -> Ends:
    """An interval that contains the values of an expression, by the intervals of its arguments."""
    known: dict[Any, Ends] = {}
    for each in below([node]):
        known[each] = _of(each, [known[argument] for argument in each.args])
    return known[node]


def _of(node: Any, args: list[Ends]) -> Ends:
    if node.op == "const":
        return node.value, node.value
    if node.op in RANGES:
        return RANGES[node.op]
    if node.op in ("min", "max"):
        pick = min if node.op == "min" else max
        return pick(args[0][0], args[1][0]), pick(args[0][1], args[1][1])
    if node.op == "where":
        return min(args[1][0], args[2][0]), max(args[1][1], args[2][1])
    if node.op == "neg":
        return -args[0][1], -args[0][0]
    if node.op in ("add", "sub"):
        (a, b), (c, d) = args
        return (a + c, b + d) if node.op == "add" else (a - d, b - c)
    if node.op == "mul" and all(math.isfinite(each) for pair in args for each in pair):
        corners = [a * b for a in args[0] for b in args[1]]
        return min(corners), max(corners)
    return ANYTHING
