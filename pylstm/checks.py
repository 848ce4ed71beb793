"""Checks of arguments: arrays, dtypes, sizes, names, lengths, indices."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np

from pylstm.schema import MOST
from pylstm.wording import ByName as ByName
from pylstm.wording import converted, of_unequal, some_of, with_article

DTYPES = ("float32", "float64")

Array = np.ndarray[tuple[Any, ...], np.dtype[np.floating[Any]]]
"""An array of float32 or float64, for type checkers."""

Dtype = Literal["float32", "float64"] | type[np.float32] | type[np.float64] | np.dtype[Any]
"""What `check_dtype` takes, for type checkers."""

# As a text: numpy.random is loaded when it is asked for.
Seed: TypeAlias = "int | np.integer[Any] | np.random.SeedSequence | np.random.Generator | None"
"""What the generator of initial values may be made of, for type checkers."""

Integer: TypeAlias = "int | np.integer[Any]"
"""What `check_seed` takes, for type checkers."""


def quoted(value: Any) -> str:
    """The repr of a value for a message: a long one is cut after 200 characters.

    Examples
    --------
    >>> quoted("x" * 1000).count("x"), quoted([1, 2])
    (199, '[1, 2]')
    """
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def listed(name: str, values: Any, what: str = "names") -> list[Any]:
    """The elements of a list or another iterable; `TypeError` for one value, and for a str, whose elements are letters.

    Examples
    --------
    >>> listed("columns", ("x", "y"))
    ['x', 'y']
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        cure = f": pass [{quoted(values)}]" if isinstance(values, str) and what.startswith("names") else ""
        raise TypeError(f"{name} must be a list of {what}, got {quoted(values)}{cure}")
    return list(values)


def check_finite(name: str, array: np.ndarray) -> np.ndarray:
    """`array`; `ValueError` if an element is NaN or infinite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, holds {array[~np.isfinite(array)][0]}")
    return array


def check_dtype(dtype: Any) -> np.dtype:
    """`dtype` as a `numpy.dtype`, native byte order; `TypeError` unless it is float32 or float64."""
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        found = None
    if dtype is None or found is None or found.name not in DTYPES:
        raise TypeError(f"dtype must be 'float32' or 'float64', got {quoted(dtype)}")
    return np.dtype(str(found.name))  # NumPy's own object, which a stream recognises at once


def check_size(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; `TypeError` if it is not an integer, `ValueError` if it is below."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {quoted(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if value > MOST:
        raise ValueError(f"{name} must be at most 2**40, got {value}")
    return operator.index(value)


def check_number(name: str, value: Any) -> Any:
    """`value` if it is a number; `TypeError` otherwise, and for a bool."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {quoted(value)}")
    return value


def check_positive(name: str, value: Any) -> Any:
    """`value` if it is a number above 0 and finite; `TypeError` if it is not a number, `ValueError` otherwise."""
    if not 0 < check_number(name, value) < np.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value}")
    return value


def check_share(name: str, value: Any) -> Any:
    """`value` if it is a number from 0 to 1; `TypeError` if it is not a number, `ValueError` if it is not in 0..1."""
    if not 0 <= check_number(name, value) <= 1:
        raise ValueError(f"{name} must be in 0..1, got {value}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool; `TypeError` unless it is True or False, or 1 or 0."""
    if not isinstance(value, (bool, np.bool_)) and not (isinstance(value, int) and value in (0, 1)):
        raise TypeError(f"{name} must be True or False, got {quoted(value)}")
    return bool(value)


def check_seed(seed: Any) -> int:
    """`seed` as an int of 0 or more, of which orders of rows are drawn."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(_SEED.format(quoted(seed)))
    if seed < 0:
        raise ValueError(_SEED.format(seed))
    return operator.index(seed)


_SEED = "seed must be an integer of 0 or more, got {}"


def generator(seed: Any) -> np.random.Generator:
    """`numpy.random.default_rng` of a `seed` argument.

    Raises
    ------
    TypeError, ValueError
        What NumPy takes for no seed.
    """
    try:
        return np.random.default_rng(_no_flag(seed))
    except (TypeError, ValueError) as error:
        raise type(error)(_SEED.format(quoted(seed))) from None


def _no_flag(seed: Any) -> Any:
    """`seed`; `TypeError` if it is a bool, which NumPy takes for an integer."""
    if isinstance(seed, bool | np.bool_):
        raise TypeError
    return seed


def seeds_of(seed: Any, count: int) -> list[np.random.SeedSequence]:
    """`count` independent seeds from one, which raises as that of `generator`."""
    try:
        return np.random.SeedSequence(_no_flag(seed)).spawn(count)
    except (TypeError, ValueError) as error:
        raise type(error)(_SEED.format(quoted(seed))) from None


def takes_one(function: Any) -> bool:
    """Whether it can be called with one argument; a signature that cannot be read is taken to allow it."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def as_array(name: str, value: Any, unequal: str = "") -> np.ndarray:
    """`value` as an array of whatever dtype and shape it has; `unequal` says what to do with rows of unequal lengths.

    Raises
    ------
    TypeError
        None, a masked array, or what NumPy cannot make an array of.
    ValueError
        Nested sequences of unequal lengths.
    """
    if value is None:
        raise TypeError(f"{name} must be an array, got None")
    if isinstance(value, str | bytes):
        raise TypeError(f"{name} must be an array of numbers, got {quoted(value)}")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: masked arrays are not supported: fill it first, value.filled(0)")
    try:
        return np.asarray(value)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name}{_no_array(value, unequal or of_unequal(name))}") from None
        raise ValueError(f"{name}: not an array: {error}") from None
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"{name}: NumPy cannot make an array of {with_article(type(value).__name__)} ({error}); "
            "for a PyTorch tensor, pass tensor.detach().float()"
        ) from None


OF_LOSS = (
    "a loss returns both its value and dy, its derivative with respect to y: value, dy = loss(run.y, target); "
    "run.backward(dy)"
)


def _no_array(value: Any, unequal: str) -> str:
    """Why nested sequences are not an array: rows of unequal lengths, what a loss returned, or anything else."""
    shapes = [_shape(each) for each in value]
    if len(shapes) == 2 and shapes[0] == () and shapes[1]:
        return f" must be one array, got a pair of a number and an array: {OF_LOSS}"
    if all(shapes) and len({shape[1:] for shape in shapes}) == 1:
        return f": rows of unequal lengths do not form an array: {unequal}"
    return f" must be one array, got {with_article(type(value).__name__)} of shapes {quoted(shapes)}"


def _shape(value: Any) -> tuple[Any, ...]:
    try:
        return np.shape(value)
    except ValueError:
        return (None,)


def check_array(
    name: str, value: Any, shape: tuple[int | str, ...], dtype: Any, *, of_layer: bool = True
) -> np.ndarray:
    """`value` as an array of `dtype`; a value that does not fit is rejected, never converted.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array_like
        Of floats of `dtype` in any byte order and memory layout.
    shape : tuple of int or str
        Expected sizes; a str stands for an axis of any size and is its name in the message.
    dtype : dtype
    of_layer : bool
        Whether a layer has that dtype, which could be made with another.

    Raises
    ------
    TypeError
        Another dtype, or a masked array.
    ValueError
        Another shape.

    Examples
    --------
    >>> check_array("bias", [0.0, 1.0], ("H",), "float64").shape
    (2,)
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.shape == shape and value.flags.aligned:
        return value
    array = as_array(name, value)
    dtype = np.dtype(dtype)
    if shape and array.ndim == 0 and array.dtype.kind in "fiub":
        cure = f": {OF_LOSS}" if name == "dy" else ""
        raise ValueError(f"{name} must have shape ({_sizes(shape)}), got the number {array}{cure}")
    if array.dtype.newbyteorder("=") != dtype:
        cures = []
        if array.dtype.kind in "fiub":
            cures.append(f"convert it with np.asarray(value, dtype='{dtype}')")
        if of_layer and array.dtype.name in DTYPES:
            cures.append(f"create the layer with dtype='{array.dtype.name}'")
        raise TypeError(f"{name} must be {dtype}, got {array.dtype}{': ' if cures else ''}{', or '.join(cures)}")
    fits = len(shape) == array.ndim and all(isinstance(w, str) or w == n for w, n in zip(shape, array.shape))
    if not fits:
        raise ValueError(f"{name} must have shape ({_sizes(shape)}), got {array.shape}")
    return np.require(array, dtype, ["ALIGNED"])


def check_lengths(lengths: Any, T: int, B: int) -> np.ndarray:
    """`lengths` as an array of int, shape (B,).

    Raises
    ------
    TypeError
        Not of integers.
    ValueError
        Another shape, or a length out of 0..T.
    """
    array = as_array("lengths", lengths)
    if array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, got {array.dtype}")
    if array.shape != (B,):
        raise ValueError(f"lengths must have shape ({B},), one for each row, got {array.shape}")
    if B and not (array.min() >= 0 and array.max() <= T):
        raise ValueError(f"lengths must be in 0..{T}, the steps of x, got {array.min()}..{array.max()}")
    return array.astype(np.intp)


def check_names(what: str, values: Any, names: tuple[str, ...]) -> None:
    """Reject anything but a mapping, such as a dict, with keys among `names`."""
    if not isinstance(values, (dict, Mapping)):  # a dict is found faster as one
        example = f"{{{', '.join(f'{name!r}: ...' for name in names)}}}" if names else "and this cell has none"
        each = ", one array for each name" if isinstance(values, tuple | list | np.ndarray) else ""
        raise TypeError(f"{what} must be a dict by name, {example}{each}; got {type(values).__name__}")
    for name in values:
        if name not in names:
            raise ValueError(f"{what}: unknown name {name!r} (known: {some_of(names, str(name)) or 'none'})")


def as_size(name: str, value: Any) -> int:
    """`value` as an int; `TypeError` if it is not an integer."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {quoted(value)}") from None


def check_indices(name: str, value: Any, size: int, below: str = "", beyond: str = "") -> np.ndarray:
    """`value` as an array of indices below `size`.

    `below` is what to do about an index below 0, `{}` in it that; `beyond` about a larger one, `{}` in it `size`.

    Raises
    ------
    TypeError
        Not integers.
    ValueError
        An index below 0 or not below `size`.
    """
    indices = as_array(name, value)
    if indices.dtype.kind not in "iu":
        numbers = f"np.unique({name}, return_inverse=True)[1]"
        number = converted(name, value, "int64") if indices.dtype.kind in "fb" else numbers
        raise TypeError(f"{name} must be integers, got {indices.dtype}: convert with {number}")
    found = indices.astype(np.intp, copy=False)
    if found.size and not found.view(np.uintp).max() < size:  # below 0 is very large
        wrong = indices.min() if indices.min() < 0 else indices.max()
        cure = below.format(wrong) if wrong < 0 else beyond.format(size)
        raise ValueError(f"{name} must be in 0..{size - 1}, got {wrong}{cure and ': '}{cure}")
    return found


def _sizes(shape: tuple[int | str, ...]) -> str:
    once = [size for k, size in enumerate(shape) if size != "..." or shape[k - 1 : k] != ("...",)]  # any number of axes
    return ", ".join(map(str, once)) + ("," if len(once) == 1 else "")


def which_rows(rows: Any, B: int) -> np.ndarray:
    """Which of B rows `rows` names, as bytes (B,): all without, an index, some of them, or a mask.

    Raises
    ------
    TypeError
        Neither integers nor bool.
    ValueError
        A mask of another shape, an index out of 0..B - 1.

    Examples
    --------
    >>> which_rows([0, 2], 3), which_rows([False, True, False], 3)
    (array([1, 0, 1], dtype=uint8), array([0, 1, 0], dtype=uint8))
    """
    if rows is None:
        return np.ones(B, np.uint8)
    rows, chosen = as_array("rows", rows), np.zeros(B, np.uint8)
    if rows.dtype == np.bool_:
        if rows.shape != (B,):
            raise ValueError(f"rows as a mask must have shape ({B},), got {rows.shape}")
        return np.asarray(rows, np.uint8)
    if rows.ndim > 1:
        raise ValueError(f"rows must be one index, a list of indices or a mask ({B},), got shape {rows.shape}")
    if rows.size and rows.dtype.kind not in "iu":
        raise TypeError(f"rows must be integers, or a mask of bool, got {rows.dtype}")
    if rows.size and not (rows.min() >= 0 and rows.max() < B):
        raise ValueError(f"rows must be in 0..{B - 1}, got {rows.min()}..{rows.max()}")
    chosen[rows.astype(np.intp)] = 1
    return chosen


def check_reset(reset: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`reset` as bytes.

    Raises
    ------
    TypeError, ValueError
        No array of bool; another shape.
    """
    given, reset = reset, as_array("reset", reset)
    if reset.dtype != np.bool_:
        cure = f": pass {converted('reset', given, 'bool')}" if reset.dtype.kind in "fiu" else ""
        raise TypeError(f"reset must be an array of bool, got {reset.dtype}{cure}")
    if reset.shape != shape:
        raise ValueError(f"reset must have shape {shape}, got {reset.shape}")
    flags: np.ndarray = reset.view(np.uint8)
    return flags
