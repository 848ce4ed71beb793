"""`Symbol`: what a formula sees in place of an array; code that cannot be traced raises with the user's line."""

from __future__ import annotations

import linecache
import numbers
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from math import inf, isfinite, log
from typing import Any, ClassVar, NoReturn, cast

from pylstm.cells.formula.graph import ACTIVATIONS, NARROWING, Graph, LengthError, Node, WidthError
from pylstm.cells.widths import Width, factors, product
from pylstm.wording import some_of

READER: ContextVar[Callable[[str, int], Any] | None] = ContextVar("reader", default=None)
"""Returns the state of this name, so many steps ago, of the formula that is traced."""

_OWN = (
    "pylstm.cells.formula",
    "pylstm.cells.functions",
    "pylstm.cells.lags",
    "pylstm.cells.row_functions",
    "pylstm.hint",
    "numpy",
)
_UFUNCS = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "equal": "eq",
    "not_equal": "ne",
}

_ROWS = {
    "sum": "row_sum({0})",
    "mean": "row_mean({0})",
    "average": "row_mean({0})",
    "max": "row_max({0})",
    "amax": "row_max({0})",
    "min": "-row_max(-{0})",
    "amin": "-row_max(-{0})",
    "var": "row_mean(({0} - row_mean({0})) ** 2)",
    "std": "sqrt(row_mean(({0} - row_mean({0})) ** 2))",
    "norm": "row_norm({0})",
    "cumsum": "cumsum({0})",
    "outer": "outer({0}, {1})",
    "repeat": "repeat({0}, width)",
    "tile": "tile({0}, width)",
    "dot": "contract({0}, {1})",
    "inner": "contract({0}, {1})",
    "vdot": "contract({0}, {1})",
    "clip": "minimum(maximum({0}, low), high)",
    "square": "{0} ** 2",
    "shape": "width, or size.hidden_size: {0} has one row, of units",
}
"""Name of a method, of a function of NumPy -> what to write of a symbol."""

_PRODUCT = (
    "declare a gate: its pre-activation is the matrix product of its sources; of a matrix in a state and a vector "
    "write contract(M, v)"
)

MOST_FACTORS = 1024
"""Largest exponent that is written as products, by squaring; others are left to `power`."""


def not_finite(number: float) -> str:
    """The cure of a number that is not finite: how nan is made, what to write for inf."""
    if number != number:
        return "it comes from 0 / 0, inf - inf or the log of a negative number"
    return "write a finite one, such as 1e30, or a limit with pylstm.where(condition, a, b)"


class FormulaError(TypeError):
    """A formula that cannot be traced or derived. The message names file, line and cure.

    Examples
    --------
    >>> import pylstm
    >>> class Summed(pylstm.Cell):
    ...     states, gates = ("h",), {"a": "x+h"}
    ...     def forward(z):
    ...         return {"h": z.a.sum()}
    >>> try:
    ...     pylstm.certify(Summed)
    ... except pylstm.cells.FormulaError as error:
    ...     print(str(error).split(": ")[1])
    a symbol is not an array and has no sum
    """


def refuse(what: str, cure: str) -> NoReturn:
    """Raise `FormulaError` at the innermost line that is not ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OWN):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    raise FormulaError(f"{file}:{line}: {what}: {cure}" + (f"\n    {text}" if text else "")) from None


def _binary(op: str, swapped: bool = False) -> Any:
    def method(self: Symbol, other: Any) -> Symbol:
        return self.apply(op, other, self) if swapped else self.apply(op, self, other)

    return method


def _refused(what: str, cure: str) -> Any:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(what, cure.replace("{0}", _text(self)))

    return method


def _text(value: Any) -> str:
    """What a message calls an operand: by its name, `x` where it has none."""
    node = getattr(value, "node", None)
    return node.name if node is not None and node.op == "leaf" else "x" if node is not None else "v"


def _row_text(name: str, *values: Any) -> str:
    """What to write for a method or a function of NumPy, with the functions of pylstm.cells; '' if there is nothing."""
    return _ROWS[name].format(*map(_text, values), "v") if name in _ROWS else ""


class Compound:
    """Base of the class of values that are several symbols, `kind` (`pylstm.cells.formula.pairs`)."""

    __slots__ = ()
    kind: ClassVar[Any]

    def __init_subclass__(cls) -> None:
        Compound.kind = cls


def is_complex(value: Any) -> bool:
    """Whether it is a complex value of the formula, or a complex number."""
    return isinstance(value, Compound) or (isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real))


class Symbol:
    """A value of the formula: arithmetic and comparisons on it build the expression graph."""

    __slots__ = ("graph", "node")

    def __init__(self, graph: Graph, node: Node):
        self.graph, self.node = graph, node

    def __repr__(self) -> str:
        return repr(self.node)

    def apply(self, op: str, *values: Any) -> Symbol:
        """`op` of `values`: symbols and numbers; complex where one of them is."""
        if any(map(is_complex, values)):
            return cast(Symbol, Compound.kind.combined(op, *values))
        try:
            return Symbol(self.graph, self.graph.make(op, *(self.lift(value) for value in values)))
        except LengthError:
            self._refuse_length()
        except WidthError as error:
            refuse(
                f"widths {error} meet in one operation",
                "declare equal widths in `widths`, repeat the narrower one (pylstm.cells.repeat), or map one by a gate "
                "of the other width",
            )

    def _refuse_length(self) -> NoReturn:
        refuse(
            f"the formula takes more than {self.graph.most} operations",
            "a loop in it may be long: take fewer rounds, make several stages of it, or write forward and backward "
            "in NumPy",
        )

    @property
    def width(self) -> Width:
        """A number, the name of a size, or a product of them."""
        return self.node.width

    @property
    def groups(self) -> Width:
        """How many groups a function across the units of a row has that made it."""
        return self.node.groups

    def size(self, width: Width) -> Symbol:
        """The number of elements of a width."""
        return Symbol(self.graph, self.graph.size(width))

    def across(self, op: str, width: Width, groups: Width = 1) -> Symbol:
        """A function across the units of a row (`graph.ACROSS`), or ``fill``."""
        for name in [*factors(width)[1], *factors(groups)[1]]:
            if self.graph.sizes is not None and name not in self.graph.sizes:
                refuse(f"unknown size {name!r}", f"declare it in `sizes`; known are {', '.join(self.graph.sizes)}")
        longer, shorter = (self.width, width) if op in NARROWING else (width, self.width)
        uneven = isinstance(longer, int) and isinstance(shorter, int) and longer % shorter != 0
        if uneven or longer == 1 != shorter:
            what = "repeat" if op == "fill" else op
            refuse(f"{what} of a row of {self.width} units to {width}", "take a width that goes into the other one")
        try:
            return Symbol(self.graph, self.graph.across(op, self.node, width, groups))
        except LengthError:
            self._refuse_length()

    def lift(self, value: Any) -> Node:
        """The node of a symbol or of a number."""
        if isinstance(value, Symbol):
            return value.node
        if isinstance(value, numbers.Real) or (
            hasattr(value, "shape") and value.shape == () and value.dtype.kind in "fiub"
        ):
            if not isfinite(value):
                refuse(f"a formula cannot contain the number {float(value)}", not_finite(float(value)))
            return self.graph.const(float(value))
        if hasattr(value, "shape") or isinstance(value, list | tuple):
            if hasattr(value, "reshape") and value.size == 1:
                return self.lift(value.reshape(()))
            refuse(
                f"a formula cannot contain {'an array' if hasattr(value, 'shape') else 'a ' + type(value).__name__}",
                'declare numbers of its units as a constant, constants = {"c": ...}, and read them as p.c; a single '
                "number is taken out by its index, c[0]",
            )
        refuse(f"a formula cannot contain a value of type {type(value).__name__}", "use numbers and symbols")

    __add__, __radd__ = _binary("add"), _binary("add", True)
    __sub__, __rsub__ = _binary("sub"), _binary("sub", True)
    __mul__, __rmul__ = _binary("mul"), _binary("mul", True)
    __truediv__, __rtruediv__ = _binary("div"), _binary("div", True)
    __lt__, __le__, __gt__, __ge__ = _binary("lt"), _binary("le"), _binary("gt"), _binary("ge")
    __eq__, __ne__ = _binary("eq"), _binary("ne")
    __and__, __rand__ = _binary("and"), _binary("and", True)
    __or__, __ror__ = _binary("or"), _binary("or", True)
    __hash__ = object.__hash__

    def __neg__(self) -> Symbol:
        return self.apply("neg", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self.apply("abs", self)

    def __invert__(self) -> Symbol:
        return self.apply("not", self)

    def __pow__(self, exponent: Any) -> Any:
        """Natural numbers by products, ``x ** -1`` by division, ``x ** 0.5`` by the root, others by `power`."""
        if isinstance(exponent, numbers.Real) and not isfinite(exponent):
            refuse(
                f"the exponent {float(exponent)} of a power is not finite",
                "write its limit with pylstm.where(condition, a, b)",
            )
        node = self.lift(exponent)
        if node.op != "const":
            return self.apply("power", self, exponent)
        number = node.value
        if 0 <= number <= MOST_FACTORS and number == int(number):
            return self._product(int(number))
        if number == -1:
            return 1 / self
        return self.apply("sqrt", self) if number == 0.5 else self.apply("power", self, number)

    def _product(self, count: int) -> Any:
        if count < 2:
            return self if count else Symbol(self.graph, self.graph.const(1))
        half = self._product(count // 2)
        return half * half * self if count % 2 else half * half

    def __rpow__(self, base: Any) -> Symbol:
        number = float(base) if isinstance(base, numbers.Real) else self.lift(base).value
        if not 0 < number < inf:
            refuse(f"the base {number} of a power is not positive and finite", "write the power with a positive base")
        return self.apply("exp", log(number) * self)

    __bool__ = _refused(
        "the truth of a symbol is not known when a formula is traced (`if`, `and`, `or`, `not`, min(), max())",
        "use pylstm.where(condition, a, b), pylstm.maximum, pylstm.minimum; combine conditions by & | ~",
    )
    __float__ = __int__ = __index__ = __complex__ = _refused(
        "a symbol has no value when a formula is traced (float(), int(), a function of the module math)",
        "use the functions of pylstm (pylstm.exp, pylstm.tanh, ...)",
    )
    __iter__ = __len__ = __getitem__ = _refused(
        "a symbol has no elements",
        "use one gate, state or parameter per value; over the units of a row write row_sum({0}) for sum({0}), "
        "row_max({0}) for max({0})",
    )
    __matmul__ = __rmatmul__ = _refused(
        "a formula has no matrix product",
        _PRODUCT,
    )
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __round__ = __floor__ = __ceil__ = __trunc__ = _refused(
        "rounding has no derivative",
        "compute it outside and pass it as aux, or use pylstm.where; a part of a size is a size of its own, "
        'sizes = {"half": 4}',
    )
    __array__ = _refused("a symbol is not an array", "use the functions of pylstm in place of NumPy's")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python and NumPy ask any object for
        if row := _row_text(name, self):
            cure = f"write {row}, with the functions of pylstm.cells for the units of a row"
        elif name in ("real", "imag", "conj"):
            cure = "leave it out: this value is real; complex ones are declared, complex = (...,)"
        else:
            cure = "use operators and the functions of pylstm.cells (exp, tanh, where, ...)"
        refuse(f"a symbol is not an array and has no {name}", cure)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        op = _UFUNCS.get(ufunc.__name__)
        if op and method == "__call__":  # a NumPy scalar times a symbol
            return self.apply(op, *inputs)
        self._refuse_numpy(ufunc.__name__, inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        self._refuse_numpy(function.__name__, args)

    def _refuse_numpy(self, name: str, given: tuple[Any, ...]) -> NoReturn:
        if name == "matmul":
            refuse("a formula has no matrix product", _PRODUCT)
        if row := _row_text(name, *given[:2]):
            refuse(f"NumPy's {name} cannot be traced", f"write {row}, with the functions of pylstm.cells")
        name = {"absolute": "abs", "negative": "-", "power": "**"}.get(name, name)
        known = (
            name
            if name in ("abs", "-", "**")
            else f"pylstm.{name}"
            if name in (*ACTIVATIONS, "maximum", "minimum", "where")
            else ""
        )
        refuse(f"NumPy's {name} cannot be traced", f"use {known or 'the functions of pylstm'}")


def width_given(value: Any) -> Width:
    """The width that a formula names: a number, a size name, a product of these, a symbol of `size`."""
    if isinstance(value, Symbol):
        node = value.node
        if node.op == "size":
            return node.name
        if node.op == "mul":
            return product(*(width_given(Symbol(value.graph, each)) for each in node.args))
        value = int(node.value) if node.op == "const" and node.value == int(node.value) else repr(node)
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    try:
        if whole or isinstance(value, str):
            return product(value if isinstance(value, str) else int(value))
    except ValueError:
        pass
    refuse(
        f"a width cannot be {value!r}",
        'write a whole number of 1 or more, the name of a size, or a product such as "heads * key"',
    )


class Namespace:
    """The symbols of one kind, or the options, as attributes."""

    def __init__(self, kind: str, symbols: Mapping[str, Any]):
        self.__dict__.update(symbols)
        self.__dict__["__kind"] = kind

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = some_of((each for each in self.__dict__ if not each.startswith("__")), name) or "nothing"
        refuse(f"{self.__dict__['__kind']}.{name} does not exist", f"{self.__dict__['__kind']} has {known}")

    def __setattr__(self, name: str, value: Any) -> None:
        refuse(f"{self.__dict__['__kind']}.{name} cannot be assigned", "return new values in the dict")
