"""`Hinted`: names of PyTorch, Keras and scikit-learn, answered with what pylstm calls them.

A `Hint` is a descriptor, not a branch of ``__getattr__``: that would make every attribute that exists slower (20 ns),
on the path of each call. It raises AttributeError, so that `hasattr`, `copy` and `pickle` see no attribute.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import numpy as np

from pylstm.checks import Array
from pylstm.hint_calls import explain_methods, unknown_option, wrong_call
from pylstm.hint_calls import explained as explained
from pylstm.hint_calls import explained_constructor as explained_constructor
from pylstm.hint_calls import takes_input as takes_input
from pylstm.hint_texts import HINTS
from pylstm.kinds import Kinded
from pylstm.wording import OF_LAYERS


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
    hot: ClassVar[tuple[str, ...]] = ("backward", "step")
    """Methods that are called at every step: a wrapper would cost a tenth of a microsecond."""
    option_hints: ClassVar[str] = ""
    """Kind of `HINTS` that answers options which the constructor does not have."""

    def __init_subclass__(cls, hints: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.option_hints and "__init__" in vars(cls):
            setattr(cls, "__init__", explained(cls.option_hints)(vars(cls)["__init__"]))  # noqa: B010
        if cls.__module__.partition(".")[0] == "pylstm":
            explain_methods(cls)
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
        values = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(own) if each.name[0] != "_")
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


def refuse_call(given: Iterable[str], more: tuple[Any, ...] = ()) -> NoReturn:
    """TypeError for what the call of a layer does not take, or where it lacks x."""
    if more:
        raise TypeError("the call of a layer takes 2 positional arguments, x and initial: help(type(layer).__call__)")
    if not given:
        raise TypeError("the call of a layer needs x: run = layer(x)")
    refuse_options(given, (), "call")
    raise TypeError(f"the call of a layer has no argument {next(iter(given))}=: help(type(layer).__call__) lists them")


def refuse_backward(given: Iterable[str], more: tuple[Any, ...] = ()) -> NoReturn:
    """TypeError for what the backward pass of a run does not take."""
    if more:
        raise TypeError(
            "backward takes 1 positional argument, dy: help(type(run).backward) lists those that go by name"
        )
    refuse_options(given, (), "backward")
    raise TypeError(f"backward has no argument {next(iter(given))}=: help(type(run).backward) lists them")


def refuse_loss_options(loss: Callable[..., Any], given: Iterable[str]) -> NoReturn:
    """TypeError for what a loss does not take."""
    refuse_options(given, (), "loss option")
    known = [each.name for each in inspect.signature(loss).parameters.values() if each.kind is not each.VAR_KEYWORD]
    raise TypeError(unknown_option(loss.__name__, next(iter(given)), known))


def refuse_sizes(
    cls: type, sizes: tuple[Any, Any], more: tuple[Any, ...], options: Iterable[str], example: str
) -> None:
    """TypeError where a layer is made with one size or none, or with options by position."""
    if more:
        raise TypeError(f"options go by name: {example}, bidirectional=True, batch_first=True), got {more!r}")
    lacking = [size is ... for size in sizes]  # `in` would compare arrays
    if any(lacking) and (not all(lacking) or options):  # nothing at all is what `copy` and `pickle` give
        import difflib

        refuse_options(options, (), "option")
        parameters = inspect.signature(cls).parameters
        known = [each.name for each in parameters.values() if each.kind is not each.VAR_KEYWORD]
        unknown = [each for each in options if each not in known]
        open_ended = len(known) < len(parameters)  # to the sizes of the cell
        if unknown and not (
            open_ended and not difflib.get_close_matches(unknown[0], ("input_size", "hidden_size"), 1, 0.7)
        ):
            raise TypeError(unknown_option(cls.__name__, unknown[0], known))
        raise TypeError(f"{cls.__name__} takes input_size and hidden_size: {example})")


def callers_level() -> int:
    """`stacklevel` of a warning that shows the line of the user's code."""
    frame: Any = sys._getframe(1)
    level = 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "pylstm":
        frame, level = frame.f_back, level + 1
    return level


def absent(module: str, later: Mapping[str, str] = MappingProxyType({})) -> Callable[[str], Any]:
    """``__getattr__`` of a façade: what is imported when asked for, and what users of other libraries look for there.

    `later` has the names of the first and the modules that define them, or that they are.
    """

    def find(name: str) -> Any:
        if name in later:
            found = _imported(later[name], f"{module}.{name}")
            return found if later[name] == f"{module}.{name}" else getattr(found, name)
        cure = HINTS["module"].get(name, "") or _meant(name, module)
        if module != "pylstm" and name in getattr(sys.modules.get("pylstm"), "__all__", ()):
            layer = module == "pylstm.cells" and name in OF_LAYERS
            cure = f"pylstm.{name} is the layer, {OF_LAYERS[name]!r} its cell" if layer else f"pylstm.{name} is it"
        raise AttributeError(f"module {module!r} has no attribute {name!r}{cure and ': '}{cure}")

    def listed() -> list[str]:
        names = vars(sys.modules[module])
        public = names.get("__all__")
        return sorted({*(names if public is None else public), *later, *(each for each in names if each[:2] == "__")})

    vars(sys.modules[module]).setdefault("__dir__", listed)
    return find


EXTRAS = {
    "onnx": "onnx",
    "google": "onnx",
    "torch": "torch",
    "sklearn": "sklearn",
    "matplotlib": "plot",
    "h5py": "keras",
    "river": "river",
}
"""Package -> the extra of pylstm that installs it."""


def _imported(module: str, what: str) -> Any:
    """A module of pylstm; where it needs a package that is absent, the error says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in EXTRAS or "pip install" in str(error):
            raise
        raise ModuleNotFoundError(
            f"{what} needs {package}: pip install 'pylstm[{EXTRAS[package]}]'", name=error.name
        ) from error


def _meant(name: str, module: str) -> str:
    """The public name of a façade, or of one of its neighbours, that is nearly `name`."""
    import difflib

    known = (
        {} if name.startswith("_") else {each.lower(): each for each in vars(sys.modules[module]).get("__all__", ())}
    )
    close = difflib.get_close_matches(name.lower(), known, 1, 0.75)
    return f"did you mean {module}.{known[close[0]]}?" if close else ""


class EstimatorHints(Kinded, Hinted, hints="estimator"):
    """Base of estimators: answers names of scikit-learn's own that they do not have, as attributes and parameters."""

    def __new__(cls, *given: Any, **options: Any) -> Self:
        made: Any = cls  # `dataclass` makes `__init__` when the class is there
        refuse_options(options, inspect.signature(made.__init__).parameters, "estimator option")
        problem = wrong_call(made.__init__, cls.__name__, (cls, *given), options)
        if problem is not None:
            raise TypeError(problem)
        return super().__new__(cls)
