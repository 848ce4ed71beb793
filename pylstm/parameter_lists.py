"""`ParametersList`: the parameters of several layers, or their gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, NoReturn, SupportsIndex, overload

from pylstm.held import chosen_by
from pylstm.hints import Hinted
from pylstm.parameters import NOT_A_METHOD, Parameters


class ParametersList(Hinted, list[Parameters], hints="parameters list"):
    """`Parameters` of several layers, or their gradients: those of a model. They add, subtract and scale one by one.

    Never by joining: ``[*a.params, *b.params]`` is a list of the parameters of two models. Those of layer k that are
    frozen are called ``k.name``.

    Examples
    --------
    >>> one, two = Parameters({"w": (1,)}), Parameters({"b": (2,)})
    >>> one.flat[:], two.flat[:] = 1, 2
    >>> grads = ParametersList([one, two])
    >>> total = sum([grads, grads * 3])
    >>> [each.flat.tolist() for each in total / 4]
    [[1.0], [2.0, 2.0]]
    """

    __array_ufunc__ = None  # a NumPy number on the left leaves the product to `__rmul__`

    def __iadd__(self, other: Any) -> ParametersList:  # type: ignore[override]  # not by joining
        return self._each(operator.iadd, self._terms(other))

    def __isub__(self, other: Any) -> ParametersList:
        return self._each(operator.isub, self._terms(other))

    def __imul__(self, factor: Any) -> ParametersList:
        return self._each(operator.imul, [factor] * len(self))

    def __itruediv__(self, divisor: Any) -> ParametersList:
        return self._each(operator.itruediv, [divisor] * len(self))

    def __add__(self, other: Any) -> ParametersList:  # type: ignore[override]  # not by joining
        return self.copy().__iadd__(other)

    def __radd__(self, other: Any) -> ParametersList:
        return self.copy() if isinstance(other, Real) and other == 0 else self + other  # `sum` begins with 0

    def __sub__(self, other: Any) -> ParametersList:
        return self.copy().__isub__(other)

    def __rsub__(self, other: Any) -> ParametersList:
        return (-self).__iadd__(other)

    def __mul__(self, factor: Any) -> ParametersList:
        return self.copy().__imul__(factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> ParametersList:
        return self.copy().__itruediv__(divisor)

    def __neg__(self) -> ParametersList:
        return self * -1

    @overload
    def __getitem__(self, index: SupportsIndex) -> Parameters: ...
    @overload
    def __getitem__(self, index: slice) -> ParametersList: ...
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return ParametersList(found) if isinstance(index, slice) else found

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(NOT_A_METHOD)

    def copy(self) -> ParametersList:
        """The same values in buffers of their own."""
        return ParametersList(each.copy() for each in self)

    def zeros_like(self) -> ParametersList:
        """The same layouts, all values 0."""
        return ParametersList(each.zeros_like() for each in self)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the frozen parameters, ``"0.weight_x"`` of the first."""
        return tuple(f"{k}.{name}" for k, each in enumerate(self) for name in each.frozen)

    def freeze(self, *names: str) -> None:
        """Hold parameters, as `Parameters.freeze`, by default all."""
        for each, own in self._chosen(names):
            each.freeze(*own)

    def unfreeze(self, *names: str) -> None:
        """Train parameters again, as `Parameters.unfreeze`, by default all."""
        for each, own in self._chosen(names):
            each.unfreeze(*own)

    def _chosen(self, names: tuple[Any, ...]) -> list[tuple[Parameters, list[str]]]:
        """Those with chosen names, and which; all of every one where there are no names."""
        if not names:
            return [(each, []) for each in self]
        known = {f"{k}.{name}": (k, name) for k, each in enumerate(self) for name in each}
        found: dict[int, list[str]] = {}
        for given in names:
            for full in chosen_by(given, known, lambda n: f"unknown parameter {n!r} (known: {', '.join(known)})"):
                found.setdefault(known[full][0], []).append(known[full][1])
        return [(self[k], own) for k, own in found.items()]

    def _each(self, change: Callable[[Any, Any], Any], others: Sequence[Any]) -> ParametersList:
        for one, other in zip(self, others):
            change(one, other)
        return self

    def _terms(self, other: Any) -> Sequence[Parameters]:
        """What is added, one for each; all are checked before the first is changed."""
        if not isinstance(other, list | tuple):
            raise TypeError(f"a list of Parameters adds to another of the same layouts, got {type(other).__name__}")
        if len(other) != len(self) or any(
            not isinstance(b, Parameters) or not a.same_layout(b) for a, b in zip(self, other)
        ):
            raise ValueError(
                f"lists of Parameters of the same layouts add, these differ: {self!r} and {other!r}; "
                "[*one, *other] puts both into one list"
            )
        return other
