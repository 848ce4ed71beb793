"""Options of a cell: its numbers that belong to a layer, such as the step of an equation, and cells with other ones.

A cell with other options is a subclass with the values bound, one for each set of values, so that all that is derived
from a cell (twin, program, certificate) holds them as constants.
"""

from __future__ import annotations

import ast
import copyreg
import importlib
import math
import operator
import threading
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import FunctionType
from typing import Any, NoReturn

from pylstm.checks import quoted

Option = bool | int | float
_LOCK = threading.Lock()


class Options(dict[str, Option]):
    """The options of a cell: a dict that cannot be changed, since all layers of the class share it."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "the options of a cell cannot be changed: pass other values to the layer, as in Recurrent(cell, 3, 5, "
            f"{call_text(self) or 'dt=0.1'}), or take cell.with_options(...)"
        )

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Options, (dict(self),)


Bounds = tuple[float | None, float | None]
"""Lowest and highest legal value; None where there is no bound."""
ANY: Bounds = (None, None)


def check_option(name: str, value: Any, default: Option, domain: Bounds = ANY) -> Option:
    """`value` as the kind of number that `default` is, inside the domain.

    Raises
    ------
    TypeError
        Not a number; for an option that is an integer or a bool, another kind of number.
    ValueError
        Not finite; outside the domain.

    Examples
    --------
    >>> check_option("dt", 1, 0.1)
    1.0
    """
    number, (low, high) = _of_kind(name, value, default), domain
    if low is not None and number < low:
        raise ValueError(f"option {name} must be at least {low:g}, got {quoted(value)}")
    if high is not None and number > high:
        raise ValueError(f"option {name} must be at most {high:g}, got {quoted(value)}")
    return number


def _of_kind(name: str, value: Any, default: Option) -> Option:
    if isinstance(default, bool):
        if type(value).__name__ not in ("bool", "bool_"):
            raise TypeError(f"option {name} must be True or False, got {quoted(value)}")
        return bool(value)
    if isinstance(value, bool) or not isinstance(value, Integral if isinstance(default, int) else Real):
        kind = "an integer" if isinstance(default, int) else "a number"
        raise TypeError(f"option {name} must be {kind}, got {quoted(value)}")
    if isinstance(value, Integral) and isinstance(default, int):
        return operator.index(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"option {name} must be finite, got {number}")
    return number


def call_text(options: Mapping[str, Option]) -> str:
    """``dt=0.01, gamma=2.0``: options as they are passed."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def called(text: str) -> tuple[str, dict[str, Option]]:
    """Name and values of a cell as it is written, ``mlstm(heads=4)``; of a name alone, no values.

    Raises
    ------
    ValueError
        Something else in the parentheses than names and numbers.

    Examples
    --------
    >>> called("cornn(dt=0.01)"), called("lstm")
    (('cornn', {'dt': 0.01}), ('lstm', {}))
    """
    name, opened, inside = text.partition("(")
    if not opened:
        return text, {}
    try:
        call = ast.parse(f"f({inside}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not call.keywords:
            raise ValueError
        values = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        if None in [each.arg for each in call.keywords] or not all(isinstance(v, Option) for v in values.values()):
            raise ValueError
    except (SyntaxError, ValueError):
        raise ValueError(
            f"{quoted(text)} must be a name of a cell, or a name with options and sizes in parentheses, such as "
            f"{name.strip() or 'mlstm'}(heads=4)"
        ) from None
    return name.strip(), values


def bound(function: Callable[..., Any], options: Mapping[str, Option]) -> Callable[..., Any]:
    """`function`, or where it asks for `o` a copy that carries the options of its cell, for `options_of`."""
    code = function.__code__
    if "o" not in code.co_varnames[: code.co_argcount]:
        return function
    copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__dict__.update(function.__dict__, options=Options(options))
    copy.__qualname__, copy.__module__, copy.__doc__ = function.__qualname__, function.__module__, function.__doc__
    return copy


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The options that `bound` gave to a function of a cell."""
    return getattr(function, "options", {})


class WithOptions(type):
    """Class of the cells that `with_options` makes: they are pickled as the cell and its options."""

    def __repr__(cls) -> str:
        if "base" not in cls.__dict__:
            return super().__repr__()
        return f"<cell {cls.__module__}.{cls.__qualname__} with {call_text(changed(cls))}>"


def _reduce(cell: Any) -> Any:
    return (with_options, (cell.base, cell.options)) if "base" in cell.__dict__ else cell.__qualname__


copyreg.pickle(WithOptions, _reduce)


def base_of(cell: Any) -> Any:
    """The cell as it was defined, of one that `with_options` made; any other cell itself."""
    return cell.__dict__.get("base", cell)


def changed(cell: Any) -> dict[str, Option]:
    """The options of `cell` that are not the defaults of `base_of`."""
    default = base_of(cell).options
    return {name: value for name, value in cell.options.items() if repr(value) != repr(default[name])}


def name_of(cell: Any) -> str:
    """``cornn(dt=0.01)``: the name of a cell, with those options that are not the defaults."""
    return f"{cell.name}({call_text(changed(cell))})" if changed(cell) else str(cell.name)


def with_options(cell: Any, values: Mapping[str, Any]) -> Any:
    """`cell` with other values of its options: the same class for the same values.

    Raises
    ------
    TypeError, ValueError
        An option that the cell does not have; not a finite number of its kind, or outside its domain; a cell that can
        only be run by a kernel.
    """
    base = base_of(cell)
    for name in values:
        if name not in base.options:
            known = call_text(base.options) or "none"
            raise TypeError(f"cell {base.name!r} has no option {name!r} (its options: {known})")
    defaults, domain = base.options, base.domain
    given = {name: check_option(name, each, defaults[name], domain.get(name, ANY)) for name, each in values.items()}
    options = cell.options | given
    if repr(options) == repr(base.options):
        return base
    with _LOCK:
        made = base.__dict__.get("_with_options") or {}
        if repr(options) not in made:
            base._with_options = made | {repr(options): _make(base, options)}
        return base._with_options[repr(options)]


def split(cell: Any, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The cell with those of the given values that are its options, and the other values: its sizes."""
    options = {name: value for name, value in given.items() if name in cell.options}
    rest = {name: value for name, value in given.items() if name not in options}
    found = with_options(cell, options) if options else cell
    found._check_unchanged()
    return found, rest


def _make(base: Any, options: dict[str, Option]) -> Any:
    source = formula_of(base) if base.formula else base
    body = {"name": base.name, "options": options, "base": base, "__doc__": base.__doc__, "formula": ""}
    body |= {"__module__": base.__module__, "__qualname__": base.__qualname__}
    if source.formulas:
        body["keep"] = source.declared.keep
    return WithOptions(base.__name__, (source,), body)


def formula_of(cell: Any) -> Any:
    """The cell that `Cell.formula` names."""
    module, colon, name = cell.formula.partition(":")
    if not (module and colon and name):
        raise TypeError(f"cell {cell.name!r}: formula {cell.formula!r} must be of the form 'package.module:Class'")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ImportError(f"cell {cell.name!r}: its formula {cell.formula!r} cannot be loaded: {error}") from error
    if found.options.keys() != cell.options.keys():
        raise TypeError(f"cell {cell.name!r} and its formula {cell.formula!r} have different options")
    return found
