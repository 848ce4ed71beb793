"""Kinds of matrices: whole, blocks, a diagonal, a mask, or made of other numbers.

Of every kind: what is stored for a gate, the matrix U (N, K) that it stands for, and the way back from the cotangent of
U to that of what is stored. Blocks, diagonals, and masks of rectangles, cost the time loop what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from pylstm.cells.widths import evaluated

Array = np.ndarray
Sizes = Mapping[str, int]

MOST_RECTANGLES = 64
"""The largest number that is multiplied by themselves; a mask of more is multiplied as a whole matrix."""


@dataclass(frozen=True)
class Rectangle:
    """Rows and columns of U that are multiplied; their numbers begin at (`row`, `stored`) of what is stored."""

    row: int
    rows: int
    column: int
    columns: int
    stored: int = 0


class Dense:
    """U is stored."""

    def __init__(self, argument: Any = None) -> None:
        self.argument = argument

    def __repr__(self) -> str:
        name = re.sub("(?<!^)([A-Z])", r"_\1", type(self).__name__).lower()
        return name if self.argument is None else f"{name}({self.argument})"

    def by_gate(self, gates: Sequence[int], K: int, sizes: Sizes) -> list[Dense]:
        """The kind of every gate's matrix, for gates of these widths."""
        return [self] * len(gates)

    def refusal(self, N: int, K: int, sizes: Sizes) -> str:
        """Why no matrix of this shape can be one; ``""`` if it can."""
        return ""

    def columns(self, K: int, sizes: Sizes) -> int:
        """What is stored has the shape (N, columns)."""
        return K

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        """U (N, K) of what is stored."""
        return W

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        """The cotangent of what is stored."""
        return dU

    def along(self, dW: Array, W: Array, K: int, sizes: Sizes) -> Array:
        """The derivative of U as W moves by dW."""
        return self.matrix(dW, K, sizes)

    def pull_along(self, dU: Array, dW: Array, W: Array, sizes: Sizes) -> Array:
        """The derivative of what `pull` returns for this dU, as W moves by dW."""
        return np.zeros_like(W)

    def rectangles(self, N: int, K: int, sizes: Sizes) -> list[Rectangle] | None:
        """What the time loop multiplies of what is stored; None: it needs U."""
        return [Rectangle(0, N, 0, K)]

    def rows_of_block(self, N: int, sizes: Sizes) -> int:
        """Rows that an initialiser draws by themselves."""
        return N

    def number(self, sizes: Sizes) -> int:
        """The argument."""
        return evaluated(self.argument, sizes)


class Blocks(Dense):
    """U is block-diagonal: of n blocks, each sends K / n columns of the source to N / n rows of the gate."""

    def refusal(self, N: int, K: int, sizes: Sizes) -> str:
        n = self.number(sizes)
        return f"{n} blocks do not divide its shape {(N, K)}" if N % n or K % n else ""

    def columns(self, K: int, sizes: Sizes) -> int:
        return K // self.number(sizes)

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        U = np.zeros((len(W), K), W.dtype)
        for each in self.rectangles(len(W), K, sizes):
            U[_place(each)] = W[each.row : each.row + each.rows]
        return U

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        N, K = dU.shape
        return np.concatenate([dU[_place(each)] for each in self.rectangles(N, K, sizes)])

    def rows_of_block(self, N: int, sizes: Sizes) -> int:
        return N // self.number(sizes)

    def rectangles(self, N: int, K: int, sizes: Sizes) -> list[Rectangle]:
        n = self.number(sizes)
        return [Rectangle(b * N // n, N // n, b * K // n, K // n) for b in range(n)]


class Diagonal(Dense):
    """U = diag(w): a unit sees itself alone."""

    def refusal(self, N: int, K: int, sizes: Sizes) -> str:
        return f"its shape {(N, K)} is not square" if N != K else ""

    def columns(self, K: int, sizes: Sizes) -> int:
        return 1

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        return np.diag(W[:, 0])

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        return np.diag(dU)[:, None]

    def rows_of_block(self, N: int, sizes: Sizes) -> int:
        return 1


class Mask(Dense):
    """U = W where the mask is not 0, and 0 elsewhere; the mask of a gate, or of all gates, one below the other."""

    def __init__(self, argument: Any = None) -> None:
        super().__init__(argument)
        self._known: dict[tuple[tuple[str, int], ...], Array] = {}

    def by_gate(self, gates: Sequence[int], K: int, sizes: Sizes) -> list[Dense]:
        mask = self.mask(sizes)
        if len(gates) == 1 or mask.shape != (sum(gates), K):
            return [self] * len(gates)
        return [Mask(part) for part in np.split(mask, np.cumsum(gates)[:-1])]

    def __repr__(self) -> str:
        return "mask"

    def mask(self, sizes: Sizes) -> Array:
        """The mask, as bools, made once for each sizes.

        Raises
        ------
        ValueError
            The function fails or gives another mask the second time; values other than 0 and 1.
        """
        key = tuple(sizes.items())
        if key not in self._known:
            mask = self._made(sizes)
            if not np.array_equal(mask, self._made(sizes)):
                raise ValueError(
                    "the function of its mask gives another one at every call: make its generator in the function, "
                    "from a number, np.random.default_rng(0)"
                )
            mask.flags.writeable = False
            self._known[key] = mask
        return self._known[key]

    def _made(self, sizes: Sizes) -> Array:
        given = self.argument
        if callable(given):
            try:
                given = given(SimpleNamespace(**sizes))
            except Exception as error:  # of the user's function
                raise ValueError(
                    f"the function of its mask gets the sizes ({', '.join(sizes)}), read as size.hidden_size, and "
                    f"failed ({type(error).__name__}: {error})"
                ) from error
        mask = np.asarray(given)
        if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
            raise ValueError(
                "its mask must hold only 0 and 1, or bools: a matrix that is not trained is a constant, "
                'constants = {"weight_h": matrix}'
            )
        found: Array = mask != 0
        return found

    def refusal(self, N: int, K: int, sizes: Sizes) -> str:
        shape = self.mask(sizes).shape
        return f"the mask has the shape {shape}, that of a gate must have {(N, K)}" if shape != (N, K) else ""

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        return np.where(self.mask(sizes), W, W.dtype.type(0))

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        return np.where(self.mask(sizes), dU, dU.dtype.type(0))

    def rectangles(self, N: int, K: int, sizes: Sizes) -> list[Rectangle] | None:
        mask, found, row = self.mask(sizes), list[Rectangle](), 0
        while row < N:  # runs of equal rows, and of each the runs of columns
            rows = 1
            while row + rows < N and (mask[row + rows] == mask[row]).all():
                rows += 1
            ends = np.flatnonzero(np.diff(mask[row].astype(int), prepend=0, append=0)).reshape(-1, 2)
            found += [Rectangle(row, rows, int(first), int(last - first), int(first)) for first, last in ends]
            if len(found) > MOST_RECTANGLES:
                return None
            row += rows
        return found


class Antisymmetric(Diagonal):
    """U = W - W^T: its eigenvalues are imaginary (Chang et al. 2019, AntisymmetricRNN, section 3.2)."""

    def columns(self, K: int, sizes: Sizes) -> int:
        return K

    def rows_of_block(self, N: int, sizes: Sizes) -> int:
        return N

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        U: Array = W - W.T
        return U

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        dW: Array = dU - dU.T
        return dW

    def rectangles(self, N: int, K: int, sizes: Sizes) -> None:
        return None


class Orthogonal(Antisymmetric):
    r"""U = (I + A)^{-1} (I - A) with A = W - W^T, Cayley's transform (Helfrich, Willmott and Ye 2018, scoRNN).

    Householder reflections would be N dependent products; this is one system of equations, always well conditioned as
    \|(I + A)^{-1}\| <= 1, and each step of an optimiser on W stays among the orthogonal matrices. Not reached are those
    with the eigenvalue -1. With M = (I + A)^{-1}, (I + U) / 2 too, a change dA of A is dU = -2 M dA M and dM = -M dA M.
    """

    def matrix(self, W: Array, K: int, sizes: Sizes) -> Array:
        I, A = np.eye(K, dtype=W.dtype), W - W.T
        return np.linalg.solve(I + A, I - A)

    def pull(self, dU: Array, W: Array, sizes: Sizes) -> Array:
        M = self._inverse(W)
        dA = -2 * M.T @ dU @ M.T
        dW: Array = dA - dA.T
        return dW

    def along(self, dW: Array, W: Array, K: int, sizes: Sizes) -> Array:
        M = self._inverse(W)
        moved: Array = -2 * M @ (dW - dW.T) @ M
        return moved

    def pull_along(self, dU: Array, dW: Array, W: Array, sizes: Sizes) -> Array:
        M = self._inverse(W)
        dM = -M @ (dW - dW.T) @ M
        dA = -2 * (dM.T @ dU @ M.T + M.T @ dU @ dM.T)
        moved: Array = dA - dA.T
        return moved

    def _inverse(self, W: Array) -> Array:
        """(I + A)^{-1}."""
        inverse: Array = np.linalg.inv(np.eye(len(W), dtype=W.dtype) + W - W.T)
        return inverse


class LowRank(Dense):
    """U = W F: W (N, r) of each gate, and one F (r, K) for all, which is `Matrix`'s to multiply with."""

    def columns(self, K: int, sizes: Sizes) -> int:
        return self.number(sizes)

    def rectangles(self, N: int, K: int, sizes: Sizes) -> None:
        return None


def _place(each: Rectangle) -> tuple[slice, slice]:
    return slice(each.row, each.row + each.rows), slice(each.column, each.column + each.columns)
