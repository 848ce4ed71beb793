"""`Matrix`: the matrix ``weight_<source>`` of a cell at given sizes, with the `Structure` that the cell declares."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from pylstm.cells.contracts.expansion import written_source
from pylstm.cells.contracts.structures import (
    MOST_RECTANGLES,
    Antisymmetric,
    Array,
    Blocks,
    Dense,
    Diagonal,
    LowRank,
    Mask,
    Orthogonal,
    Rectangle,
    Sizes,
)
from pylstm.cells.widths import factors, product
from pylstm.checks import quoted

_KINDS = {
    "blocks": Blocks, "diagonal": Diagonal, "antisymmetric": Antisymmetric, "orthogonal": Orthogonal,
    "low_rank": LowRank,
}  # fmt: skip
_WRITTEN = re.compile(r"\s*(?:(tied)(?:\s+|\Z))?(?:(\w+)\s*(?:\(([^()]*)\))?)?\s*\Z")
_WHAT = (
    "'blocks(n)', 'diagonal', 'low_rank(r)', 'antisymmetric', 'orthogonal', 'tied' (one matrix for all gates) or 'tied "
    "blocks(n)' and so on, or a mask: an array of bools (width of a gate, width of the source), or one for all gates, "
    "one below the other, or a function that gets the sizes and returns it"
)


@dataclass(frozen=True)
class Structure:
    """What ``structure = {source: ...}`` of a cell says: a kind of matrix, and whether all gates have the same."""

    kind: Dense
    tied: bool = False

    def __repr__(self) -> str:
        if not self.tied:
            return repr(self.kind)
        return f"tied {self.kind}" if self.special else "tied"

    @property
    def special(self) -> bool:
        """Whether a matrix of a gate is not just stored."""
        return type(self.kind) is not Dense

    @classmethod
    def read(cls, written: Any, names: set[str]) -> Structure:
        """The structure that a cell declares; `names` are those of its sizes.

        Raises
        ------
        ValueError
            It is none: what can be written.
        """
        if not isinstance(written, str):
            if callable(written) or (isinstance(written, np.ndarray | list) and np.ndim(written) == 2):
                return cls(Mask(written))
            raise ValueError(f"must be {_WHAT}; got {quoted(written)}")
        match = _WRITTEN.match(written)
        tied, kind, argument = match.groups() if match else (None, "?", None)
        known = _KINDS.get(kind) if kind else Dense if tied else None
        if known is None or (argument is None) != (known not in (Blocks, LowRank)):
            raise ValueError(f"must be {_WHAT}; got {quoted(written)}")
        if argument is None:
            return cls(known(), bool(tied))
        try:
            width = product(argument)
        except ValueError:
            raise ValueError(f"needs a size, a whole number or a product of these in {quoted(written)}") from None
        for name in factors(width)[1]:
            if name not in names:
                raise ValueError(
                    f"has the unknown size {name!r} in {quoted(written)}: declare it in `sizes` (not in `options`)"
                )
        return cls(known(width), bool(tied))


@dataclass(frozen=True)
class Matrix:
    """``weight_<source>`` of a cell at given sizes: `gates` are the widths of the gates that the source feeds."""

    source: str
    structure: Structure
    gates: tuple[int, ...]
    K: int
    sizes: Sizes

    def refusal(self) -> str:
        """Why the sizes do not fit the structure; ``""`` if they do."""
        if self.structure.tied and len(set(self.gates)) > 1:
            return f"gates of the widths {self.gates} cannot be tied"
        try:
            pairs = zip(self.kinds, self.gates)
            return next(filter(None, (kind.refusal(N, self.K, self.sizes) for kind, N in pairs)), "")
        except ValueError as error:  # of a mask
            return str(error)

    @property
    def kinds(self) -> list[Dense]:
        """The kind of the matrix of every gate."""
        return self.structure.kind.by_gate(self.gates, self.K, self.sizes)

    @property
    def described(self) -> str:
        """Source and structure in words, of a mask with a number that another mask does not have."""
        kind = self.structure.kind
        number = f" {crc32(np.packbits(kind.mask(self.sizes)).tobytes()):08x}" if isinstance(kind, Mask) else ""
        return f"{self.source}={self.structure}{number}"

    @property
    def stored(self) -> tuple[int, ...]:
        """Rows stored for each gate; of tied gates for the first."""
        return self.gates[:1] if self.structure.tied else self.gates

    @property
    def made(self) -> bool:
        """Whether the loop cannot multiply with what is stored."""
        if not self.structure.special:
            return False
        found = [kind.rectangles(N, self.K, self.sizes) for kind, N in zip(self.kinds, self.gates)]
        return any(each is None or len(each) > MOST_RECTANGLES for each in found)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters."""
        columns = self.structure.kind.columns(self.K, self.sizes)
        found: dict[str, tuple[int, ...]] = {f"weight_{self.source}": (sum(self.stored), columns)}
        if isinstance(self.structure.kind, LowRank):
            found[f"factor_{self.source}"] = (columns, self.K)
        return found

    def matrix(self, params: Mapping[str, Array]) -> Array:
        """U of all gates, (sum of their widths, K)."""
        W, kind = params[f"weight_{self.source}"], self.structure.kind
        if isinstance(kind, LowRank):
            W = W @ params[f"factor_{self.source}"]
        if self.structure.special:
            pairs = zip(self.kinds, self._by_gate(W))
            W = np.concatenate([each.matrix(stored, self.K, self.sizes) for each, stored in pairs])
        return np.tile(W, (len(self.gates), 1)) if self.structure.tied else W

    def pull(self, dU: Array, params: Mapping[str, Array]) -> dict[str, Array]:
        """Cotangents of the parameters, from that of U."""
        weight, factor, kind = f"weight_{self.source}", f"factor_{self.source}", self.structure.kind
        W = params[weight]
        dU = self._of_stored(dU)
        if isinstance(kind, LowRank):
            return {weight: dU @ params[factor].T, factor: W.T @ dU}
        if self.structure.special:
            triples = zip(self.kinds, self._by_gate(dU), self._by_gate(W))
            dU = np.concatenate([each.pull(part, stored, self.sizes) for each, part, stored in triples])
        return {weight: dU}

    def along(self, params: Mapping[str, Array], moved: Mapping[str, Array]) -> Array:
        """The derivative of U as the parameters move by `moved`; what is not in it stays."""
        W, dW, factor, dfactor = self._moving(params, moved)
        if factor is not None and dfactor is not None:
            dW = dW @ factor + W @ dfactor
        elif self.structure.special:
            triples = zip(self.kinds, self._by_gate(dW), self._by_gate(W))
            dW = np.concatenate([each.along(part, stored, self.K, self.sizes) for each, part, stored in triples])
        return np.tile(dW, (len(self.gates), 1)) if self.structure.tied else dW

    def pull_along(self, dU: Array, params: Mapping[str, Array], moved: Mapping[str, Array]) -> dict[str, Array]:
        """The derivatives of what `pull` returns for this dU, as the parameters move by `moved`."""
        weight, (W, dW, factor, dfactor) = f"weight_{self.source}", self._moving(params, moved)
        dU = self._of_stored(dU)
        if factor is not None and dfactor is not None:  # of dU F^T and W^T dU
            return {weight: dU @ dfactor.T, f"factor_{self.source}": dW.T @ dU}
        each = zip(self.kinds, self._by_gate(dU), self._by_gate(dW), self._by_gate(W))
        return {weight: np.concatenate([kind.pull_along(a, b, c, self.sizes) for kind, a, b, c in each])}

    def rectangles(self) -> Iterator[tuple[int, int, Rectangle]]:
        """(number of the gate, its first row in ``weight_<source>``, rectangle) of all that the loop multiplies."""
        at = 0
        for number, (kind, N) in enumerate(zip(self.kinds, self.gates)):
            for each in kind.rectangles(N, self.K, self.sizes) or ():
                yield number, at, each
            at += 0 if self.structure.tied else N

    def _of_stored(self, dU: Array) -> Array:
        """The cotangents of what is stored once for all gates, added."""
        return dU.reshape(len(self.gates), self.stored[0], -1).sum(axis=0) if self.structure.tied else dU

    def _moving(self, params: Mapping[str, Array], moved: Mapping[str, Array]) -> list[Any]:
        """The weight, its tangent, the factor and its tangent; of matrices without a factor None."""
        found: list[Any] = []
        for name in (f"weight_{self.source}", f"factor_{self.source}"):
            value = params[name] if name in self.shapes() else None
            found += [value, None if value is None else moved.get(name, np.zeros_like(value))]
        return found

    def _by_gate(self, array: Array) -> list[Array]:
        return np.split(array, np.cumsum(self.stored)[:-1])


def factors_of(structures: Mapping[str, Structure]) -> list[str]:
    """Names of the second factors of matrices of low rank."""
    return [f"factor_{source}" for source, each in structures.items() if isinstance(each.kind, LowRank)]


def misfit(cell: str, matrices: Mapping[str, Matrix]) -> str:
    """The matrix whose structure the sizes of a layer do not fit: a sentence; ``""`` if all do."""
    for source, matrix in matrices.items():
        if reason := matrix.refusal():
            return f"cell {cell!r}: weight_{source} cannot have the structure {matrix.structure}: {reason}"
    return ""


def read_structures(cell: Any, sources: tuple[str, ...]) -> dict[str, Structure]:
    """Source -> its structure, for those of `cell` that have one.

    Raises
    ------
    TypeError
        The source is none of the cell; it is not a structure.
    """
    found = {}
    for written, each in cell.structure.items():
        for source in written_source(cell, str(written)):
            if source not in sources:
                known = ", ".join(sources)
                raise TypeError(
                    f"cell {cell.name!r}: structure has {written!r}, which is not a source of this cell ({known})"
                )
            try:
                found[source] = Structure.read(each, {"input_size", "hidden_size", *cell.sizes})
            except ValueError as error:
                raise TypeError(f"cell {cell.name!r}: structure[{written!r}] {error}") from None
    return found
