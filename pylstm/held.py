"""`Held`: which parameters training leaves alone: those that are frozen, and the constants of a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pylstm.checks import Array, quoted


class Held:
    """What `Parameters` know of values that do not change in training."""

    _shapes: dict[str, tuple[int, ...]]
    _pieces: dict[str, slice]
    _constants: dict[str, tuple[tuple[int, int], ...]]
    """Name -> rows (first, last) that are constants of a cell."""
    _marks: memoryview
    """One byte a name, 1 if it is frozen; those of a layer are a piece of those of its stack."""

    if TYPE_CHECKING:  # for reading only: `Parameters` have it

        @property
        def flat(self) -> Array: ...

    def _begin(self, constants: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Nothing is frozen."""
        self._constants = {name: tuple((int(a), int(b)) for a, b in rows) for name, rows in constants.items()}
        self._marks = memoryview(bytearray(len(self._shapes)))

    def freeze(self, *names: str) -> None:
        """Hold parameters: no optimiser changes them, and their gradients are 0.

        Parameters
        ----------
        *names : str
            Default all. A name stands for those of a stack that end with it, ``"weight_h"`` for ``"1.weight_h"``, or
            begin with it, ``"1"`` for all of its second layer. What PyTorch's ``requires_grad_(False)`` does.

        Raises
        ------
        KeyError, TypeError
            No such parameter; a name that is not a text.

        Examples
        --------
        >>> import pylstm
        >>> layer = pylstm.LSTM(3, 5)
        >>> layer.params.freeze("weight_x")
        >>> layer.params.frozen
        ('weight_x',)
        """
        self._mark(names, 1)

    def unfreeze(self, *names: str) -> None:
        """Train parameters again, by default all; names as for `freeze`.

        Raises
        ------
        KeyError, TypeError
            No such parameter; a name that is not a text.
        ValueError
            A constant of a cell.
        """
        for name in names:
            if name in self.constants:
                raise ValueError(f"{name!r} is a constant of the cell, which is never trained: declare it in `params`")
        self._mark(names, 0)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen parameters, in the order of the buffer."""
        return tuple(name for name, mark in zip(self._shapes, self._marks) if mark)

    @property
    def constants(self) -> tuple[str, ...]:
        """Names of the arrays that are constants of a cell as a whole."""
        return tuple(name for name, rows in self._constants.items() if rows == ((0, self._shapes[name][0]),))

    @property
    def constant_rows(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """Name -> rows, from the first to before the last, that are constants of a cell."""
        return dict(self._constants)

    @property
    def constant_size(self) -> int:
        """Number of elements that are constants of a cell."""
        each = (
            (last - first, self._shapes[name][1:]) for name, rows in self._constants.items() for first, last in rows
        )
        return sum(count * math.prod(row) for count, row in each)

    def _check_constants(self, name: str, values: Array, present: Array) -> None:
        """Refuse other values of constants than those that the cell declares."""
        for first, last in self._constants.get(name, ()):
            mine, new = present[first:last], values[first:last]
            most = abs(mine).max(initial=0) * (1e-5 if mine.itemsize == 4 else 1e-10)
            if not (abs(mine - new) <= most).all():
                differs = abs(mine - new).max()
                raise ValueError(
                    f"parameter {name!r}: rows {first} to {last - 1} are a constant of the cell, and these differ by "
                    f"{differs:.3g}: change `constants` of the cell, or derive one with its own"
                )

    @property
    def trained_size(self) -> int:
        """Number of elements that training changes."""
        return sum(piece.stop - piece.start for _, piece in self.trained_pieces())

    @property
    def trained_whole(self) -> bool:
        """Whether training changes all elements."""
        return not (self._constants or any(self._marks))

    def trained_pieces(self) -> Iterator[tuple[str, slice]]:
        """The pieces of ``flat`` that training changes, each with the name of its parameter, in order."""
        for (name, piece), mark in zip(self._pieces.items(), self._marks):
            if not mark:
                for at, end in self._gaps(name, piece):
                    yield name, slice(at, end)

    def _gaps(self, name: str, piece: slice) -> Iterator[tuple[int, int]]:
        """What constants leave of a piece."""
        at = piece.start
        if constant := self._constants.get(name):
            row = (piece.stop - piece.start) // max(self._shapes[name][0], 1)
            for first, last in constant:
                if piece.start + first * row > at:
                    yield at, piece.start + first * row
                at = piece.start + last * row
        if at < piece.stop:
            yield at, piece.stop

    def trained_of(self, flat: Array) -> list[Array]:
        """The pieces of an array laid out as ``flat`` that training changes, as views."""
        return [flat] if self.trained_whole else [flat[piece] for _, piece in self.trained_pieces()]

    def fill_held(self, flat: Array, value: float) -> None:
        """Set the pieces of an array laid out as ``flat`` that training does not change."""
        if self.trained_whole:
            return
        at = 0
        for _, piece in self.trained_pieces():
            flat[at : piece.start] = value
            at = piece.stop
        flat[at:] = value

    def set_trained(self, name: str, array: Array) -> None:
        """Set a parameter but for its rows that are constants."""
        piece, values = self._pieces[name], array.reshape(-1)
        for at, end in self._gaps(name, piece):
            self.flat[at:end] = values[at - piece.start : end - piece.start]

    def set_frozen(self, names: Iterable[str]) -> None:
        """Freeze these, by their full names, and no others."""
        marked = set(names)
        if unknown := marked - self._shapes.keys():
            raise KeyError(self._unknown(min(unknown)))
        constant = self.constants
        self._marks[:] = bytes(name in marked and name not in constant for name in self._shapes)

    def _mark(self, names: tuple[Any, ...], mark: int) -> None:
        chosen = {full for name in names for full in chosen_by(name, self._shapes, self._unknown)}
        for k, full in enumerate(self._shapes):
            if (full in chosen or not names) and full not in self.constants:
                self._marks[k] = mark

    def _unknown(self, name: Any) -> str:
        return f"unknown parameter {name!r} (known: {', '.join(self._shapes) or 'none'})"


def chosen_by(name: Any, names: Iterable[str], unknown: Any) -> list[str]:
    """The one of `names` that is `name`, or else those that end or begin with it.

    Raises
    ------
    TypeError
        Not a text.
    KeyError
        None; `unknown` says it.

    Examples
    --------
    >>> chosen_by("weight_h", ["0.weight_h", "0.bias", "1.weight_h"], str)
    ['0.weight_h', '1.weight_h']
    """
    if not isinstance(name, str):
        cure = "params.freeze(*names)" if isinstance(name, list | tuple | set) else "params.freeze('weight_x')"
        raise TypeError(f"names of parameters must be texts, got {quoted(name)}: {cure}")
    names = list(names)
    if name in names:
        return [name]
    found = [full for full in names if full.endswith(f".{name}") or full.startswith(f"{name}.")]
    if not found:
        raise KeyError(unknown(name))
    return found
