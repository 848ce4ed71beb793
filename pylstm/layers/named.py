"""The layers by the names that users know, `Recurrent`, `LSTM`, `GRU`, `RNN`: one layer, or a stack of several."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ClassVar

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.options import base_of
from pylstm.checks import check_flag
from pylstm.described import owner_of
from pylstm.hints import explained, refuse_sizes
from pylstm.kinds import Plan, Wanted, check_remade
from pylstm.layers.arguments import is_registered, several
from pylstm.layers.filed import describe_cell, plan_cell
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import stack_of
from pylstm.schema import Entries
from pylstm.wording import OF_LAYERS, layer_in_place


def _is_factory(cls: Any) -> bool:
    """Whether the class makes one layer or a stack: not with an ``__init__``, and so arguments, of its own."""
    return getattr(cls.__init__, "__module__", "") == __name__


def _factory(new: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a ``__new__``: an ordinary one for classes with an ``__init__`` of their own."""
    make = explained()(new)

    @wraps(new)
    def made(cls: Any, *given: Any, **options: Any) -> Any:
        return make(cls, *given, **options) if _is_factory(cls) else object.__new__(cls)

    return made


class _Signature:
    """``__signature__`` of the classes: what a call takes, which `inspect` would look for in ``__new__`` alone."""

    def __get__(self, instance: Any, owner: Any) -> inspect.Signature:
        if instance is not None:
            return inspect.signature(instance.__call__)
        own = list(inspect.signature(owner.__init__).parameters.values())[1:]
        if _is_factory(owner):
            makers = (stack_of, Recurrent.__init__, RecurrentLayer.__init__)
            taken = {each.name: each for maker in makers for each in inspect.signature(maker).parameters.values()}
            options = [each for each in taken.values() if each.kind is each.KEYWORD_ONLY]
            places = [each for each in own if each.kind is each.POSITIONAL_OR_KEYWORD]
            special = [each for each in own if each.kind is each.KEYWORD_ONLY and each.name not in taken]
            own = [*places, *special, *options, *([taken["sizes"]] if owner.__init__ is Recurrent.__init__ else [])]
        return inspect.Signature(own)


class Recurrent(RecurrentLayer, kind="recurrent"):
    """One layer of a recurrent cell, or a stack of them.

    Parameters
    ----------
    cell : str or type
        Name of a registered cell (``pylstm cells`` lists them) or a `Cell` subclass. A layer of a cell that has a class
        of its own is one of that class: ``Recurrent("lstm", 3, 8)`` an `LSTM`.
    input_size, hidden_size : int
        Widths of the input and of the hidden blocks.
    num_layers : int
        With more than 1, or with `bidirectional`, a `Stack` of such layers is made instead, and returned.
    bidirectional : bool
        Two directions in each layer.
    dropout : float
        Of the outputs of all layers of the stack but the last; see `Stack`.
    bias : bool
        Whether the gates have biases.
    batch_first : bool
        Arrays are (B, T, ...) instead of (T, B, ...).
    dtype : {"float32", "float64"}
        Of parameters, inputs and results.
    seed : int, optional
        Of the initial parameters, uniform between -1/sqrt(hidden_size) and 1/sqrt(hidden_size) as in PyTorch.
    learn_initial : bool or iterable of str
        Whether the initial states, or those named, are parameters ``initial_<state>`` (width,), at first 0: of every
        row whose initial state is not given, and at all resets.
    certified : bool
        Whether the cell must be certified; that is done once per class and process. With False a cell is used whose
        backward may be wrong: the layer's repr says so.
    **sizes : int, float or bool
        Extra sizes of the cell (`Cell.sizes`), and its options (`Cell.options`): ``Recurrent("cornn", 3, 5, dt=0.01)``.

    Attributes
    ----------
    params : Parameters
        By name: ``weight_x`` (widths of the gates fed by x, input_size), ``weight_h`` and so on for every source,
        ``bias``, and the cell's per-unit parameters.
    cell : type
        With options other than the defaults, what `Cell.with_options` returns.
    input_size, hidden_size, output_size : int
    dtype : numpy.dtype
    widths : dict of str to int
        Width of every block of the cell.

    Raises
    ------
    LookupError
        No cell of that name.
    TypeError, ValueError
        A size that is not an integer, another dtype, a size or option that the cell does not have.
    CertificationError
        The cell's backward is not the derivative of its forward; the message names each wrong path.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.Recurrent("lstm", input_size=3, hidden_size=5, seed=0)
    >>> run = layer(np.ones((7, 2, 3), "float32"))
    >>> run.y.shape, run.final["c"].shape, run.gates["f"].shape
    ((7, 2, 5), (2, 5), (7, 2, 5))
    >>> grads = run.backward(np.ones_like(run.y))
    >>> grads.x.shape, grads.params["weight_h"].shape
    ((7, 2, 3), (20, 5))
    """

    __signature__ = _Signature()

    @_factory
    def __new__(
        cls,
        cell: Any = None,
        input_size: Any = ...,
        hidden_size: Any = ...,
        num_layers: int = 1,
        *more: Any,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> Any:
        if isinstance(cell, int):
            raise TypeError(
                f"cell must be a registered name or a Cell subclass, got {cell}: write Recurrent('lstm', 3, 8)"
            )
        if isinstance(cell, type) and issubclass(cell, RecurrentLayer):
            name, own = cell.__name__, OF_LAYERS.get(cell.__name__)
            cure = f": {name}(3, 8), or Recurrent({own!r}, 3, 8)" if own else ""
            raise TypeError(f"{layer_in_place(cell).partition(':')[0]}{cure}")
        refuse_sizes(cls, (input_size, hidden_size), more, options, f"Recurrent({cell!r}, 3, 8")
        if several(num_layers, bidirectional, dropout):
            return stack_of(partial(cls, cell), input_size, hidden_size, num_layers, bidirectional, dropout, **options)
        return object.__new__(cls)

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        if not _is_factory(type(self)) and several(num_layers, bidirectional, dropout):
            name = type(self).__name__
            raise TypeError(
                f"{name} has an __init__ of its own and is one layer: pylstm.Stack([layer, ...]) stacks several, "
                "pylstm.Bidirectional(layer, reverse) has two directions"
            )
        super().__init__(cell, input_size, hidden_size, **options)
        if type(self) is Recurrent:
            self.__class__ = class_of(self.cell)  # not in `__new__`: the `__init__` of that class would run

    def __repr__(self) -> str:
        return self._made_by(Recurrent, self.cell.name)

    def _made_by(self, base: type, *first: Any, **own: Any) -> str:
        """The call that makes it; of a class with other arguments, the one that makes a `base` of it."""
        if _is_factory(type(self)):
            return self._call("Recurrent" if base is Recurrent else type(self).__name__, *first, **own)
        return f"<{type(self).__name__}: {self._call(base.__name__, *first, **own)}>"

    def describe(self) -> dict[str, Any]:
        """Description of the layer for a file."""
        says, cls = describe_cell(self), type(self)
        if cls.kind != Recurrent.kind and owner_of(cls, "planned").__module__.startswith("pylstm."):
            cure = "let its constructor take what its base takes, and set options of its own on the class"
            base = next(each for each in cls.__mro__ if each.__module__ == __name__)
            places = ("cell",) if base is Recurrent else ()
            check_remade(cls, base, places, [*self._chosen(self.cell), *says["arguments"], "dtype", "certified"], cure)
        return says

    @classmethod
    def _chosen(cls, cell: type[Cell]) -> dict[str, Any]:
        """Options of the class that choose the cell."""
        return {}

    @classmethod
    def _of_cell(cls, cell: type[Cell], **arguments: Any) -> Recurrent:
        """A layer of this very class."""
        return cls(cell, **arguments)

    @classmethod
    def planned(cls, says: Entries, dtype: str, wanted: Wanted) -> Plan:
        """The layer that a file describes."""
        return plan_cell(Recurrent if cls.kind == Recurrent.kind else cls._of_cell, says, dtype, wanted)


class Named(Recurrent):
    """A `Recurrent` whose class says which cell."""

    cells: ClassVar[dict[str, dict[str, Any]]]
    """Its cells, each with the options of the class that choose it, if they are not the default."""

    @_factory
    def __new__(
        cls,
        input_size: Any = ...,
        hidden_size: Any = ...,
        num_layers: int = 1,
        *more: Any,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> Any:
        refuse_sizes(cls, (input_size, hidden_size), more, options, f"{cls.__name__}(3, 8")
        if several(num_layers, bidirectional, dropout):
            return stack_of(cls, input_size, hidden_size, num_layers, bidirectional, dropout, **options)
        return object.__new__(cls)

    @classmethod
    def _chosen(cls, cell: type[Cell]) -> dict[str, Any]:
        return cls.cells.get(cell.name, {})

    @classmethod
    def _of_cell(cls, cell: type[Cell], **arguments: Any) -> Recurrent:
        if cell.name not in cls.cells or not is_registered(base_of(cell)):
            raise ValueError(f"{cls.__name__} makes layers of the registered {', '.join(cls.cells)}, not of {cell!r}")
        return cls(**cls._chosen(cell), **arguments)

    def __repr__(self) -> str:
        base = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return self._made_by(base, **self.cells[self.cell.name])


class LSTM(Named):
    """Long short-term memory layer: `Recurrent` with the cell ``lstm`` (gates in the order i, f, g, o).

    Parameters
    ----------
    proj_size : int
        With more than 0, as in PyTorch: the cell ``lstmp``, of which the output h is a projection to this width. It has
        the cell state c in `hidden_size`, and the further matrix ``weight_m`` (proj_size, hidden_size).

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.LSTM(3, 5, dtype="float64", seed=0)
    >>> layer(np.ones((4, 3))).final["h"].shape
    (5,)
    >>> stack = pylstm.LSTM(3, 5, num_layers=2, bidirectional=True)
    >>> stack(np.ones((4, 7, 3), "float32")).final["h"].shape
    (4, 7, 5)
    >>> pylstm.LSTM(3, 5, proj_size=2, seed=0)(np.ones((4, 3), "float32")).y.shape
    (4, 2)
    """

    kind = "recurrent"
    cells = {"lstm": {}, "lstmp": {}}  # proj_size is a size of the cell

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, proj_size: int = 0, **options: Any
    ) -> None:
        if isinstance(proj_size, bool) or not hasattr(proj_size, "__index__") or proj_size < 0:
            raise ValueError(f"proj_size must be an integer of at least 0, got {proj_size!r}")
        if proj_size:
            options["proj_size"] = proj_size
        super().__init__("lstmp" if proj_size else "lstm", input_size, hidden_size, num_layers, **options)


class GRU(Named):
    """Gated recurrent unit layer as in PyTorch: `Recurrent` with the cell ``gru``.

    Parameters
    ----------
    reset_after : bool
        Whether the reset gate scales the recurrent product, as in PyTorch, or, as in the paper and with Keras'
        ``reset_after=False``, the state before it: the cell ``gru_reset_before``.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.GRU(3, 5, reset_after=False).cell.name
    'gru_reset_before'
    """

    kind = "recurrent"
    cells = {"gru": {}, "gru_reset_before": {"reset_after": False}}

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, reset_after: bool = True, **options: Any
    ) -> None:
        cell = "gru" if check_flag("reset_after", reset_after) else "gru_reset_before"
        super().__init__(cell, input_size, hidden_size, num_layers, **options)


class RNN(Named):
    """Plain recurrent layer h_t = f(W x_t + U h_{t-1} + b): the cells ``rnn_tanh``, ``rnn_relu``, ``rnn_linear``.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu", "linear"}

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.RNN(3, 5, nonlinearity="relu", seed=0)
    >>> layer.cell.name, layer(np.ones((7, 2, 3), "float32")).y.shape
    ('rnn_relu', (7, 2, 5))
    """

    kind = "recurrent"
    cells = {f"rnn_{name}": {"nonlinearity": name} if name != "tanh" else {} for name in ("tanh", "relu", "linear")}

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu", "linear"):
            raise ValueError(f"nonlinearity must be 'tanh', 'relu' or 'linear', got {nonlinearity!r}")
        super().__init__(f"rnn_{nonlinearity}", input_size, hidden_size, num_layers, **options)


_NAMED = {cell: cls for cls in (LSTM, GRU, RNN) for cell in cls.cells}


def class_of(cell: type[Cell]) -> type[Recurrent]:
    """`LSTM`, `GRU` or `RNN` where the class has this very cell, else `Recurrent`."""
    return _NAMED.get(cell.name, Recurrent) if is_registered(cell) else Recurrent
