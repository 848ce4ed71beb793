"""`check_attributes`: what a cell declares is known to `Cell`, and of the kind that `Cell` says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from types import FunctionType
from typing import Any

from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.formula.lazy import Lazy
from pylstm.checks import quoted

_NAMES = ("states", "params", "aux", "keep", "complex")
_DICTS = {
    "gates": '{"a": "x+h"}', "widths": '{"a": 8}', "sizes": '{"memory_size": 8}', "options": '{"dt": 0.1}',
    "constants": '{"A": 0.5}', "structure": '{"h": "blocks(4)"}',
    "domain": '{"dt": (0, None)}', "initial_values": '{"bias": 1.0}',
}  # fmt: skip
_TEXTS = ("name", "output", "formula", "reference")
_NEAR = 0.82  # of `difflib`: 0.88 and above are misspellings such as init_values, 0.82 is reference_url


def check_attributes(cell: type, base: type) -> None:
    """`TypeError` for a declaration of another kind, and for one that the cell lacks but has under a name nearly right.

    A misspelt name would be ignored: the derivative of a formula would be derived though the class has `backwards`.
    What a cell has besides, constants and functions for its hooks, may have any name.
    """
    declared = _declared(cell, base)
    for reason in chain(_wrong_kinds(declared), _unknown_names(declared, cell, base)):
        raise TypeError(f"cell {declared['name']!r}: {reason}")


def _declared(cell: type, base: type) -> dict[str, Any]:
    """Public attributes of the class and of classes mixed in; those of a parent that is a cell have been checked."""
    classes = [cell, *(each for each in cell.__mro__ if not issubclass(each, base) and not issubclass(base, each))]
    found = {
        name: value for each in reversed(classes) for name, value in vars(each).items() if not name.startswith("_")
    }
    return {name: value for name, value in found.items() if not isinstance(value, Lazy)}


def _wrong_kinds(declared: dict[str, Any]) -> Iterator[str]:
    """Reasons to refuse: a str in place of names would be taken letter by letter."""
    named = {name: declared[name] for name in _NAMES if name in declared}
    if declared.get("biased") is not None:
        named["biased"] = declared["biased"]
    stages = declared.get("stages", ())
    if not isinstance(stages, tuple | list) or not all(isinstance(stage, Stage) for stage in stages):
        yield f'stages must be a tuple of Stage: stages = (Stage("one", ...), ...), got {quoted(stages)}'
    for stage in stages:
        named |= {f"{name} of stage {stage.name!r}": getattr(stage, name) for name in ("gates", "emits")}
    for name, value in named.items():
        if not isinstance(value, tuple | list):
            example = f"({value!r},)" if isinstance(value, str) else '("one", "two")'
            yield f"{name} must be a tuple of names: {name.split()[0]} = {example}, got {quoted(value)}"
    for name, example in _DICTS.items():
        if not isinstance(declared.get(name, {}), dict):
            yield f"{name} must be a dict: {name} = {example}, got {quoted(declared[name])}"
    for gate, sources in declared.get("gates", {}).items():
        if not isinstance(sources, str):
            yield f'the sources of gate {gate!r} must be a str such as "x+h", got {quoted(sources)}'
    for name in _TEXTS:
        if not isinstance(declared.get(name, ""), str):
            what = "a non-empty string" if name == "name" else "a string"
            yield f"{name} must be {what}, got {quoted(declared[name])}"


def _unknown_names(declared: dict[str, Any], cell: Any, base: type) -> Iterator[str]:
    """Reasons to refuse: what a cell lacks, under a name that is nearly right. Other names are the cell's own."""
    stages = [stage.name for stage in cell.stages] or [""]
    hooks = [hook_name(direction, stage) for direction in ("forward", "backward") for stage in stages]
    known = [name for name in (*vars(base), *base.__annotations__) if not name.startswith("_")]
    own = {name for each in cell.__mro__ if each not in base.__mro__ for name in vars(each)}
    for name, value in declared.items():
        if name in ("forward", "backward") and name not in hooks and _is_function(value):
            yield f"unknown attribute {name!r}: the hooks of this cell are {', '.join(hooks)}"
        if name in known or name in hooks:
            continue
        import difflib  # for what is refused, and for constants of a cell: not for a cell of pylstm's

        for close in difflib.get_close_matches(name.lower(), [*known, *hooks], 3, _NEAR):
            if close not in own and _meant(close, value, cell):
                yield f"unknown attribute {name!r}: did you mean {close}? (if it is your own, begin its name with _)"
                break


def _meant(name: str, value: Any, cell: Any) -> bool:
    """Whether a value is of the kind that `name` declares."""
    if name in (*_NAMES, "biased"):
        return isinstance(value, tuple | list) and bool(value) and all(isinstance(each, str) for each in value)
    if name in _DICTS:
        return isinstance(value, dict) and bool(value) and all(isinstance(key, str) for key in value)
    if name == "stages":
        return isinstance(value, tuple | list) and any(isinstance(each, Stage) for each in value)
    if name == "elementwise":
        return isinstance(value, bool)
    if name == "kernel":
        return isinstance(value, str) and ":" in value
    if name == "output":
        return isinstance(value, str) and value in cell.states
    return name.startswith(("forward", "backward")) and _is_function(value)


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType | staticmethod)


class NoContract:
    """`contract` of a base class of cells, which declares no states, no gates and no hooks."""

    def __get__(self, instance: Any, cell: Any) -> Any:
        raise TypeError(f"cell {cell.name!r} declares no states: it is a base class, derive cells from it")


def is_base(cell: Any, base: type) -> bool:
    """Whether a class declares nothing that is computed."""
    own = {name for each in cell.__mro__ if each not in base.__mro__ for name in vars(each)}
    return own.isdisjoint(("states", "gates", "stages", "forward", "backward"))
