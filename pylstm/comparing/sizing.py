"""Sizes of the cells of a comparison: those given, and the one that brings a model to the budget of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.options import call_text, called, name_of, split
from pylstm.cells.contracts.sizes import fitting
from pylstm.cells.widths import Widths, factors
from pylstm.checks import check_size
from pylstm.comparing.tasks import Task
from pylstm.hints import explained
from pylstm.layers.arguments import find_cell
from pylstm.layers.constants import constant_rows

TOLERANCE = 0.05
"""How far from the budget the number of parameters may be without a note."""


@dataclass(frozen=True)
class Entry:
    """A cell with the options and sizes that are given; `sizes` have only the latter."""

    cell: Any
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``mlstm(heads=4)``: the cell, its options that are not the defaults, and the sizes that are given."""
        name = name_of(self.cell)
        if not self.sizes:
            return name
        return f"{name[:-1]}, {call_text(self.sizes)})" if name.endswith(")") else f"{name}({call_text(self.sizes)})"


def entry_of(cell: Any) -> Entry:
    """The entry of a name, ``"mlstm(heads=4)"``, a class, or a pair ``(MyCell, {"heads": 4})``.

    Raises
    ------
    LookupError, TypeError, ValueError
        No such cell, size or option; a value that it cannot have.

    Examples
    --------
    >>> entry_of("mlstm(heads=4)").sizes
    {'heads': 4}
    """
    given: Mapping[str, Any] = {}
    if isinstance(cell, str):
        cell, given = called(cell)
    elif isinstance(cell, tuple) and len(cell) == 2 and isinstance(cell[1], Mapping):
        cell, given = cell
    found, sizes = split(find_cell(cell), given)
    for name in ("input_size", "hidden_size"):
        if name in sizes:
            raise ValueError(f"{name} cannot be given: the task and the number of parameters decide it")
    found.contract.resolve(1, 1, **dict.fromkeys(found.contract.sizes, 1) | dict.fromkeys(sizes, 1))  # names
    return Entry(found, {name: check_size(name, value) for name, value in sizes.items()})


def extra_sizes(cell: Any, hidden_size: int) -> dict[str, int]:
    """The sizes that a cell has no default for (``proj_size`` of ``lstmp``): half of the hidden size, at least 1.

    Examples
    --------
    >>> from pylstm import plugins
    >>> extra_sizes(plugins.registry().get("lstmp"), 25)
    {'proj_size': 12}
    """
    return {name: max(1, hidden_size // 2) for name, default in cell.contract.sizes.items() if default is None}


def count_params(cell: Any, task: Task, hidden_size: int, sizes: Mapping[str, int] | None = None) -> int:
    """Number of parameters of a model of these sizes, without constants."""
    contract, widths = cell.contract, _widths(cell, task, hidden_size, sizes or {})
    shapes, held = contract.parameter_shapes(widths), constant_rows(contract, widths)
    layer = sum(math.prod(shape) for shape in shapes.values())
    layer -= sum((last - first) * math.prod(shapes[name][1:]) for name, rows in held.items() for first, last in rows)
    head = (widths[contract.output] + 1) * task.output_size
    return int(layer + head + task.vocabulary * task.input_size)


def _widths(cell: Any, task: Task, hidden_size: int, sizes: Mapping[str, int]) -> Widths:
    extra = extra_sizes(cell, hidden_size) | dict(sizes)
    found: Widths = cell.contract.resolve(task.input_size, hidden_size, **extra)
    return found


def state_size(cell: Any, task: Task, hidden_size: int, sizes: Mapping[str, int]) -> int:
    """How many numbers a row of the batch remembers from step to step."""
    widths = _widths(cell, task, hidden_size, sizes)
    return sum(widths[name] for name in cell.contract.states)


def growing(entry: Entry, task: Task) -> str:
    """The size that decides how many parameters a cell has: ``"hidden_size"``, or where nothing depends on it its own.

    Of its own sizes, those that are not given: the one in most of the widths, as ``heads`` in ``heads * key``; of
    several, one in the width of the output. ``""``: there is none.
    """
    cell, given = entry.cell, dict(entry.sizes)

    def grows(name: str) -> bool:
        few, many = ((n, given) if name == "hidden_size" else (1, given | {name: n}) for n in (64, 128))
        return count_params(cell, task, *few) < count_params(cell, task, *many)

    if grows("hidden_size"):
        return "hidden_size"
    widths, output = cell.contract.widths, factors(cell.contract.widths.get(cell.contract.output, 1))[1]
    own = [name for name in cell.contract.sizes if name not in given and grows(name)]
    uses = {name: (sum(name in factors(width)[1] for width in widths.values()), name in output) for name in own}
    return max(own, key=lambda name: uses[name], default="")


def sizes_for(entry: Entry, task: Task, budget: int) -> tuple[int, dict[str, int]]:
    """The hidden size and the other sizes, of a model that is nearest to `budget` parameters.

    The hidden size of a cell in which nothing depends on it is the width of its output.

    Raises
    ------
    ValueError
        Even the smallest model has more than `budget` parameters (beyond the tolerance of 5 %).
    """
    cell, given, name = entry.cell, dict(entry.sizes), growing(entry, task)

    def fit(size: int) -> int:
        """The next size that the groups and structures of the cell fit."""
        if name != "hidden_size":
            return size
        sizes = {"input_size": task.input_size, "hidden_size": size, **extra_sizes(cell, size), **given}
        return fitting(cell, sizes, inputs=False)["hidden_size"]

    def sizes(size: int) -> tuple[int, dict[str, int]]:
        if name == "hidden_size":
            return size, given
        all_sizes = given | {name: size} if name else given
        return _widths(cell, task, 1, all_sizes)[cell.contract.output], all_sizes

    def count(size: int) -> int:
        return count_params(cell, task, *sizes(size))

    smallest = count(fit(1))
    if smallest > budget * (1 + TOLERANCE):
        what = "unit" if name == "hidden_size" else name or "model"
        units = f"one {what} needs" if fit(1) == 1 else f"{fit(1)} units need"
        raise ValueError(f"{budget} parameters are too few: {units} {smallest}, for the {task.name} task")
    low, high = 1, 2 if name else 1
    while name and count(fit(high)) < budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(fit(middle)) < budget else (low, middle)
    return sizes(min((fit(low), fit(high)), key=lambda size: abs(count(size) - budget)))


@explained()
def hidden_size_for(cell: type[Cell], task: Task, budget: int) -> int:
    """The hidden size whose model is nearest to `budget` parameters; of two equally near, the smaller.

    Raises
    ------
    ValueError
        Even the smallest model has more than `budget` parameters (beyond the tolerance of 5 %).

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> from pylstm.comparing import adding
    >>> size = hidden_size_for(LSTM, adding(), 10_000)
    >>> size, count_params(LSTM, adding(), size)
    (48, 9841)
    """
    return sizes_for(Entry(cell), task, budget)[0]
