"""`core_of`: a cell's contract in numbers for the time loop: blocks, products, biases."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells.contract import Contract
from pylstm.engine.plan import SOURCES, Core

FROM_X, FROM_STATE, FROM_EMISSION = SOURCES


def core_of(
    kernel: Any, contract: Contract, widths: dict[str, int], shapes: dict[str, tuple[int, ...]], dtype: Any
) -> Core:
    """The `Core` of a layer.

    Parameters
    ----------
    kernel : PyCapsule
        The cell's row hooks.
    contract : Contract
    widths : dict of str to int
        What ``contract.resolve`` returned.
    shapes : dict of str to tuple
        Shapes of the parameters in the order of the flat buffer.
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
        _products(contract, widths, starts),
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


def _products(contract: Contract, widths: dict[str, int], starts: dict[str, int]) -> list[list[int]]:
    """(source, index, stage, column, N, K, weight) of every linear map: neighbouring gates of a source are one."""
    columns, products = _columns(contract, widths), list[list[int]]()
    stage_of = {gate: number for number, stage in enumerate(contract.stages) for gate in stage.gates}
    for source in contract.sources:
        kind, index = _kind(contract, source)
        K, weight = widths[source], starts[f"weight_{source}"]
        for gate in contract.gates_of(source):
            stage = stage_of[gate] if kind == FROM_EMISSION else -1
            column, N = columns[gate], widths[gate]
            last = products[-1] if products else None
            if last and last[:3] == [kind, index, stage] and last[3] + last[4] == column:
                last[4] += N
            else:
                products.append([kind, index, stage, column, N, K, weight])
            weight += N * K
    return products


def _kind(contract: Contract, source: str) -> tuple[int, int]:
    if source == "x":
        return FROM_X, 0
    if source in contract.states:
        return FROM_STATE, contract.states.index(source)
    return FROM_EMISSION, contract.emissions.index(source)


def _biases(contract: Contract, widths: dict[str, int], starts: dict[str, int]) -> list[list[int]]:
    """(column, N, weight or -1, from_x) of every run of gates with the same answer to both questions."""
    columns, biases = _columns(contract, widths), list[list[int]]()
    weight = starts.get("bias", -1)
    for gate in contract.gates:
        N, from_x = widths[gate], "x" in contract.gate_sources[gate]
        has_bias = weight >= 0 and gate in contract.biased
        last = biases[-1] if biases else None
        if last and last[3] == from_x and (last[2] >= 0) == has_bias:
            last[1] += N
        else:
            biases.append([columns[gate], N, weight if has_bias else -1, from_x])
        weight += N if has_bias else 0
    return biases
