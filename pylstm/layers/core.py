"""`core_of`: a cell's contract in numbers for the time loop: blocks, products, biases."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.structures import Diagonal, Rectangle
from pylstm.cells.widths import Widths
from pylstm.engine.plan import SOURCES, Core

FROM_X, FROM_STATE, FROM_EMISSION = SOURCES


def core_of(kernel: Any, contract: Contract, widths: Widths, shapes: dict[str, tuple[int, ...]], dtype: Any) -> Core:
    """The `Core` of a layer.

    Parameters
    ----------
    kernel : PyCapsule
        The cell's row hooks.
    contract : Contract
    widths : Widths
        What ``contract.resolve`` returned.
    shapes : dict of str to tuple
        Shapes of the arrays in the flat buffer, in their order: of the parameters, but whole matrices where they have
        to be made (`pylstm.layers.inputs.made`).
    dtype : dtype
    """
    starts, at = {}, 0
    for name, shape in shapes.items():
        starts[name] = at
        at += int(np.prod(shape))
    aux_x = contract.aux.index("x") if "x" in contract.aux else -1
    return Core(
        kernel,
        np.dtype(dtype).itemsize,
        [[widths[name] for name in names] for names in contract.blocks.values()],
        _products(contract, widths, starts, shapes),
        _biases(contract, widths, starts),
        [starts[name] for name in contract.params],
        input_size=widths["x"],
        output=contract.states.index(contract.output),
        aux_x=aux_x,
        n_parameters=at,
        elementwise=contract.elementwise,
    )


def _columns(contract: Contract, widths: dict[str, int]) -> dict[str, int]:
    """First column of every gate among the pre-activations of a row."""
    columns, at = {}, 0
    for gate in contract.gates:
        columns[gate] = at
        at += widths[gate]
    return columns


def _products(
    contract: Contract, widths: Widths, starts: dict[str, int], shapes: dict[str, tuple[int, ...]]
) -> list[list[int]]:
    """(source, index, stage, column, N, first, K, width, weight, stride, diagonal, adds) of every linear map.

    Neighbours below each other are one: gates of a plain matrix, and rectangles of the same columns.
    """
    columns, products = _columns(contract, widths), list[list[int]]()
    stage_of = {gate: number for number, stage in enumerate(contract.stages) for gate in stage.gates}
    for source, matrix in contract.matrices(widths).items():
        kind, index = _kind(contract, source)
        gates, start, width = contract.gates_of(source), starts[f"weight_{source}"], widths[source]
        stride, native = shapes[f"weight_{source}"][1], source in contract.structure and not matrix.made
        diagonal = isinstance(matrix.structure.kind, Diagonal) and native
        whole = [(k, sum(matrix.gates[:k]), Rectangle(0, N, 0, width)) for k, N in enumerate(matrix.gates)]
        for number, row, part in matrix.rectangles() if native else whole:
            stage = stage_of[gates[number]] if kind == FROM_EMISSION else -1
            column, weight = columns[gates[number]] + part.row, start + (row + part.row) * stride + part.stored
            each = [kind, index, stage, column, part.rows, part.column, part.columns, width, weight, stride, diagonal]
            last = products[-1] if products else None
            if last and _continues(last, each):
                last[4] += part.rows
            else:
                products.append([*each, source == "x" and native])
    return products


def _continues(last: list[int], each: list[int]) -> bool:
    """Whether a product has its rows below those of `last`, of the same columns, and its weights after it."""
    below = last[3] + last[4] == each[3] and last[8] + last[4] * last[9] == each[8]
    return below and last[:3] == each[:3] and last[5:8] == each[5:8] and not each[10]


def _kind(contract: Contract, source: str) -> tuple[int, int]:
    if source == "x":
        return FROM_X, 0
    if source in contract.states:
        return FROM_STATE, contract.states.index(source)
    return FROM_EMISSION, contract.emissions.index(source)


def _biases(contract: Contract, widths: Widths, starts: dict[str, int]) -> list[list[int]]:
    """(column, N, weight or -1, from_x) of every run of gates with the same answer to both questions."""
    columns, biases = _columns(contract, widths), list[list[int]]()
    weight = starts.get("bias", -1)
    adds_x = "x" in contract.structure and not contract.matrices(widths)["x"].made
    for gate in contract.gates:
        N, from_x = widths[gate], "x" in contract.gate_sources[gate] and not adds_x
        has_bias = weight >= 0 and gate in contract.biased
        last = biases[-1] if biases else None
        if last and last[3] == from_x and (last[2] >= 0) == has_bias:
            last[1] += N
        else:
            biases.append([columns[gate], N, weight if has_bias else -1, from_x])
        weight += N if has_bias else 0
    return biases
