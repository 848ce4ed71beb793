"""`Pair`: a complex value of a formula, two real ones; arithmetic on it is arithmetic on these."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, NoReturn

from pylstm.cells.formula.symbols import MOST_FACTORS, Compound, Symbol, is_complex, refuse

_ONLY = "complex values know + - * / ** abs, .real, .imag, .conj(), and exp, abs2 and conj of pylstm.cells"


def _of(name: str, value: Any) -> Any:
    return value.apply(name, value) if isinstance(value, Symbol) else getattr(math, name)(value)


def _times(a: Any, b: Any) -> Any:
    """a b, where a number 0 makes 0 of anything."""
    return 0.0 if any(not isinstance(each, Symbol) and each == 0 for each in (a, b)) else a * b


def _less(a: Any, b: Any) -> Any:
    """a - b; a number 0 is left out."""
    if not isinstance(b, Symbol) and b == 0:
        return a
    return -b if not isinstance(a, Symbol) and a == 0 else a - b


def _plus(a: Any, b: Any) -> Any:
    if not isinstance(a, Symbol) and a == 0:
        return b
    return a if not isinstance(b, Symbol) and b == 0 else a + b


def _refused(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    refuse("a complex value cannot be used so", _ONLY)


def _binary(name: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Pair, other: Any) -> Any:
        return Pair.combined(name, other, self) if swapped else Pair.combined(name, self, other)

    return method


class Pair(Compound):
    """A complex value: `real` and `imag` are symbols or numbers."""

    __slots__ = ("imag", "real")

    def __init__(self, real: Any, imag: Any):
        self.real, self.imag = real, imag

    @classmethod
    def of(cls, value: Any) -> Pair:
        """A pair, from a real or complex value."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Symbol | numbers.Real):
            return cls(value, 0.0)
        if isinstance(value, numbers.Complex):
            return cls(float(value.real), float(value.imag))
        refuse(
            f"a complex value meets one of type {type(value).__name__}",
            "use symbols and numbers; declare numbers of its units under `constants`",
        )

    def __repr__(self) -> str:
        return f"({self.real!r}, {self.imag!r})"

    __add__, __radd__ = _binary("add"), _binary("add", True)
    __sub__, __rsub__ = _binary("sub"), _binary("sub", True)
    __mul__, __rmul__ = _binary("mul"), _binary("mul", True)
    __truediv__, __rtruediv__ = _binary("div"), _binary("div", True)

    def __neg__(self) -> Pair:
        return Pair(-self.real, -self.imag)

    def __pos__(self) -> Pair:
        return self

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, int) or isinstance(exponent, bool) or abs(exponent) > MOST_FACTORS:
            refuse(
                "the exponent of a complex value is not a whole number", "write the power as exp(exponent * logarithm)"
            )
        if exponent < 0:
            return 1 / self**-exponent
        result = Pair(1.0, 0.0)
        for bit in bin(exponent)[2:]:
            result = result * result * self if bit == "1" else result * result
        return result

    def __abs__(self) -> Any:
        """The modulus; at 0 its derivative is 0."""
        square = self.abs2()
        if not isinstance(square, Symbol):
            return _of("sqrt", square)
        root = _of("sqrt", square.apply("where", square != 0, square, 1))
        return square.apply("where", square != 0, root, 0)

    def conj(self) -> Pair:
        """The conjugate."""
        return Pair(self.real, -self.imag)

    conjugate = conj

    def abs2(self) -> Any:
        """The square of the modulus."""
        return _plus(_times(self.real, self.real), _times(self.imag, self.imag))

    def exp(self) -> Pair:
        """e^real (cos imag + i sin imag)."""
        size = _of("exp", self.real)
        if not isinstance(self.imag, Symbol) and self.imag == 0:
            return Pair(size, 0.0)
        return Pair(_times(size, _of("cos", self.imag)), _times(size, _of("sin", self.imag)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        refuse(f"a complex value has no {name}", _ONLY)

    __bool__ = __iter__ = __len__ = __getitem__ = __array__ = __array_function__ = _refused
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refused
    __float__ = __int__ = __index__ = __complex__ = __matmul__ = __rmatmul__ = __mod__ = __floordiv__ = _refused
    __hash__ = object.__hash__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}.get(ufunc.__name__)
        if name and method == "__call__":  # a NumPy scalar times a complex value
            return Pair.combined(name, *inputs)
        refuse(f"NumPy's {ufunc.__name__} of a complex value cannot be traced", _ONLY)

    @staticmethod
    def combined(op: str, *values: Any) -> Pair:
        """An arithmetic operation, or a `where`, on values of which one is complex."""
        if op == "where" and not is_complex(values[0]):
            condition, a, b = values[0], *map(Pair.of, values[1:])
            if not isinstance(condition, Symbol):
                return a if condition else b
            return Pair(condition.apply(op, condition, a.real, b.real), condition.apply(op, condition, a.imag, b.imag))
        if op not in ("add", "sub", "mul", "div"):
            refuse("complex values have no order, and no such operation", _ONLY)
        a, b = map(Pair.of, values)
        if op == "add":
            return Pair(_plus(a.real, b.real), _plus(a.imag, b.imag))
        if op == "sub":
            return Pair(_less(a.real, b.real), _less(a.imag, b.imag))
        if op == "mul":
            real = _less(_times(a.real, b.real), _times(a.imag, b.imag))
            return Pair(real, _plus(_times(a.real, b.imag), _times(a.imag, b.real)))
        if not isinstance(b.imag, Symbol) and b.imag == 0:
            return Pair(a.real / b.real, a.imag / b.real)
        product, square = Pair.combined("mul", a, b.conj()), b.abs2()
        return Pair(product.real / square, product.imag / square)
