"""How layers and models describe themselves: `Described` with ``summary()``, `Layer`, and `call_of` for a repr."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, Self, cast

from pylstm.hints import Hinted
from pylstm.kinds import Kinded, Plan, Shapes, Wanted, check_remade
from pylstm.markup import table
from pylstm.parameter_lists import ParametersList
from pylstm.parameters import Parameters
from pylstm.schema import Entries, check_storable
from pylstm.wording import with_article


class Summary(str):
    """A text that an interactive session shows as it is, not quoted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Described(Kinded, Hinted):
    """Base of all layers and models: `summary`, hints for names of other libraries, deep copies.

    A copy has parameters of its own, whether ``copy.copy`` or ``copy.deepcopy`` makes it.
    """

    __slots__ = ()

    fixed: ClassVar[tuple[str, ...]] = ()
    """Attributes that are set once, by the constructor: what else is made by then depends on them."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.fixed and getattr(self, "__dict__", {}).get(name, value) is not value:
            raise AttributeError(f"{name} cannot be set after the constructor: make a new {type(self).__name__}")
        super().__setattr__(name, value)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two owners of one buffer: what trains one would change the other

    def summary(self) -> Summary:
        """A table of all parameters: name, shape, number of elements, by layer.

        Returns
        -------
        str
            Shown as it is by `print` and by an interactive session.

        Examples
        --------
        >>> import pylstm
        >>> pylstm.LSTM(3, 8).summary()
        LSTM(3, 8, dtype='float32')
          weight_x  (32, 3)   96
          weight_h  (32, 8)  256
          bias      (32,)     32
        384 parameters, 1,536 bytes
        """
        layers = list(_layers(self, ""))
        blocks = [params for *_, params in layers]
        names = [name for params in blocks for name in params.names]
        shapes = [str(shape) for params in blocks for shape in params.shapes.values()]
        name, shape = (max(map(len, each), default=0) for each in (names, shapes))
        number = max(len(f"{array.size:,}") for params in blocks for array in params.values())
        lines = [] if layers[0][0] == "" else [type(self).__name__]
        for prefix, layer, params in layers:
            lines.append(f"{prefix}: {layer!r}" if prefix else repr(layer))
            marks = {n: "  frozen" for n in params.frozen} | {n: "  constant" for n in params.constants}
            lines += [
                f"  {n:{name}}  {a.shape!s:{shape}}  {a.size:{number},}{marks.get(n, '')}" for n, a in params.items()
            ]
        return Summary("\n".join([*lines, _total(blocks)]))

    def _repr_html_(self) -> str:
        """The table of `summary`, as notebooks show it."""
        try:
            layers = list(_layers(self, ""))
        except (ValueError, RuntimeError, AttributeError):  # of a model that is not fitted
            return table(repr(self), ["parameter", "shape", "number", ""], [], "not fitted: no parameters yet")
        rows: list[tuple[Any, ...]] = []
        for prefix, layer, params in layers:
            rows += [(f"{prefix}: {layer!r}",)] if prefix else []
            marks = {n: "frozen" for n in params.frozen} | {n: "constant" for n in params.constants}
            rows += [(name, array.shape, array.size, marks.get(name, "")) for name, array in params.items()]
        caption = type(self).__name__ if layers[0][0] else repr(self)
        return table(caption, ["parameter", "shape", "number", ""], rows, _total([each for *_, each in layers]))


def _total(blocks: list[Parameters]) -> str:
    """Numbers of parameters in words."""
    constant, nbytes = sum(each.constant_size for each in blocks), sum(each.flat.nbytes for each in blocks)
    size, trained = sum(each.size for each in blocks) - constant, sum(each.trained_size for each in blocks)
    held = f" ({trained:,} trained)" if trained < size else ""
    held += f", {constant:,} constants" if constant else ""
    return f"{size:,} parameters{held}, {nbytes:,} bytes"


_LACKS = "{0} lacks `{1}`, from which a file builds it again: see pylstm.saving.Layer"


def owner_of(cls: type, name: str) -> type:
    """The class, `cls` or a base, that defines an attribute."""
    return next(each for each in cls.__mro__ if name in vars(each))


class Layer(Described, hints="layer"):
    """Base of all layers: their parameters, and their description in files.

    A layer of your own, ``class Gate(Layer, kind="gate")``, has ``_params``, a `Parameters`; `arguments`, those of its
    constructor but ``dtype`` as JSON can hold them; and `shapes`.

    Examples
    --------
    >>> import os, tempfile
    >>> import pylstm
    >>> from pylstm.saving import Layer
    >>> class Gain(Layer, kind="gain"):
    ...     def __init__(self, features, dtype="float32"):
    ...         self.features = features
    ...         self._params = pylstm.Parameters({"gain": (features,)}, dtype)
    ...     @property
    ...     def arguments(self):
    ...         return {"features": self.features}
    ...     @classmethod
    ...     def shapes(cls, given):
    ...         return {"gain": (given.integer("features"),)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pylstm.save(os.path.join(folder, "gain.safetensors"), Gain(3))
    ...     pylstm.load(os.path.join(folder, "gain.safetensors")).features
    3
    """

    _params: Parameters
    option_hints = "option"
    transient: ClassVar[tuple[str, ...]] = ()
    """Attributes of an instance on which nothing that it computes depends, say a counter. Files do not hold them."""

    if TYPE_CHECKING:  # for reading only; a class may have an attribute or a property

        @property
        def arguments(self) -> dict[str, Any]: ...

    @classmethod
    def shapes(cls, given: Entries) -> Shapes:
        """Names and shapes of the parameters from the `arguments` of a file; rejects arguments that are not allowed."""
        raise TypeError(_LACKS.format(cls.__name__, "shapes"))

    def describe(self) -> dict[str, Any]:
        """Description of the layer for a file, besides kind, dtype and parameters.

        Raises
        ------
        TypeError
            Its class lacks what a file needs to build it again, or `load` could not call it with its `arguments`.
        ValueError
            `shapes` are not those of `params`.
        """
        lacking = "" if hasattr(self, "arguments") else "arguments"
        if next(cls for cls in type(self).__mro__ if "shapes" in vars(cls)) is Layer:
            lacking = "shapes"
        if lacking:
            raise TypeError(_LACKS.format(type(self).__name__, lacking))
        self._check_remade()
        return {"arguments": self.arguments}

    def _check_remade(self) -> None:
        """Refuse what `planned` could not build from `arguments`, unless a class plans in a way of its own."""
        cls, given = type(self), self.arguments
        if not owner_of(cls, "planned").__module__.startswith("pylstm."):
            return
        check_storable(given, f"save: {cls.__qualname__}.arguments")
        cure = "define `arguments`, those of its constructor but dtype, and `shapes` in the class"
        check_remade(cls, owner_of(cls, "arguments"), (), [*given, "dtype"], cure)
        shapes = cls.shapes(Entries(json.loads(json.dumps(given)), f"save: {cls.__qualname__}.arguments"))
        if dict(shapes) != self.params.shapes:
            raise ValueError(
                f"save: {cls.__qualname__}.shapes returns {shapes} and its params have {self.params.shapes}: load "
                "would refuse the file. Make them agree"
            )

    @classmethod
    def planned(cls, says: Entries, dtype: str, wanted: Wanted) -> Plan:
        """The layer that a file describes: nothing is allocated before `Plan.make`."""
        given, own = says.only(("layer", "dtype", "arguments")).entries("arguments"), cast("Any", cls)
        return Plan(cls.shapes(given), dtype, 1, lambda: own(**given.value, dtype=dtype))

    @property
    def params(self) -> Parameters:
        """All parameters, in one buffer."""
        return self._params

    @params.setter
    def params(self, values: Parameters) -> None:
        if values is not self._params:  # what `layer.params *= 0.5` sets
            raise AttributeError(
                "params cannot be replaced: set values with layer.params[name] = array or .update(...)"
            )


class Model(Described, hints="model"):
    """Base of all models; their layers are their `parts`.

    Examples
    --------
    >>> import pylstm
    >>> model = pylstm.SequenceModel("gru", 3, 4, 1)
    >>> isinstance(model, pylstm.saving.Model), list(model.parts)
    (True, ['layer', 'head'])
    """

    option_hints = "model option"

    if not TYPE_CHECKING:  # a checker reports the call itself

        def __call__(self, *_: Any, **__: Any) -> NoReturn:
            cure = "model.predict(x) returns the outputs" if hasattr(self, "predict") else "see its methods"
            raise TypeError(
                f"{with_article(type(self).__name__)} is not callable: {cure}, model.gradients(...) loss and gradients"
            )


class HasParts(Protocol):
    """A model of your own, as `save` takes it."""

    @property
    def parts(self) -> Mapping[str, Any]: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


class Trainable(Model, hints="trainable"):
    """A model with layers, its `parts`, from the beginning: it has parameters to train."""

    if TYPE_CHECKING:  # for reading only; a class may have an attribute or a property

        @property
        def parts(self) -> dict[str, Any]: ...

    @property
    def params(self) -> ParametersList:
        """Parameters of all parts, in their order."""
        return ParametersList(part.params for part in self.parts.values())

    @params.setter
    def params(self, values: Any) -> None:
        own = self.params
        same = isinstance(values, list) and len(values) == len(own) and all(a is b for a, b in zip(values, own))
        if not same:  # it is where `model.params *= 0.5` sets them
            raise AttributeError("params cannot be replaced: set values with model.params[0][name] = array")


def _layers(thing: Any, prefix: str) -> Iterator[tuple[str, Any, Parameters]]:
    """The single layers of a layer or model, each with its prefix and its parameters."""
    parts = getattr(thing, "parts", None)
    if not parts:
        yield prefix.rstrip("."), thing, thing.params
        return
    for name, part in parts.items():
        name = name if not name or name.endswith(".") else f"{name}."
        yield from _layers(part, prefix + name)


def call_of(kind: str, *arguments: Any, **options: Any) -> str:
    """The call that makes an object, as its repr.

    Examples
    --------
    >>> call_of("LSTM", 3, 8, dtype="float32")
    "LSTM(3, 8, dtype='float32')"
    """
    return f"{kind}({', '.join([*map(repr, arguments), *(f'{name}={value!r}' for name, value in options.items())])})"
