"""`load_kernel`: from a cell's declaration to its compiled row hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylstm.cells._hooks import describe
from pylstm.cells.cell import Cell
from pylstm.cells.contracts.sizes import usual_sizes
from pylstm.engine import levels


def load_kernel(cell: type[Cell], sizes: Mapping[str, int] | None = None) -> Any | None:
    """The compiled row hooks of `cell`, checked against its declaration.

    Parameters
    ----------
    cell : type
        A `Cell` subclass. Its `kernel` is None, a capsule, or ``"package.module:attribute"``: the module is loaded
        at the best instruction-set level of this machine.
    sizes : dict of str to int, optional
        Those of the layer. A formula in which units of a row meet runs for one set of sizes: without them, for those at
        which it is certified.

    Returns
    -------
    PyCapsule or None
        Without a kernel a cell all of whose stages are formulas runs on the expression machine. None for any other:
        its NumPy twin runs.

    Raises
    ------
    ImportError
        The module or its attribute does not exist, or was built for another version of the C contract.
    TypeError
        `kernel` is neither text nor a cell's capsule, or its number of blocks differs from the declaration.
    ValueError
        Groups that do not divide a width at these sizes.

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> describe(load_kernel(LSTM))["name"]
    'lstm'
    """
    if cell.kernel is None:
        return machine_kernel(cell, sizes) if runs_on_machine(cell) else None
    capsule = _find(cell) if isinstance(cell.kernel, str) else cell.kernel
    try:
        found = describe(capsule)
    except (ImportError, TypeError) as error:
        raise type(error)(f"cell {cell.name!r}: {error}") from None
    _check_counts(cell, found)
    return capsule


def runs_on_machine(cell: type[Cell]) -> bool:
    """Whether `cell` has no kernel of its own and is made of formulas alone."""
    return cell.kernel is None and bool(cell.formulas) and len(cell.formulas) == len(cell.declared.stages)


def machine_kernel(cell: type[Cell], sizes: Mapping[str, int] | None = None) -> Any:
    """Row hooks that run the derived programs of `cell` on the expression machine (`pylstm/engine/machine.pyx`).

    Raises
    ------
    ValueError
        A formula too large for the machine; groups that do not divide a width.
    """
    from pylstm.cells.formula import machine

    contract = cell.contract  # derives, if nothing has before
    found = cell._derivation
    known = cell.__dict__.get("_machine_kernels", {})
    key = None
    if found.sized:
        sizes = sizes or contract.resolve(**usual_sizes(cell)).sizes
        if wrong := found.wrong_groups(sizes):
            raise ValueError(f"cell {cell.name!r}: {wrong}")
        key = tuple(sizes.items())
    if key not in known:
        stages = [found.stages[stage.name] for stage in contract.stages]
        known = cell._machine_kernels = known | {key: machine.kernel(contract, stages, sizes)}
    return known[key]


def _find(cell: type[Cell]) -> Any:
    """The object that the text `cell.kernel` names."""
    module_name, colon, attribute = cell.kernel.partition(":")
    if not (module_name and colon and attribute):
        raise TypeError(f"cell {cell.name!r}: kernel {cell.kernel!r} is not of the form 'package.module:attribute'")
    try:
        module = levels.load(module_name)
    except ImportError as error:
        raise ImportError(f"cell {cell.name!r}: kernel {cell.kernel!r} cannot be loaded: {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ImportError(f"cell {cell.name!r}: {module.__name__} has no kernel {attribute!r}") from None


def _check_counts(cell: type[Cell], found: dict[str, Any]) -> None:
    """Reject a kernel whose numbers of stages and blocks are not those of the declaration."""
    contract = cell.contract
    declared = {"stages": contract.stages, **contract.blocks}
    wrong = [
        f"{kind}: {found[kind]} in the kernel, {len(names)} declared"
        for kind, names in declared.items()
        if found[kind] != len(names)
    ]
    if wrong:
        raise TypeError(f"cell {cell.name!r} does not fit its kernel {found['name']!r}: {'; '.join(wrong)}")
