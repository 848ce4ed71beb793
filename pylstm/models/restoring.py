"""Constructor arguments of a model from the metadata of a file."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from pylstm.cells.contracts.options import base_of, changed
from pylstm.schema import Entries, is_number


def own_options(cell: Any) -> dict[str, Any]:
    """The options of a cell class that are not the defaults: in a file it is its name and these."""
    return {} if isinstance(cell, str) else changed(cell)


def held(layer: Any) -> Any:
    """The cell that a model is given for another fit: its registered name, else the class, its options aside."""
    from pylstm.plugins import registry

    cell = base_of(leaf_of(layer).cell)
    registered = cell.name in registry().names() and registry().entry(cell.name).cell is cell
    return cell.name if registered else cell


def leaf_of(layer: Any) -> Any:
    """The first single layer."""
    return getattr(layer, "recurrents", [layer])[0]


def check_certified(given: Entries, layer: Any) -> dict[str, bool]:
    """``certified=False`` where the layers of a file were loaded as such; a file cannot ask for it otherwise."""
    certified = leaf_of(layer).certified
    if certified and "certified" in given.value and not given.flag("certified"):
        given.refuse("must be true, as of the layers", False, "certified")
    return {} if certified else {"certified": False}


def constructor_options(model: type, says: Entries, layer: Any) -> dict[str, Any]:
    """``metadata.options`` of a model: arguments of its constructor, and sizes and options of the cell.

    Raises
    ------
    ValueError
        An unknown name; a value of another type than the default; another dtype or cell than those of the layers.
    """
    cell, given = leaf_of(layer).cell, says.entries("options")
    if says.text("cell") != cell.name:
        says.refuse(f"must be {cell.name!r}, the cell of the layers", says.value["cell"], "cell")
    usual = {name: each.default for name, each in inspect.signature(model).parameters.items()}
    usual = {name: value for name, value in usual.items() if not (value is inspect.Parameter.empty or name == "cell")}
    given.only((*usual, "certified", *cell.contract.sizes, *cell.options))
    usual |= {"certified": True}
    for name, value in given.value.items():
        _check(given, name, value, usual.get(name, 1 if name in cell.contract.sizes else cell.options.get(name)))
    if "dtype" in given.value and given.text("dtype") != np.dtype(layer.dtype).name:
        given.refuse(f"must be {layer.dtype}, the dtype of the layers", given.value["dtype"], "dtype")
    return {**given.value, **check_certified(given, layer)}


def _check(given: Entries, name: str, value: Any, default: Any) -> None:
    if isinstance(default, bool):
        given.flag(name)
    elif isinstance(default, int):
        given.integer(name, 0)
    elif isinstance(default, float):
        given.number(name)
    elif name == "loss" and isinstance(value, list):
        given.list(name, (int, float))
    elif isinstance(default, str):
        given.text(name)
    elif isinstance(default, tuple) and not all(each > 0 for each in given.list(name, int)):
        given.refuse("must hold integers of at least 1", value, name)
    elif not isinstance(default, tuple) and not (value is None or is_number(value)):
        given.refuse("must be a number or null", value, name)
