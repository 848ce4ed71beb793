"""`keeper`: the gate that holds a state from step to step, as the formula of the cell has it."""

from __future__ import annotations

from typing import Any

from pylstm.cells import FormulaError, derive


def keeper(cell: Any) -> str | None:
    """The gate g of a term sigmoid(g + ...) s- in the formula of a state s, if there is one.

    Examples
    --------
    >>> import pylstm
    >>> keeper(pylstm.cells.LSTM), keeper(pylstm.GRU(1, 1).cell), keeper(pylstm.RNN(1, 1).cell)
    ('f', 'z', None)
    """
    try:
        stages = derive(cell).stages.values()
    except FormulaError:
        return None
    for stage in stages:
        for state, result in stage.traced.results.items():
            for left, right in (term.args for term in _terms(result) if term.op == "mul"):
                for gate, held in ((left, right), (right, left)):
                    if held.op == "leaf" and held.name == f"prev.{state}" and gate.op == "sigmoid":
                        own = [each.name for each in _terms(gate.args[0]) if each.op == "leaf"]
                        found = [name.removeprefix("z.") for name in own if name.startswith("z.")]
                        if found:
                            return str(found[0])
    return None


def _terms(node: Any) -> list[Any]:
    """What is added up."""
    return [part for each in node.args for part in _terms(each)] if node.op == "add" else [node]
