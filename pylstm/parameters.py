"""`Parameters`: named arrays that are views of one flat buffer."""

from __future__ import annotations

import itertools
import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pylstm.checks import Array, Dtype, check_array, check_dtype, quoted
from pylstm.held import Held
from pylstm.hints import Hinted, explained_constructor
from pylstm.wording import with_article

NOT_A_METHOD = "params is not a method: leave out the brackets, as in pylstm.Adam(model.params)"


@explained_constructor
class Parameters(Held, Hinted, Mapping[str, Array], hints="parameters"):
    """Named arrays in one contiguous buffer, in a fixed order.

    Parameters of a layer and their gradients share this type and its layout, so that an optimiser works on two
    flat arrays. All values start at 0. Those of one layout add and subtract, and a number scales them: so gradients
    of several batches accumulate, ``total += grads.params``, and their mean is ``sum(several) / len(several)``.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Name -> shape, in the order of the buffer.
    dtype : {"float32", "float64"}
    constants : dict of str to list of (int, int), optional
        Name -> rows, from the first to before the last, that are constants of a cell.

    Attributes
    ----------
    flat : ndarray, shape (size,)
        The buffer. Every ``params[name]`` is a view of a piece of it: writing to either changes both. It cannot be
        replaced by another.

    Raises
    ------
    TypeError
        `dtype` is neither float32 nor float64; a shape that is not a tuple or a list of integers.
    ValueError
        A negative size, or more elements than an array can hold.

    Examples
    --------
    >>> params = Parameters({"weight": (2, 3), "bias": (2,)}, "float64")
    >>> params["bias"] = np.array([0.5, -0.5])
    >>> params.flat
    array([ 0. ,  0. ,  0. ,  0. ,  0. ,  0. ,  0.5, -0.5])
    >>> params *= 2
    >>> (sum([params, params, params]) / 3)["bias"]
    array([ 1., -1.])
    """

    hot = ("zeros_like", "empty_like", "around", "same_layout", "copy")

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: Dtype = "float32",
        *,
        constants: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        self._dtype = check_dtype(dtype)
        self._shapes = {name: _checked_shape(name, shape) for name, shape in shapes.items()}
        for name, shape in self._shapes.items():
            if any(n < 0 for n in shape):
                raise ValueError(f"parameter {name!r}: negative size in shape {shape}")
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        if sum(sizes) * self._dtype.itemsize > sys.maxsize:
            raise ValueError(f"parameters too large: {sum(sizes)} elements of {self._dtype} do not fit in memory")
        ends = list(itertools.accumulate(sizes, initial=0))
        self._pieces = {name: slice(*piece) for name, piece in zip(self._shapes, itertools.pairwise(ends))}
        self._flat = np.zeros(ends[-1], self._dtype)
        self._views: dict[str, Array] = {}  # made when first asked for
        self._begin(constants or {})

    @property
    def flat(self) -> Array:
        return self._flat

    @flat.setter
    def flat(self, values: Array) -> None:
        if values is not self._flat:  # what `params.flat *= 2` sets
            raise AttributeError("flat cannot be replaced: set values with params.flat[...] = array")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(NOT_A_METHOD)

    @property
    def names(self) -> tuple[str, ...]:
        """Names, in the order of the buffer."""
        return tuple(self._shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape (a copy)."""
        return dict(self._shapes)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._dtype

    @property
    def size(self) -> int:
        """Number of elements of all arrays together."""
        return self.flat.size

    def __getitem__(self, name: str) -> Array:
        view = self._views.get(name)
        if view is None:
            if name not in self._shapes:
                raise KeyError(self._unknown(name))
            view = self._views[name] = self.flat[self._pieces[name]].reshape(self._shapes[name])
        return view

    def __setitem__(self, name: str, value: Any) -> None:
        checked = self._checked(name, value)
        self[name][...] = checked

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several arrays; all are checked before the first is copied.

        Raises
        ------
        KeyError, TypeError, ValueError
            As for ``params[name] = value``: unknown name, wrong dtype, wrong shape.
        """
        checked = {name: self._checked(name, value) for name, value in values.items()}
        for name, value in checked.items():
            self[name][...] = value

    def copy(self) -> Parameters:
        """The same values in a buffer of their own, the same ones frozen."""
        new = self.zeros_like()
        new.flat[...], new._constants, new._marks[:] = self.flat, self._constants, self._marks
        return new

    def zeros_like(self) -> Parameters:
        """The same layout, all values 0."""
        return self.around(np.zeros(self.flat.size, self._dtype))

    def empty_like(self) -> Parameters:
        """The same layout, values of whatever was there."""
        return self.around(np.empty(self.flat.size, self._dtype))

    def around(self, flat: Array) -> Parameters:
        """The same layout on another buffer, which is not copied: 1-D, of the same size and dtype.

        Raises
        ------
        ValueError
            Another size, dtype or number of axes.
        """
        right = isinstance(flat, np.ndarray)
        if not right or flat.shape != self.flat.shape or flat.dtype != self._dtype:
            got = f"{flat.shape} of {flat.dtype}" if right else with_article(type(flat).__name__)
            wrong = ValueError if right else TypeError
            raise wrong(f"flat must be an array ({self.flat.size},) of {self._dtype}, got {got}")
        new = object.__new__(Parameters)
        new._dtype, new._shapes, new._pieces = self._dtype, self._shapes, self._pieces
        new._flat, new._views = flat, {}
        new._begin({})  # what a gradient holds is not a constant
        return new

    def move_to(self, flat: Array, marks: memoryview | None = None) -> None:
        """Copy the values to `flat`, 1-D, of the same size and dtype, and use it as the buffer from now on.

        Views taken before are of the old buffer. `marks`: of the same use for what is frozen.

        Raises
        ------
        ValueError
            Another size, dtype or number of axes.
        """
        moved = self.around(flat)
        flat[...] = self._flat
        self._flat, self._views = moved._flat, {}
        if marks is not None:
            marks[:] = self._marks
            self._marks = marks

    def adopted(self, parts: Iterable[Parameters]) -> Iterator[tuple[Array, memoryview]]:
        """Pieces of the buffer and of what is frozen, one for each of `parts` in their order here, for `move_to`.

        So a stack makes the parameters of its layers pieces of one buffer.
        """
        at = first = 0
        for part in parts:
            end, last = at + part.size, first + len(part)
            yield self._flat[at:end], self._marks[first:last]
            at, first = end, last

    def same_layout(self, other: Parameters) -> bool:
        """Whether `other` has the same names, shapes, order and dtype."""
        if not isinstance(other, Parameters):
            raise TypeError(f"other must be Parameters, got {with_article(type(other).__name__)}")
        return list(self._shapes.items()) == list(other._shapes.items()) and self._dtype == other._dtype

    def __iadd__(self, other: Any) -> Parameters:
        self._flat += self._term(other)
        return self

    def __isub__(self, other: Any) -> Parameters:
        self._flat -= self._term(other)
        return self

    def __imul__(self, factor: Any) -> Parameters:
        self._flat *= self._factor(factor)
        return self

    def __itruediv__(self, divisor: Any) -> Parameters:
        divisor = self._factor(divisor)
        if divisor == 0:
            raise ZeroDivisionError("Parameters cannot be divided by 0: pass another number")
        self._flat /= divisor
        return self

    def __add__(self, other: Any) -> Parameters:
        return self.copy().__iadd__(other)

    def __radd__(self, other: Any) -> Parameters:
        return self.copy() if isinstance(other, Real) and other == 0 else self + other  # `sum` begins with 0

    def __sub__(self, other: Any) -> Parameters:
        return self.copy().__isub__(other)

    def __mul__(self, factor: Any) -> Parameters:
        return self.copy().__imul__(factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> Parameters:
        return self.copy().__itruediv__(divisor)

    def __neg__(self) -> Parameters:
        return self * -1

    def _term(self, other: Any) -> Array:
        """The buffer of what is added."""
        if not isinstance(other, Parameters):
            cure = "add its params" if isinstance(getattr(other, "params", None), Parameters) else "see params.flat"
            raise TypeError(f"Parameters can only be added to Parameters, got {type(other).__name__}: {cure}")
        if not self.same_layout(other):
            raise ValueError(f"Parameters of different layouts cannot be added: {self!r} and {other!r}")
        return other._flat

    def _factor(self, value: Any) -> Any:
        """A number in the own dtype."""
        if not isinstance(value, Real):
            raise TypeError(
                f"Parameters can only be multiplied by a number, got {type(value).__name__}: see params.flat"
            )
        try:
            with np.errstate(over="ignore"):
                number = self._dtype.type(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(
                f"Parameters can only be multiplied or divided by a finite number of {self._dtype}, got "
                f"{quoted(value)}: check what it was computed from"
            )
        return number

    __array_ufunc__ = None  # a NumPy number on the left leaves the product to `__rmul__`

    if not TYPE_CHECKING:  # a checker reports that they are not an array

        def __array__(self, *_: Any, **__: Any) -> NoReturn:
            raise TypeError("Parameters are several arrays: params.flat has all values, params[name] one array")

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    # Comparing arrays by == gives arrays: two Parameters are equal only if they are the same object.
    if TYPE_CHECKING:

        def __eq__(self, other: object, /) -> bool: ...
        def __hash__(self) -> int: ...
    else:
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    def __copy__(self) -> Parameters:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._shapes, self._dtype.name, self.flat, self._constants, self.frozen)

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {shape}" for name, shape in self._shapes.items())
        held = f"; frozen: {', '.join(self.frozen)}" if self.frozen else ""
        return f"Parameters({arrays}; {self._dtype}, {self.size} elements{held})"

    def _checked(self, name: str, value: Any) -> Array:
        if name not in self._shapes:
            raise KeyError(self._unknown(name))
        checked = check_array(f"parameter {name!r}", value, self._shapes[name], self._dtype)
        if self._constants:
            self._check_constants(name, checked, self[name])
        return checked


def _checked_shape(name: Any, shape: Any) -> tuple[int, ...]:
    """`shape` as a tuple of int."""
    several = isinstance(shape, tuple | list)
    if several and all(hasattr(n, "__index__") and not isinstance(n, bool | np.bool_ | np.ndarray) for n in shape):
        return tuple(map(operator.index, shape))
    got, cure = quoted(shape), ""
    if isinstance(shape, np.ndarray):
        sizes = shape.ndim == 1 and shape.dtype.kind in "iu"
        cure = ": pass tuple(shape)" if sizes else f": pass {shape.shape}, then params[{name!r}] = array sets it"
        got = f"an array of {shape.dtype} of shape {shape.shape}"
    elif hasattr(shape, "__index__"):
        cure = f": pass ({shape},)"
    raise TypeError(f"parameter {name!r}: its shape must be a tuple of integers, got {got}{cure}")


def _rebuild(shapes: Any, dtype: Any, flat: Array, constants: Any = None, frozen: Iterable[str] = ()) -> Parameters:
    """The inverse of `__reduce__`, for pickle and `copy.deepcopy`: the views must be views of the new buffer."""
    params = Parameters(shapes, dtype, constants=constants)
    params.flat[...] = flat
    params.set_frozen(frozen)
    return params
