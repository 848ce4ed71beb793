"""`Hinted`: names of PyTorch, Keras and scikit-learn, answered with what pylstm calls them.

A `Hint` is a descriptor, not a branch of ``__getattr__``: that would make every attribute that exists slower (20 ns),
on the path of each call. It raises AttributeError, so that `hasattr`, `copy` and `pickle` see no attribute.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

import numpy as np

from pylstm.checks import Array
from pylstm.hint_texts import HINTS
from pylstm.kinds import Kinded

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Hint:
    """A name that a class does not have: reading it raises AttributeError, which says what to write instead."""

    def __init__(self, name: str, cure: str) -> None:
        self.name, self.cure = name, cure

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        kind = type(instance) if owner is None else owner
        raise AttributeError(f"{kind.__name__} has no {self.name}: {self.cure}", name=self.name, obj=instance)


class SetHint(Hint):
    """A name that cannot be set either: ``adam.learning_rate = 0.1`` would change nothing.

    A class derived outside of pylstm may set it on its instances, and then has it.
    """

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        own = getattr(instance, "__dict__", {})
        return own[self.name] if self.name in own else super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        if type(instance).__module__.partition(".")[0] == "pylstm":
            self.__get__(instance)
        instance.__dict__[self.name] = value

    def __delete__(self, instance: Any) -> None:
        self.__get__(instance)
        del instance.__dict__[self.name]


SETTABLE = ("optimiser", "plateau", "trainer")
"""Kinds whose attributes are set by users as a matter of course."""


class Hinted:
    """Base of a class made with ``class X(Hinted, hints=kind)``, which answers the names of ``HINTS[kind]``."""

    __slots__ = ()

    def __init_subclass__(cls, hints: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, cure in HINTS[hints].items() if hints else ():
            if not hasattr(cls, name):
                setattr(cls, name, (SetHint if hints in SETTABLE else Hint)(name, cure))

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if not isinstance(inspect.getattr_static(self, name, None), Hint)]


class Output(Hinted, hints="output"):
    """What a layer returns: neither an array nor a pair, for those who index, unpack or compute with it."""

    __slots__ = ()
    __array_ufunc__ = None

    if not TYPE_CHECKING:  # a checker reports what uses them

        def __getitem__(self, index: Any) -> NoReturn:
            states = ", run.final['h'] a state after the last step" if hasattr(self, "final") else ""
            raise TypeError(f"a run is neither an array nor a pair (output, states): run.y is the output{states}")

        def __iter__(self) -> NoReturn:  # y, (h, c) = layer(x)
            self[0]

        def __array__(self, *_: Any, **__: Any) -> NoReturn:  # layer(layer(x)), loss(layer(x), target)
            self[0]


class GradientsBase(Hinted, hints="gradients"):
    """What a backward pass returns: shapes in its repr; several add by their `params`."""

    __slots__ = ()
    __array_ufunc__ = None

    if not TYPE_CHECKING:  # a checker reports what uses them

        def __getitem__(self, index: Any) -> NoReturn:
            raise TypeError(
                "gradients are not a dict: grads.params['weight_x'] is that of a parameter, grads.x that of the input"
            )

        def __iter__(self) -> NoReturn:
            self[0]

        def __add__(self, other: Any) -> NoReturn:
            raise TypeError("gradients of the parameters add and scale: a.params + b.params, a.params * 0.5")

        __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __add__

    def __repr__(self) -> str:
        own: Any = self  # of a class that is a dataclass
        values = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(own))
        return f"{type(self).__name__}({', '.join(f'{name}={_shapes(value)}' for name, value in values)})"


class LossValue(Hinted, float, hints="loss"):
    """The value of a loss: a float."""

    __slots__ = ()


class Loss(Hinted, tuple[LossValue, Array], hints="loss"):
    """What a loss returns: the pair of its value and its cotangent."""

    __slots__ = ()

    def __new__(cls, value: float, dy: Array) -> Loss:
        return super().__new__(cls, (LossValue(value), dy))

    def __reduce__(self) -> Any:
        return Loss, tuple(self)


def _shapes(value: Any) -> str:
    """Shapes in place of arrays."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_shapes(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shapes, value))}]"
    return str(value.shape) if isinstance(value, np.ndarray) else repr(value)


def refuse_options(given: Iterable[str], known: Iterable[str], kind: str = "option") -> None:
    """TypeError for an option that another library has; `kind` is one of `HINTS`."""
    for name in given:
        if name in HINTS[kind] and name not in known:
            raise TypeError(f"unknown option {name}=: {HINTS[kind][name]}")


def refuse_call(given: Iterable[str]) -> NoReturn:
    """TypeError for what the call of a layer does not take."""
    refuse_options(given, (), "call")
    raise TypeError(f"the call of a layer has no argument {next(iter(given))}=: help(type(layer).__call__) lists them")


def refuse_backward(given: Iterable[str]) -> NoReturn:
    """TypeError for what the backward pass of a run does not take."""
    refuse_options(given, (), "backward")
    raise TypeError(f"backward has no argument {next(iter(given))}=: help(type(run).backward) lists them")


def refuse_arguments(
    function: Callable[..., Any], name: str, given: tuple[Any, ...], options: dict[str, Any], kind: str
) -> None:
    """TypeError where `function`, called `name`, has no such option, or needs an argument that is missing."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    names = [each.name for each in parameters]
    refuse_options(options, names, kind)
    unknown = [option for option in options if option not in names]
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        known = [each for each in names if each != "self"]
        import difflib

        close = difflib.get_close_matches(unknown[0].lower(), known, 1)
        hint = f"; did you mean {close[0]}=?" if close else ""
        raise TypeError(f"{name} has no option {unknown[0]}=: it takes {', '.join(known)}{hint}")
    needed = [
        each.name for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    missing = [each for each in needed[len(given) :] if each not in options]
    if missing:
        cure = "".join(f"; {HINTS['argument'][each]}" for each in missing if each in HINTS["argument"])
        shown = ", ".join(each for each in needed if each != "self")
        raise TypeError(f"{name} needs {' and '.join(missing)}: {name}({shown}){cure}")


def refuse_constructor(cls: type, given: tuple[Any, ...], options: dict[str, Any], kind: str) -> None:
    """`refuse_arguments` of a class that is made; nothing at all is what `copy` and `pickle` give."""
    if given or options:
        made: Any = cls
        refuse_arguments(MethodType(made.__init__, cls), cls.__name__, given, options, kind)


def explained(kind: str) -> Callable[[_Function], _Function]:
    """Decorator of a function for set-up: a call that Python would refuse is refused by `refuse_arguments`."""

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(*given: Any, **options: Any) -> Any:
            refuse_arguments(function, function.__name__, given, options, kind)
            return function(*given, **options)

        return cast("_Function", call)

    return decorate


def refuse_loss_options(loss: str, given: Iterable[str]) -> NoReturn:
    """TypeError for what a loss does not take."""
    refuse_options(given, (), "loss option")
    raise TypeError(f"{loss} has no option {next(iter(given))}=: help(pylstm.{loss}) lists them")


def refuse_sizes(
    cls: type, sizes: tuple[Any, Any], more: tuple[Any, ...], options: Iterable[str], example: str
) -> None:
    """TypeError where a layer is made with one size, or with options by position."""
    if more:
        raise TypeError(f"options go by name: {example}, bidirectional=True, batch_first=True), got {more!r}")
    if ... in sizes and (sizes != (..., ...) or options):  # nothing at all is what `copy` and `pickle` give
        refuse_options(options, (), "option")
        raise TypeError(f"{cls.__name__} takes input_size and hidden_size: {example})")


def absent(module: str, later: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], Any]:
    """``__getattr__`` of a façade: what is imported when asked for, and what users of other libraries look for there.

    `later` has the names of the first and the modules that define them, or that they are.
    """

    def find(name: str) -> Any:
        if name in later:
            found = importlib.import_module(later[name])
            return found if later[name] == f"{module}.{name}" else getattr(found, name)
        cure = HINTS["module"].get(name, "")
        if module != "pylstm" and name in getattr(sys.modules.get("pylstm"), "__all__", ()):
            cure = f"pylstm.{name} is it"
        raise AttributeError(f"module {module!r} has no attribute {name!r}{cure and ': '}{cure}")

    return find


class EstimatorHints(Kinded, Hinted, hints="estimator"):
    """Base of estimators: answers names of scikit-learn's own that they do not have, as attributes and parameters."""

    def __new__(cls, *given: Any, **options: Any) -> Self:
        refuse_constructor(cls, given, options, "estimator option")
        return super().__new__(cls)
