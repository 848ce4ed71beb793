"""`lag`: a state of a formula, several steps ago."""

from __future__ import annotations

from typing import Any

from pylstm.cells.formula.symbols import READER
from pylstm.checks import quoted
from pylstm.hints import explained


@explained()
def lag(state: str, steps: int) -> Any:
    """A state so many steps ago, in a formula: ``lag("h", 1)`` is ``prev.h``.

    Also a source of a gate, ``gates = {"a": "x+lag(h, 4)"}``, with the matrix ``weight_h_lag4``.

    Parameters
    ----------
    state : str
        Name of a state of the cell.
    steps : int
        1 or more. The layer gets the states ``h_lag2`` ... ``h_lag<steps>``, each of which takes over what the one
        before it was: they start as all states do (zeros, or initial states that are given or learned), anew at a
        reset, are in `run.states` and in streams, and cost a copy a step each.

    Raises
    ------
    TypeError
        Outside of a formula; steps that are not a whole number of 1 or more.
    FormulaError
        A state that the cell does not have.

    Examples
    --------
    >>> from pylstm.cells import Cell, certify, lag, tanh
    >>> class Lagged(Cell):
    ...     states = ("h",)
    ...     gates = {"a": "x+lag(h, 4)"}
    ...     def forward(z):
    ...         return {"h": tanh(z.a + 0.5 * lag("h", 2))}
    >>> certify(Lagged).ok, Lagged.contract.sources
    (True, ('x', 'h_lag4'))
    """
    if not isinstance(state, str):
        raise TypeError(f'state must be the name of a state, got {quoted(state)}: write lag("h", 4)')
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise TypeError(f"steps must be a whole number of 1 or more, got {quoted(steps)}")
    reader = READER.get()
    if reader is None:
        raise TypeError(f"lag({state!r}, {steps}) is for the formula of a cell: call it in `forward` of a Cell")
    return reader(state, steps)
