"""What was drawn as all parameters are, adjusted to the structure of the matrices: factors of low rank, masks."""

from __future__ import annotations

from pylstm.cells.contracts.structures import LowRank, Mask
from pylstm.layers.inputs.protocols import SingleLayer


def adjust_structured(layer: SingleLayer) -> None:
    """What was drawn as all parameters are, made right for the structure of the matrices.

    The two factors of a low rank are scaled so that their product has the variance of what was drawn; what a mask takes
    away is 0.
    """
    for matrix in layer.cell.contract.matrices(layer.widths).values() if layer.cell.contract.structure else ():
        if isinstance(matrix.structure.kind, LowRank):  # of variance v: r v'^2 = v
            for name in matrix.shapes():
                layer.params[name] *= (3 * layer.hidden_size / matrix.structure.kind.number(matrix.sizes)) ** 0.25
    clear_masked(layer)


def clear_masked(layer: SingleLayer) -> None:
    """Zeros where a mask takes the weights away: they are not read."""
    for source, matrix in layer.cell.contract.matrices(layer.widths).items() if layer.cell.contract.structure else ():
        weight, at = layer.params[f"weight_{source}"], 0
        for kind, rows in zip(matrix.kinds, matrix.stored) if isinstance(matrix.structure.kind, Mask) else ():
            weight[at : at + rows] = kind.matrix(weight[at : at + rows], matrix.K, matrix.sizes)
            at += rows
