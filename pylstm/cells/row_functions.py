"""Functions across the units of a row, of which cells are made: sums, softmax, products with a matrix in a state.

A row of width W falls into `groups` of W / groups consecutive units (heads), each with a result of its own. Widths and
groups are numbers, in a formula also names of sizes and products, ``"heads * key"``, or ``size.heads``. All take NumPy
arrays (..., width), real or complex, and the symbols of a formula, as those of `pylstm.cells.functions` do.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from pylstm.cells.formula.symbols import Symbol, refuse, width_given
from pylstm.cells.functions import absolute, of_numbers, sqrt, stop_gradient, where
from pylstm.cells.widths import product, quotient
from pylstm.checks import check_flag, quoted

Groups = Any
"""A number; in a formula also a size name, a product of them, or ``size.<name>``."""


def _parts(x: Any, groups: int) -> Any:
    """x as (..., groups, width / groups)."""
    x = np.atleast_1d(np.asarray(x))
    if not isinstance(groups, numbers.Integral) or groups < 1:
        raise TypeError(f"groups of an array must be a whole number of 1 or more, got {quoted(groups)}")
    if x.shape[-1] % groups:
        raise ValueError(f"groups={groups} does not divide a row of {x.shape[-1]} units")
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def _joined(x: Any) -> Any:
    """The inverse of `_parts`."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


@of_numbers("x")
def row_sum(x: Any, groups: Groups = 1) -> Any:
    """Sum over the units of each group: (..., W) to (..., groups).

    Raises
    ------
    ValueError
        `groups` does not divide the width; of a symbol `FormulaError`, or when a layer is made.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])
    >>> row_sum(x), row_sum(x, 2)
    (array([[12.]]), array([[3., 9.]]))
    """
    if isinstance(x, Symbol):
        return x.across("row_sum", width_given(groups))
    return _parts(x, groups).sum(axis=-1)


@of_numbers("x")
def row_mean(x: Any, groups: Groups = 1) -> Any:
    """Mean over the units of each group: (..., W) to (..., groups).

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])
    >>> row_mean(x, 2)
    array([[1.5, 4.5]])
    """
    if isinstance(x, Symbol):
        width, each = x.width, quotient(x.width, width_given(groups))
        count = x.size(width) / x.size(width_given(groups)) if each is None else x.size(each)
        return row_sum(x, groups) / count
    return row_sum(x, groups) / (x.shape[-1] // groups)


@of_numbers("x")
def row_max(x: Any, groups: Groups = 1) -> Any:
    """The largest unit of each group: (..., W) to (..., groups), NaN where one is. Equal units share the derivative.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])
    >>> row_max(x, 2)
    array([[2., 6.]])
    """
    if isinstance(x, Symbol):
        return x.across("row_max", width_given(groups))
    parts = _parts(x, groups)
    return np.take_along_axis(parts, np.real(parts).argmax(axis=-1)[..., None], axis=-1)[..., 0]


@of_numbers("x")
def row_norm(x: Any, groups: Groups = 1) -> Any:
    """Euclidean norm of each group, by the largest unit: (..., W) to (..., groups). Of zeros its derivative is 0.

    Examples
    --------
    >>> row_norm(np.array([[3.0, 4.0]])), row_norm(np.array([[3e200, 4e200]]))
    (array([[5.]]), array([[5.e+200]]))
    """
    most = stop_gradient(row_max(absolute(x), groups))  # the norm does not depend on what its terms are divided by
    finite = 1 / where(most > 1, most, 1) > 0
    scale = where((most > 0) & finite, most, 1)
    part = x / repeat(scale, x.width if isinstance(x, Symbol) else x.shape[-1])
    square = row_sum(part * part, groups)
    some = square != 0
    return scale * where(some, sqrt(where(some, square, 1)), 0)


@of_numbers("x")
def softmax(x: Any, groups: Groups = 1) -> Any:
    """exp(x) / sum(exp(x)) in each group, by the largest unit: no overflow.

    Examples
    --------
    >>> softmax(np.array([[1e4, 1e4, 0.0]]))
    array([[0.5, 0.5, 0. ]])
    """
    if isinstance(x, Symbol):
        return x.across("softmax", x.width, width_given(groups))
    parts = _parts(x, groups)
    e = np.exp(parts - np.real(parts).max(axis=-1, keepdims=True))
    return _joined(e / e.sum(axis=-1, keepdims=True))


@of_numbers("x")
def logsumexp(x: Any, groups: Groups = 1) -> Any:
    """log(sum(exp(x))) of each group, by the largest unit: (..., W) to (..., groups). Of nothing but -inf it is -inf.

    Examples
    --------
    >>> logsumexp(np.array([[1e4, 0.0]]))
    array([[10000.]])
    """
    if isinstance(x, Symbol):
        return x.across("logsumexp", width_given(groups))
    parts = _parts(x, groups)
    most = np.real(parts).max(axis=-1)
    most = np.where(np.isinf(most), most.dtype.type(0), most)
    return most + np.log(np.exp(parts - most[..., None]).sum(axis=-1))


@of_numbers("x")
def cumsum(x: Any, groups: Groups = 1, reverse: bool = False) -> Any:
    """Sums of the units up to each, in each group; `reverse`: from each to the last.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])
    >>> cumsum(x), cumsum(x, 2, reverse=True)
    (array([[ 1.,  3.,  6., 12.]]), array([[3., 2., 9., 6.]]))
    """
    reverse = check_flag("reverse", reverse)
    if isinstance(x, Symbol):
        return x.across("rcumsum" if reverse else "cumsum", x.width, width_given(groups))
    parts = _parts(x, groups)
    return _joined(parts[..., ::-1].cumsum(axis=-1)[..., ::-1] if reverse else parts.cumsum(axis=-1))


@of_numbers("x")
def repeat(x: Any, width: Groups) -> Any:
    """Each unit several times, one after another, so that the row has `width` units: what `row_sum` made, back.

    Of a value of width 1 this happens by itself where it meets a wider one.

    Examples
    --------
    >>> repeat(np.array([[1.0, 2.0]]), 4)
    array([[1., 1., 2., 2.]])
    """
    if isinstance(x, Symbol):
        return x.across("fill", width_given(width))
    return _joined(np.broadcast_to(x[..., None], (*x.shape, _times(x, width))))


@of_numbers("x")
def tile(x: Any, width: Groups, groups: Groups = 1) -> Any:
    """The units of each group several times as a whole, so that the row has `width` units.

    Examples
    --------
    >>> tile(np.array([[1.0, 2.0]]), 4)
    array([[1., 2., 1., 2.]])
    """
    if isinstance(x, Symbol):
        return x.across("tile", width_given(width), width_given(groups))
    parts = _parts(x, groups)
    count = _times(x, width)
    wide = np.broadcast_to(parts[..., None, :], (*parts.shape[:-1], count, parts.shape[-1]))
    return wide.reshape(*x.shape[:-1], width)


@of_numbers("x")
def fold(x: Any, width: Groups, groups: Groups = 1) -> Any:
    """Sums over what `tile` repeats: of the pieces of each group, to a row of `width` units.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])
    >>> fold(x, 2)
    array([[4., 8.]])
    """
    if isinstance(x, Symbol):
        return x.across("fold", width_given(width), width_given(groups))
    parts = _parts(x, groups)
    if width < 1 or x.shape[-1] % width or width % groups:
        raise ValueError(f"a row of {x.shape[-1]} units in {groups} groups cannot be folded to {width}")
    pieces = parts.reshape(*parts.shape[:-1], x.shape[-1] // width, width // groups)
    return _joined(pieces.sum(axis=-2))


def _times(x: Any, width: int) -> int:
    if width < 1 or width % x.shape[-1]:
        raise ValueError(f"{x.shape[-1]} units cannot be repeated up to {width}")
    return int(width // x.shape[-1])


def _symbols(what: str, a: Any, b: Any) -> bool:
    """Whether both are symbols; refuses one of each."""
    both = [isinstance(each, Symbol) for each in (a, b)]
    if any(both) and not all(both):
        refuse(f"{what} of a value of the cell and {quoted(a if both[1] else b)}", "a number multiplies: 2 * z.a")
    return all(both)


@of_numbers("a", "b")
def outer(a: Any, b: Any, groups: Groups = 1) -> Any:
    """Products of each unit of `a` with each of `b`, in each group, row by row: a matrix for a state.

    Of a = (a_1, ..., a_m) and b = (b_1, ..., b_n) the units a_1 b_1, ..., a_1 b_n, a_2 b_1, ...: (..., groups m) and
    (..., groups n) to (..., groups m n).

    Examples
    --------
    >>> outer(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0, 5.0]]))
    array([[ 3.,  4.,  5.,  6.,  8., 10.]])
    """
    if _symbols("outer", a, b):
        groups = width_given(groups)
        width = quotient(product(a.width, b.width), groups)
        if width is None:
            refuse(f"outer of widths {a.width!r} and {b.width!r} in {groups!r} groups", "take groups that divide both")
        return a.across("fill", width) * b.across("tile", width, groups)
    return _joined(_joined(_parts(a, groups)[..., :, None] * _parts(b, groups)[..., None, :]))


@of_numbers("a", "b")
def contract(a: Any, b: Any, groups: Groups = 1) -> Any:
    """Product of a matrix, as `outer` makes it, and a vector, or of a vector and a matrix, in each group.

    ``contract(M, v)`` is M v, the sum over the last index of M; ``contract(v, M)`` is v M, over the first one. The
    matrix is the wider of the two, of two that are equally wide the first.

    Examples
    --------
    >>> M = np.array([[3.0, 4.0, 5.0, 6.0, 8.0, 10.0]])
    >>> contract(M, np.array([[1.0, 1.0, 1.0]])), contract(np.array([[1.0, 1.0]]), M)
    (array([[12., 24.]]), array([[ 9., 12., 15.]]))
    """
    if _symbols("contract", a, b):
        return _contracted(a, b, width_given(groups))
    a, b = np.atleast_1d(np.asarray(a)), np.atleast_1d(np.asarray(b))
    matrix, vector = (a, b) if a.shape[-1] >= b.shape[-1] else (b, a)
    if vector.shape[-1] % groups or matrix.shape[-1] * groups % vector.shape[-1]:
        raise ValueError(
            f"a matrix of {matrix.shape[-1]} units cannot be contracted with a vector of {vector.shape[-1]} "
            f"in {groups} groups"
        )
    if matrix is a:
        length = b.shape[-1] // groups
        matrix = _parts(a, groups).reshape(*a.shape[:-1], groups, -1, length)
        return _joined((matrix * _parts(b, groups)[..., None, :]).sum(axis=-1))
    length = a.shape[-1] // groups
    matrix = _parts(b, groups).reshape(*b.shape[:-1], groups, length, -1)
    return _joined((_parts(a, groups)[..., :, None] * matrix).sum(axis=-2))


def _contracted(a: Symbol, b: Symbol, groups: Any) -> Symbol:
    """M v: in each row of M the sum of M times v; v M: the sum of the rows of M, each times its unit of v."""
    if (width := quotient(product(a.width, groups), b.width)) is not None:
        terms: Symbol = a * b.across("tile", a.width, groups)
        return terms.across("row_sum", width)
    if (width := quotient(product(b.width, groups), a.width)) is not None:
        terms = a.across("fill", b.width) * b
        return terms.across("fold", width, groups)
    refuse(
        f"contract of widths {a.width!r} and {b.width!r} in {groups!r} groups",
        "contract a matrix, as wide as outer(u, v, groups), with a vector as wide as u or v",
    )
