"""Conversion of the weights of one layer and direction between other libraries and pylstm.

There: a matrix for x and one for h, their row blocks in the order of the library's gates, and two biases, one fed
with each. Both are added wherever a gate is fed by x and by h; there our one bias is their sum. The candidate of the
GRU whose reset gate comes after the product has two that are not added: its bias for x is that of our gate ``n``, its
bias for h that of ``m``. A projection is one more matrix, here and there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import check_array
from pylstm.interop.gate_orders import PROJECTIONS, gate_order
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.composite import Composite
from pylstm.layers.named import Recurrent
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack
from pylstm.wording import named


def rows_of(layer: Any) -> list[list[Any]]:
    """The single layers of `layer`, by layer and direction, of whatever cells; `TypeError` for no recurrent layer."""
    if not isinstance(layer, Recurrent | Composite):
        raise TypeError(f"layer must be a Recurrent, Stack or Bidirectional, got {named(layer)}")
    return [
        [part.forward, part.reverse] if isinstance(part, Bidirectional) else [part]
        for part in (layer.layers if isinstance(layer, Stack) else [layer])
    ]


def directions_of(library: str, layer: Any) -> list[list[Recurrent]]:
    """The single layers of `layer`, by layer and direction; all with the same cell, hidden size and bias.

    Raises
    ------
    TypeError
        No recurrent layer, different cells, or a cell that `library` does not have.
    ValueError
        Different hidden sizes, or only some with a bias.
    """
    rows = rows_of(layer)
    first = rows[0][0]
    gate_order(library, first.cell.name)
    for each in (leaf for row in rows for leaf in row):
        if each.cell is not first.cell:
            raise TypeError(
                f"all layers must have the same cell for {library}, got {first.cell.name!r} and {each.cell.name!r}"
            )
        if (each.hidden_size, each.sizes, each.bias) != (first.hidden_size, first.sizes, first.bias):
            raise ValueError(
                f"all layers must have the same hidden size and bias for {library}, got {first!r} and {each!r}"
            )
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"all layers must have two directions, or none, for {library}")
    return rows


def shapes_of(library: str, layer: Recurrent) -> tuple[tuple[int, ...], ...]:
    """Shapes of the matrix for x, of that for h, and of each bias."""
    rows = len(gate_order(library, layer.cell.name)[0]) * layer.hidden_size
    return (rows, layer.input_size), (rows, layer.output_size), (rows,)


def projection_of(layer: RecurrentLayer) -> str | None:
    """Our name of the matrix (output_size, hidden_size) that makes the output of the hidden units, if there is one."""
    source = PROJECTIONS.get(layer.cell.name)
    return source and f"weight_{source}"


def read_weights(
    library: str, layer: Recurrent, name: str, arrays: tuple[Any, Any], biases: tuple[Any, ...], projection: Any = None
) -> dict[str, np.ndarray]:
    """Our parameters, by name, from the arrays of `library`.

    Parameters
    ----------
    library : str
        Of `gate_orders`.
    layer : Recurrent
    name : str
        For messages: what to call the arrays.
    arrays : pair of array_like
        For x (rows, input_size) and for h (rows, output_size).
    biases : tuple of array_like
        For x and, if there is one, for h, (rows,) each; empty for a layer without bias.
    projection : array_like
        (output_size, hidden_size), where the cell has one.

    Raises
    ------
    TypeError, ValueError
        Another dtype than that of `layer`; another shape.
    """
    contract, hidden = layer.cell.contract, layer.hidden_size
    x_gates, h_gates = gate_order(library, contract.name)
    *shapes, bias_shape = shapes_of(library, layer)
    for_x, for_h = (
        _blocks(gates, check_array(f"{name} for {source}", array, shape, layer.dtype), hidden)
        for gates, source, array, shape in zip((x_gates, h_gates), "xh", arrays, shapes)
    )
    values, projected = {}, projection_of(layer)
    for source in contract.sources:
        if f"weight_{source}" == projected:
            shape = (layer.output_size, hidden)
            values[projected] = check_array(f"{name}: projection", projection, shape, layer.dtype)
            continue
        blocks = for_x if source == "x" else for_h
        values[f"weight_{source}"] = np.concatenate([blocks[gate] for gate in contract.gates_of(source)])
    if layer.bias:
        sums = {gate: np.zeros(hidden, layer.dtype) for gate in contract.biased}
        for gates, bias in zip((x_gates, h_gates), biases):
            for gate, block in _blocks(
                gates, check_array(f"{name}: bias", bias, bias_shape, layer.dtype), hidden
            ).items():
                with np.errstate(invalid="ignore", over="ignore"):
                    sums[gate] = sums[gate] + block
        values["bias"] = np.concatenate([sums[gate] for gate in contract.biased])
    return values


def write_weights(library: str, layer: Recurrent) -> tuple[np.ndarray, ...]:
    """The inverse of `read_weights`: for x, for h, and with a bias that for x and that for h; without the projection.

    A bias whose gate is fed by x stands in that for x (with zeros in that for h where the gate is fed by h too).
    """
    if layer.learn_initial:
        raise ValueError(
            f"layers of {library} hold no initial states, but this layer learns {', '.join(layer.learn_initial)}: "
            "pass these states to each call there, and convert a copy without learn_initial"
        )
    return weights_of(library, layer)


def weights_of(library: str, layer: RecurrentLayer) -> tuple[np.ndarray, ...]:
    """What `write_weights` returns; learned initial states are left aside."""
    contract, hidden, params = layer.cell.contract, layer.hidden_size, layer.params
    x_gates, h_gates = gate_order(library, contract.name)
    for_h: dict[str, np.ndarray] = {}
    for source in contract.sources:
        if f"weight_{source}" == projection_of(layer):
            continue
        blocks = _blocks(contract.gates_of(source), params[f"weight_{source}"], hidden)
        if source == "x":
            for_x = blocks
        else:
            for_h |= blocks
    out = [_rows(x_gates, for_x), _rows(h_gates, for_h)]
    if layer.bias:
        biases = _blocks(contract.biased, params["bias"], hidden)
        out.append(_rows(x_gates, biases))
        out.append(_rows(tuple("" if gate in x_gates else gate for gate in h_gates), biases))
    return tuple(out)


def _blocks(gates: tuple[str, ...], array: np.ndarray, hidden: int) -> dict[str, np.ndarray]:
    """Gate -> its rows; of ``-f`` the negative, of an empty name none."""
    blocks = zip(gates, array.reshape(len(gates), hidden, *array.shape[1:]))
    return {gate.removeprefix("-"): -block if gate.startswith("-") else block for gate, block in blocks if gate}


def _rows(gates: tuple[str, ...], blocks: dict[str, np.ndarray]) -> np.ndarray:
    """The inverse of `_blocks`; zeros for an empty name."""
    nothing = np.zeros_like(next(iter(blocks.values())))
    taken = (blocks[gate.removeprefix("-")] if gate else nothing for gate in gates)
    return np.concatenate([-block if gate.startswith("-") else block for gate, block in zip(gates, taken)])


KINDS = {1: "a plain RNN", 3: "a GRU", 4: "an LSTM"}
"""Blocks of rows -> the kind of layer that has so many."""


def refuse_other_kind(library: str, layer: Recurrent, name: str, recurrent: Any, hidden: int) -> None:
    """`ValueError` if the matrix for h (rows, ...) has the blocks of another kind of layer.

    Parameters
    ----------
    library, layer
        As for `read_weights`.
    name : str
        For messages: what to call the weights.
    recurrent : array_like
        Its first axis counts; what has none is left to later checks.
    hidden : int
        Rows of a block.
    """
    rows = (getattr(recurrent, "shape", ()) or (0,))[0]
    theirs, ours = rows / hidden if hidden else 0, len(gate_order(library, layer.cell.name)[0])
    if theirs in KINDS and theirs != ours:
        raise ValueError(
            f"{name} of {KINDS[int(theirs)]} ({int(theirs)} block{'s' * (theirs > 1)} of {hidden} rows), but the layer "
            f"is {KINDS[ours]}, {layer!r}: make a layer of that kind"
        )
