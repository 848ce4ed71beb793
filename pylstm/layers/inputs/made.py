"""`Maker`: the matrices of a layer that are made of its parameters before the time loop can multiply with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.matrices import Matrix
from pylstm.cells.widths import Widths
from pylstm.parameters import Parameters

Shapes = dict[str, tuple[int, ...]]


class Maker:
    """The matrices of one layer that are made, and the buffer that the loop takes instead of ``params.flat``.

    Attributes
    ----------
    shapes : dict of str to tuple
        As those of the parameters, but whole matrices in the place of what they are made of.
    size : int
        Elements of the buffer.
    """

    def __init__(self, matrices: dict[str, Matrix], shapes: Shapes) -> None:
        self._matrices = {f"weight_{source}": matrix for source, matrix in matrices.items() if matrix.made}
        within = {name for matrix in self._matrices.values() for name in matrix.shapes()}
        self.shapes: Shapes = {}
        for name, shape in shapes.items():
            if name in self._matrices:
                self.shapes[name] = (sum(self._matrices[name].gates), self._matrices[name].K)
            elif name not in within:
                self.shapes[name] = shape
        self.size = sum(int(np.prod(shape)) for shape in self.shapes.values())

    def make(self, params: Parameters) -> Made:
        """The buffer for the parameters as they are now."""
        flat = np.empty(self.size, params.dtype)
        for name, array in self.views(flat):
            array[...] = self._matrices[name].matrix(params) if name in self._matrices else params[name]
        of = {name: params[name].copy() for matrix in self._matrices.values() for name in matrix.shapes()}
        return Made(self, flat, of)

    def pull(self, dflat: np.ndarray, of: dict[str, np.ndarray], to: Parameters) -> None:
        """Cotangents of the parameters into `to`, from those of the buffer that was made of `of`."""
        for name, array in self.views(dflat):
            found = self._matrices[name].pull(array, of) if name in self._matrices else {name: array}
            for each, value in found.items():
                to[each][...] = value

    def views(self, flat: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """The arrays in a buffer, by name."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()])
        pieces = np.split(flat, ends[:-1])
        return [(name, piece.reshape(shape)) for (name, shape), piece in zip(self.shapes.items(), pieces)]


@dataclass(frozen=True)
class Made:
    """The buffer of a run, and the numbers that its matrices were made of."""

    maker: Maker
    flat: np.ndarray
    of: dict[str, np.ndarray]

    def pull(self, dflat: np.ndarray, like: Parameters) -> np.ndarray:
        """The cotangent of ``params.flat``, from that of the buffer."""
        grads = like.zeros_like()
        self.maker.pull(dflat, self.of, grads)
        flat: np.ndarray = grads.flat
        return flat


def maker_of(contract: Contract, widths: Widths, shapes: Shapes) -> Maker | None:
    """The `Maker` of a layer; None where the time loop multiplies with the parameters themselves."""
    matrices: Any = contract.matrices(widths) if contract.structure else {}
    return Maker(matrices, shapes) if any(matrix.made for matrix in matrices.values()) else None
