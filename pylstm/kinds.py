"""`Kinds`: the names of layer and model classes in files; `Plan`: a layer that a file describes.

A class names its kind when it is made, ``class Gate(Layer, kind="gate")``; a class that is imported later is announced
by `Kinds.later`. A file only chooses among these.

A file is not trusted: `Plan.shapes` come from the description alone, and only when the tensors of the file have just
these shapes does `Plan.make` allocate a layer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pylstm.schema import Entries
from pylstm.wording import with_article

MOST_LAYERS = 1000
"""Single layers that a file can hold."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Plan:
    """A layer that a file describes: its parameters, how many single layers it is made of, and how it is made.

    Examples
    --------
    >>> import pylstm
    >>> from pylstm.saving import Plan
    >>> plan = Plan({"weight": (2, 3), "bias": (2,)}, "float32", 1, lambda: pylstm.Linear(3, 2))
    >>> plan.make()
    Linear(3, 2, dtype='float32')
    """

    shapes: Shapes
    dtype: str
    count: int
    make: Callable[[], Any]


@dataclass(frozen=True)
class Wanted:
    """What `load` was asked for: classes by name that are taken in place of registered ones; whether to certify.

    Examples
    --------
    >>> from pylstm.saving import Wanted
    >>> Wanted(certified=False)
    Wanted(cells={}, certified=False)
    """

    cells: Mapping[str, Any] = field(default_factory=dict)
    certified: bool = True


class Kinds:
    """Kind -> class."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}
        self._modules: dict[str, str] = {}
        self._more: list[Callable[[], Any]] = []

    def register(self, kind: str, cls: type) -> None:
        """Let files call `cls` by `kind`; a class that is defined anew in the same place replaces the old one.

        Raises
        ------
        ValueError
            Another class has this kind.
        """
        held = self._classes.get(kind)
        other = f"{held.__module__}.{held.__qualname__}" if held else self._modules.get(kind, cls.__module__)
        place = f"{cls.__module__}.{cls.__qualname__}"
        if other != place if held else other.partition(".")[0] != place.partition(".")[0]:
            raise ValueError(f"kind {kind!r} is taken by {other}: choose another one for {place}")
        self._classes[kind] = cls

    def later(self, kind: str, module: str) -> None:
        """Announce that the class of `kind` is defined where `module` is imported, which happens when it is needed.

        Raises
        ------
        ValueError
            A class of another module has this kind.
        """
        held = self._classes[kind].__module__ if kind in self._classes else self._modules.get(kind, module)
        if held != module:
            raise ValueError(f"kind {kind!r} is taken by {held}: choose another one for the class of {module}")
        self._modules[kind] = module

    def ask(self, more: Callable[[], Any]) -> None:
        """Call `more` where a kind is unknown, and look again: it loads what may register further ones."""
        self._more.append(more)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Block in which an exception takes back what was registered and announced."""
        before = dict(self._classes), dict(self._modules)
        try:
            yield
        except BaseException:
            self._classes, self._modules = before
            raise

    def find(self, kind: str) -> type | None:
        """The class of `kind`, if there is one."""
        if kind not in self._classes and kind not in self._modules:
            for more in self._more:
                more()
        if kind not in self._classes and kind in self._modules:
            importlib.import_module(self._modules[kind])
        return self._classes.get(kind)

    def names(self, base: type) -> list[str]:
        """Kinds of the classes made of `base` so far."""
        return sorted(kind for kind, cls in self._classes.items() if issubclass(cls, base))


KINDS = Kinds()
"""Those of this process."""


class Kinded:
    """Base of a class made with ``class X(..., kind="x")``, by which files call it."""

    __slots__ = ()
    kind = ""

    def __init_subclass__(cls, kind: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if not isinstance(kind, str):
            raise TypeError(f"kind must be a text, by which files call {cls.__name__}, got {kind!r}")
        if kind:
            KINDS.register(kind, cls)
            cls.kind = kind


def kind_of(thing: Any) -> str:
    """The kind of the class of `thing` itself, or "": a derived class has none until it says so."""
    return str(vars(type(thing)).get("kind", ""))


def describe(layer: Any) -> dict[str, Any]:
    """The description from which `layer` is built again, besides its parameters.

    Raises
    ------
    TypeError
        Its class has no kind.
    """
    cls = type(layer)
    if not kind_of(layer):
        name, base = cls.__qualname__, next((each for each in cls.__mro__[1:] if vars(each).get("kind")), None)
        if base is None:
            raise TypeError(f"save: {name} has no kind: class {name}(Layer, kind=...) with `arguments` and `shapes`")
        raise TypeError(
            f"save: {name} is a subclass of {base.__name__}, and load would return {with_article(base.__name__)}: give "
            f"it a kind of its own, class {cls.__name__}({base.__name__}, kind=...)"
        )
    held = KINDS.find(cls.kind)
    if held is not None and held is not cls and held.__qualname__ == cls.__qualname__:
        raise TypeError(
            f"save: {cls.__qualname__} has been defined anew since this layer was made, and load would return one of "
            "the new class: make the layer again, with the class of now"
        )
    if held is None or (held is not cls and held.__module__ != cls.__module__):
        raise TypeError(
            f"save: kind {cls.kind!r} is not that of {cls.__qualname__} in files: name it where the class is made, "
            f"class {cls.__name__}(..., kind=...)"
        )
    frozen = {} if getattr(layer, "parts", None) else frozen_in(layer.params)  # what has parts, they say so
    return {"layer": cls.kind, "dtype": layer.params.dtype.name, **layer.describe(), **frozen}


def frozen_in(params: Any) -> dict[str, Any]:
    """The entry of a description for frozen parameters, where there are any."""
    return {"frozen": list(params.frozen)} if params.frozen else {}


def check_remade(cls: type, ancestor: type, places: tuple[str, ...], options: Iterable[str], cure: str) -> None:
    """Refuse to save a layer whose class `load` could not call, or whose own options it would lose.

    Parameters
    ----------
    cls : type
    ancestor : type
        The base of `cls` whose arguments files hold: what its constructor takes besides is not the layer's.
    places : tuple of str
        Arguments that `load` passes by position.
    options : iterable of str
        Those by name.
    cure : str
        What to do about options that files do not hold.

    Raises
    ------
    TypeError
    """
    import inspect

    options, name = list(options), cls.__qualname__
    signature = inspect.signature(cls)
    try:
        signature.bind(*places, **dict.fromkeys(options))
    except TypeError:
        call, takes = ", ".join([*places, *(f"{each}=" for each in options)]), ", ".join(signature.parameters)
        raise TypeError(
            f"save: load would make it as {cls.__name__}({call}), and {name} takes ({takes}): {cure}"
        ) from None
    usual = inspect.signature(ancestor).parameters.keys() | set(options)
    taken = list(signature.parameters.values())[len(places) :]
    lost = [each.name for each in taken if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    lost = [each for each in lost if each not in usual]
    if lost:
        raise TypeError(f"save: the file would not hold {', '.join(lost)} of {name}: {cure}")


def plan_of(says: Entries, wanted: Wanted, base: type, kinds: Iterable[str] | None = None) -> Plan:
    """The layer that `says` describes.

    Parameters
    ----------
    says : Entries
    wanted : Wanted
    base : type
        Of layers.
    kinds : iterable of str, optional
        Those allowed, with the kinds of classes derived from theirs; default: all.

    Raises
    ------
    ValueError
        An entry that is not what `describe` writes; the cell has changed since.
    UnknownCell
        The cell is not registered.
    """
    kind = says.text("layer")
    cls: Any = KINDS.find(kind)
    if kinds is not None:
        bases = tuple(each for each in map(KINDS.find, kinds) if each)
        if cls is None or not issubclass(cls, bases):
            says.refuse(f"must be one of {', '.join(kinds)}", kind, "layer")
    if cls is None or not issubclass(cls, base):
        says.refuse(f"must be one of {', '.join(KINDS.names(base))}", kind, "layer")
    frozen = says.list("frozen", str) if "frozen" in says.value else []
    says = Entries({name: value for name, value in says.value.items() if name != "frozen"}, says.where)
    plan: Plan = cls.planned(says, says.text("dtype", ("float32", "float64")), wanted)
    if not set(frozen) <= plan.shapes.keys():
        says.refuse(f"must hold parameters ({', '.join(plan.shapes)})", frozen, "frozen")
    return replace(plan, make=partial(_made_frozen, plan.make, frozen)) if frozen else plan


def _made_frozen(make: Callable[[], Any], frozen: list[str]) -> Any:
    layer = make()
    layer.params.set_frozen(frozen)
    return layer
