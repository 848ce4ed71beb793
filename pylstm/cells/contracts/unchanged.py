"""`check_unchanged`: a cell is still what it was when its declaration was read and its formula derived."""

from __future__ import annotations

from collections.abc import Iterator
from dis import get_instructions
from itertools import chain
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from pylstm.checks import quoted

_DECLARED = (
    "states", "gates", "biased", "params", "aux", "stages", "widths", "sizes", "options", "constants", "structure",
    "domain", "output", "complex",
)  # fmt: skip
"""What the contract is made of, when the class is; `initial_values` are read when a layer is made."""

_WRITERS = frozenset(
    (
        "add",
        "append",
        "clear",
        "extend",
        "fill",
        "insert",
        "pop",
        "popitem",
        "remove",
        "reverse",
        "setdefault",
        "sort",
        "update",
    )
)
"""Methods that change a list, a dict or an array in place."""


def remember_declared(cell: Any) -> None:
    """Note what a class declares, when it is made."""
    cell._declared_as = {name: _copied(getattr(cell, name)) for name in _DECLARED}


def remember_constants(cell: Any, base: type) -> None:
    """Note the constants that a formula reads when it is derived: of its class, its parents, and outside."""
    read = set().union(*(_names_in(each, {}) for each in cell.formulas.values()))
    found = dict(_constants(cell, base)).items()
    cell._derived_with = {place: _copied(value) for place, value in found if place.rpartition(".")[2] in read}
    cell._derived_beside = {place: _copied(value) for place, value in _outside(cell)}


def forget_written(cell: Any, base: type) -> None:
    """Forget what the formula itself has changed while it was derived: a counter, a list of what it saw."""
    now = {place: _copied(value) for place, value in chain(_constants(cell, base), _outside(cell))}
    for known in (cell._derived_with, cell._derived_beside):
        for place in [place for place, value in known.items() if place not in now or not _same(value, now[place])]:
            del known[place]


def check_unchanged(cell: Any, base: type) -> None:
    """`TypeError` for an attribute that was changed later than it was read: the change would do nothing.

    A formula is run once, on symbols, and its constants are then in the program; so is all that is declared.
    """
    before, own = vars(cell).get("_declared_as", {}), f"class Other({cell.__name__})"
    for name, value in before.items():
        if not _same(value, _copied(getattr(cell, name))):
            raise TypeError(
                f"cell {cell.name!r}: {name} was {quoted(value)} when the class was made, and was changed to "
                f"{quoted(getattr(cell, name))}, which does nothing: derive a class with its own, {own}: {name} = ..."
            )
    before = vars(cell).get("_derived_with", {}) | vars(cell).get("_derived_beside", {})
    outside = _outside(cell) if vars(cell).get("_derived_beside") else ()
    for place, value in chain(_constants(cell, base), outside) if before else ():
        if place in before and not _same(before[place], _copied(value)):
            name = place.rpartition(".")[2]
            raise TypeError(
                f"cell {cell.name!r}: {place} was {quoted(before[place])} when the formula was derived, and was "
                f"changed to {quoted(value)}, which does nothing: make it an option, options = "
                f"{{{name!r}: {_text(value)}}}, read as o.{name} and set by {cell.__name__}.with_options({name}=...), "
                "or write the formula anew in a derived class"
            )


def _constants(cell: Any, base: type) -> Iterator[tuple[str, Any]]:
    """Plain values that are not declared, by class and name."""
    known = {*vars(base), *base.__annotations__, "base", "_with_options"}
    for each in cell.__mro__:
        for name, value in vars(each).items() if each not in base.__mro__ else ():
            if name not in known and name[:2] != "__" and _is_plain(value):
                yield f"{each.__name__}.{name}", value


def _outside(cell: Any) -> Iterator[tuple[str, Any]]:
    """Plain values that the formulas read as globals or of enclosing functions, by module or function and name.

    Of a class, a module or another object that they name, its attributes. Not lists and dicts where any formula writes.
    """
    seen: dict[CodeType, FunctionType] = {}
    for each in cell.formulas.values():
        _names_in(each, seen)
    writes = any(_writes(part) for code in seen for part in _codes(code))
    for code, function in seen.items():
        module = str(function.__module__)
        if module.partition(".")[0] in ("pylstm", "numpy"):
            continue
        read = {one.argval for part in _codes(code) for one in get_instructions(part) if one.opname == "LOAD_GLOBAL"}
        found = {f"{module}.{name}": function.__globals__.get(name, _is_plain) for name in sorted(read)}
        enclosing = function.__qualname__.rpartition(".<locals>")[0]
        for name, each in zip(code.co_freevars, function.__closure__ or ()):
            found[f"{enclosing}.{name}"] = _is_plain if each == CellType() else each.cell_contents
        found |= _attributes(found, {name for part in _codes(code) for name in part.co_names})
        for place, value in found.items():
            if _is_plain(value) and not (writes and isinstance(value, list | dict)):
                yield place, value


def _attributes(found: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Those by one of `names` of the values that have some: classes, modules, settings of a user's own type.

    Not of a cell, whose constants are known.
    """
    owners = {place: value for place, value in found.items() if not callable(value) or isinstance(value, type)}
    return {
        f"{place}.{name}": vars(value)[name]
        for place, value in owners.items()
        if not hasattr(value, "formulas") and not _is_library(value)
        for name in sorted(names & {*getattr(value, "__dict__", ())})
    }


def _is_library(value: Any) -> bool:
    """Whether it is a module or a type of pylstm or NumPy, or an object of theirs."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return str(name).partition(".")[0] in ("pylstm", "numpy", "math")


def _writes(code: CodeType) -> bool:
    """Whether it may change a list, a dict or a global."""
    stores = {"STORE_SUBSCR", "DELETE_SUBSCR", "STORE_GLOBAL"}
    return not _WRITERS.isdisjoint(code.co_names) or any(one.opname in stores for one in get_instructions(code))


def _codes(code: CodeType) -> list[CodeType]:
    """A function's code, and that of the functions in it."""
    codes = [code]
    for each in codes:
        codes += [inner for inner in each.co_consts if isinstance(inner, CodeType)]
    return codes


def _names_in(function: Any, seen: dict[CodeType, FunctionType]) -> set[str]:
    """Names and texts in a function and in those that it calls by a global or an enclosing name."""
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType) or function.__code__ in seen:
        return set()
    seen[function.__code__] = function
    names = set[str]()
    for code in _codes(function.__code__):
        names |= {*code.co_names, *(each for each in code.co_consts if isinstance(each, str))}
    called = [function.__globals__.get(name) for name in names]
    called += [each.cell_contents for each in function.__closure__ or () if each != CellType()]
    for each in called:
        own = [vars(each).get(name) for name in names] if isinstance(each, type) else []
        for further in (each, *own):
            names = names | _names_in(further, seen)
    return names


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | complex | str | np.generic | np.ndarray)


def _copied(value: Any) -> Any:
    """A value that later changes in place do not reach."""
    if isinstance(value, tuple | list):
        return tuple(map(_copied, value))
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_same, one.values(), other.values()))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        kinds = np.asarray(one).dtype.kind, np.asarray(other).dtype.kind
        return np.array_equal(one, other, equal_nan="O" not in kinds and not set(kinds) & set("US"))
    return bool(one is other or one == other or (one != one and other != other))


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, bool | int | float) else "..."
