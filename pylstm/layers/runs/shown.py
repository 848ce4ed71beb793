"""`run_table`: a run as a table for notebooks, a line for each of its arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pylstm.markup import table

MOST = 1 << 24
"""Most numbers of an array of which the statistics are shown: it takes a tenth of a second."""
HEADER = ("array", "shape", "least", "mean", "largest", "not finite")


def run_table(run: Any) -> str:
    """HTML: the arrays of a run, those of every layer below its name; of ragged rows the steps inside alone."""
    first = run
    while hasattr(first, "layers"):
        first = first.layers[0]
    output = _line("y", run.y, first)
    return table(repr(run), HEADER, [output, *_rows(run, "")])


def _rows(run: Any, where: str) -> Iterator[tuple[Any, ...]]:
    if hasattr(run, "layers"):
        for number, each in enumerate(run.layers):
            yield from _rows(each, f"{where}layers[{number}].")
        return
    if where:
        yield (f"{where.rstrip('.')}: {run!r}",)
    kinds: dict[str, Any] = {}
    try:
        kinds = {"gates": run.gates, "states": run.states, "emissions": run.emissions}
    except RuntimeError:  # no tape
        kinds = {"final": run.final}
    for kind, arrays in kinds.items():
        for name, array in arrays.items():
            yield _line(f"{kind}[{name!r}]", array, run)


def _line(name: str, array: Any, run: Any) -> tuple[Any, ...]:
    if array.size > MOST:
        return name, array.shape, "", "", "", ""
    values = _inside(array, run)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return name, array.shape, "", "", "", values.size
    numbers = float(finite.min()), float(finite.mean(dtype="float64")), float(finite.max())
    return name, array.shape, *numbers, values.size - finite.size


def _inside(array: Any, run: Any) -> Any:
    """The values of the steps within the lengths of the rows."""
    lengths = getattr(run, "lengths", None)
    if lengths is None or array.ndim != 3:
        return array
    steps = array.swapaxes(0, 1) if run.layer.batch_first else array
    return steps[np.arange(len(steps))[:, None] < lengths + (len(steps) - run._T)]
