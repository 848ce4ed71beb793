"""Initial states that are learned: parameters ``initial_<state>`` of a layer, one number for each unit.

They stand for an initial state that is not given, and are what a row starts from at every reset and in a new stream.
The loop takes them as arrays and knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pylstm.checks import listed
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.parameters import Parameters


def check_learned(learn: bool | Iterable[str], states: tuple[str, ...]) -> tuple[str, ...]:
    """The states to learn, in the order of the cell's.

    Raises
    ------
    ValueError
        A state that the cell does not have.
    """
    if isinstance(learn, bool | np.bool_):
        return states if learn else ()
    names = (learn,) if isinstance(learn, str) else listed("learn_initial", learn, "names of states, or True for all")
    for name in names:
        if name not in states:
            raise ValueError(f"learn_initial: unknown state {name!r} (known: {', '.join(states)})")
    return tuple(name for name in states if name in names)


def rows_of(layer: SingleLayer, name: str, B: int) -> np.ndarray:
    """What B rows of a run start from in the learned state `name`, (B, width)."""
    return np.tile(layer.params[f"initial_{name}"], (B, 1))


def origin_of(layer: SingleLayer, name: str) -> np.ndarray:
    """What a row starts from in state `name`, (width,): a copy of what `layer` has learned, else 0."""
    if name in layer.learn_initial:
        return layer.params[f"initial_{name}"].copy()
    return np.zeros(layer.widths[name], layer.dtype)


def rows_of_learned(layer: SingleLayer, B: int) -> list[np.ndarray | None]:
    """Room by state for the cotangents of what B rows start from, (B, width); None where that is constant."""
    return [
        np.empty((B, layer.widths[name]), layer.dtype) if name in layer.learn_initial else None
        for name in layer.cell.contract.states
    ]


def add_learned(params: Parameters, learned: Iterable[str], rows: dict[str, np.ndarray]) -> None:
    """Add the cotangents (B, width) of the states `learned`, summed over the rows, to those of their parameters."""
    for name in learned:
        params[f"initial_{name}"] += rows[name].sum(axis=0)


def first_states(layer: SingleLayer, batch_size: int) -> bytes:
    """The states, one after the other, that a stream of `layer` begins with."""
    return b"".join(np.tile(origin_of(layer, name), batch_size).tobytes() for name in layer.cell.contract.states)
