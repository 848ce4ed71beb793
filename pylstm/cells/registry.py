"""`Registry`: cells by name, with the owner of each; names never collide silently."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pylstm.cells.cell import Cell, check_cell
from pylstm.cells.certification.once import ensure_certified, remembered
from pylstm.checks import quoted

CALLED = dict.fromkeys(("rnn", "elman", "elmanrnn", "simplernn", "vanilla", "vanillarnn", "rnntanh"), "rnn_tanh")
CALLED |= {"rnnrelu": "rnn_relu", "irnn": "rnn_relu"}
"""What other libraries call a cell, in small letters and digits alone, and its name."""


@dataclass(frozen=True)
class Owner:
    """Who registered a cell: import package, and where a plugin did it, plugin name, distribution and version."""

    package: str
    plugin: str = ""
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        if not self.plugin:
            return f"module {self.package}"
        return f"plugin {self.plugin!r} of {self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Entry:
    """A registered cell and its owner."""

    cell: type[Cell]
    owner: Owner

    @property
    def status(self) -> str:
        """``"certified"``, ``"refused: <reason>"`` or ``"registered"`` (certification comes with the first use)."""
        found = remembered(self.cell)
        if found is None:
            return "registered"
        return "certified" if found.ok else f"refused: {found.message()}"


class Registry:
    """Cells by name.

    Safe to use from several threads. Most users want `pylstm.register` and ``pylstm.Recurrent("name", ...)``, which
    work on the process-wide registry, `pylstm.plugins.registry`.

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> registry = Registry()
    >>> registry.register(LSTM).__name__
    'LSTM'
    >>> registry.names()
    ('lstm',)
    >>> registry.get("lstm", certified=False) is LSTM
    True
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._owner: Owner | None = None
        self._lock = threading.RLock()

    def register(self, cell: type[Cell], *, package: str | None = None, certified: bool = False) -> type[Cell]:
        """Add `cell` under its name.

        Parameters
        ----------
        cell : subclass of Cell
            The class itself, not an instance. Registering the same class again does nothing.
        package : str, optional
            Import package to list as the owner; default the module of `cell`. Inside a `transaction` its owner owns.
        certified : bool
            Certify the cell first, and do not add it when that fails. Default: on its first use by name.

        Returns
        -------
        subclass of Cell
            `cell`, so that the method is usable as a decorator.

        Raises
        ------
        TypeError
            `cell` is not a subclass of `Cell`.
        ValueError
            Another owner's cell has this name. Code outside plugins may define a class anew in the same place (a
            notebook cell run twice): the new class replaces the old one.
        pylstm.cells.certification.certify.CertificationError
            With `certified`: the cell's backward is not the derivative of its forward.
        """
        with self._lock:
            self._check(cell)
            entry = self._entries.get(cell.name)
            if entry is None or entry.cell is not cell:
                entry = Entry(cell, self._owner or Owner(package or cell.__module__))
            if certified:
                ensure_certified(cell)
            self._entries[cell.name] = entry
        return cell

    def _check(self, cell: type[Cell]) -> None:
        check_cell(cell)
        if not isinstance(cell.name, str) or not cell.name:
            raise TypeError(f"the name of cell {_place(cell)} must be a non-empty string, got {cell.name!r}")
        present = self._entries.get(cell.name)
        if present is None or present.cell is cell:
            return
        defined_again = (present.cell.__module__, present.cell.__qualname__) == (cell.__module__, cell.__qualname__)
        if defined_again and self._owner is None and not present.owner.plugin:
            return
        raise ValueError(
            f"cell {cell.name!r} of {self._owner or Owner(cell.__module__)} ({_place(cell)}): the name is taken by "
            f"{present.owner} ({_place(present.cell)}): set another `name` in the class"
        )

    def get(self, name: str, *, certified: bool = True) -> type[Cell]:
        """The cell of this name.

        Parameters
        ----------
        name : str
            The registered name.
        certified : bool
            Certify the cell first, unless this process has done so already.

        Raises
        ------
        LookupError
            No cell has this name; the message lists close ones.
        pylstm.cells.certification.certify.CertificationError
            The cell's backward is not the derivative of its forward.
        """
        entry = self.entry(name)
        if certified:
            ensure_certified(entry.cell)
        return entry.cell

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> Entry:
        """The `Entry` of this name; `LookupError` as in `get`."""
        entry = self._entries.get(name)
        if entry is None:
            import difflib

            known, folded = self.names(), str(name).lower()
            close = difflib.get_close_matches(folded, known, cutoff=0.5)
            called = CALLED.get(re.sub("[^a-z0-9]", "", folded), folded)
            close = [called] if called in known else close
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
            raise LookupError(
                f"no cell is named {quoted(name)}{hint} `pylstm cells` lists the cells; `pylstm plugins` shows a "
                "plugin that failed to load"
            )
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """All entries, sorted by name."""
        return tuple(self._entries[name] for name in self.names())

    @contextmanager
    def transaction(self, owner: Owner | None) -> Iterator[Registry]:
        """All that is registered inside belongs to `owner`; all of it is taken back when the block raises."""
        with self._lock:
            entries, previous = dict(self._entries), self._owner
            self._owner = owner
            try:
                yield self
            except BaseException:
                self._entries = entries
                raise
            finally:
                self._owner = previous


def _place(cell: type[Cell]) -> str:
    return f"{cell.__module__}.{cell.__qualname__}"
