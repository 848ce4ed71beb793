"""How layers and models describe themselves: `Described` with ``summary()``, `Layer`, and `call_of` for a repr."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, Self, cast

from pylstm.hints import Hinted
from pylstm.kinds import Kinded, Plan, Shapes, Wanted, check_remade
from pylstm.markup import table
from pylstm.parameter_lists import ParametersList
from pylstm.parameters import Parameters
from pylstm.schema import Entries, check_storable
from pylstm.summaries import HEADER, Outlined, Shape, Summary, rows_of
from pylstm.wording import with_article


class Described(Kinded, Hinted, Outlined):
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

    def summary(self, input_shape: Sequence[int | str | None] | None = None) -> Summary:
        """A table of all layers: the shape that each returns, and its parameters with name, shape and number.

        Parameters
        ----------
        input_shape : sequence of int, optional
            Of what it is called with, in the order of its axes: (T, B, input_size) for a layer, (B, T, input_size)
            with `batch_first`, (N, T, input_size) for a model. None in it: of any size. Without it letters stand for
            what may have any size.

        Returns
        -------
        str
            Shown as it is by `print` and by an interactive session.

        Raises
        ------
        TypeError, ValueError
            A shape that it does not take.

        Examples
        --------
        >>> import pylstm
        >>> pylstm.LSTM(3, 8).summary()
        layer                        output shape  parameters
        LSTM(3, 8, dtype='float32')  (T, B, 8)            384
          weight_x                   (32, 3)               96
          weight_h                   (32, 8)              256
          bias                       (32,)                 32
        384 parameters, 1,536 bytes
        >>> model = pylstm.SequenceModel("gru", 3, 8, 2, num_layers=2)
        >>> for line in model.summary((64, 50, 3)).splitlines():
        ...     if line[0] != " ":
        ...         print(line)
        layer                                output shape  parameters
        SequenceModel                        (64, 2)              730
        layer: Stack                         (64, 50, 8)          712
        layer.0: GRU(3, 8, dtype='float32')  (64, 50, 8)          296
        layer.1: GRU(8, 8, dtype='float32')  (64, 50, 8)          416
        read: last                           (64, 8)
        head: Linear(8, 2, dtype='float32')  (64, 2)               18
        730 parameters, 2,920 bytes
        """
        return Summary(rows_of(self, input_shape))

    def _repr_html_(self) -> str:
        """The table of `summary`, as notebooks show it."""
        try:
            rows = rows_of(self)
        except (ValueError, RuntimeError, AttributeError):  # of a model that is not fitted
            return table(repr(self), [*HEADER, ""], [], "not fitted: no parameters yet")
        return rows.html(type(self).__name__ if len(rows.blocks) > 1 else repr(self))


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

    def _takes(self) -> Shape | None:
        width = getattr(self, "in_features", getattr(self, "input_size", None))
        if width is None or not hasattr(self, "batch_first"):
            return None if width is None else ("...", width)
        return ("B", "T", width) if self.batch_first else ("T", "B", width)

    def _returns(self, takes: Shape) -> Shape | None:
        width = getattr(self, "out_features", getattr(self, "output_size", None))
        return None if width is None else (*takes[:-1], width)

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


def call_of(kind: str, *arguments: Any, **options: Any) -> str:
    """The call that makes an object, as its repr.

    Examples
    --------
    >>> call_of("LSTM", 3, 8, dtype="float32")
    "LSTM(3, 8, dtype='float32')"
    """
    return f"{kind}({', '.join([*map(repr, arguments), *(f'{name}={value!r}' for name, value in options.items())])})"
