"""Widths of blocks and values: numbers, names of sizes, and products of both, ``"heads * key * value"``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from pylstm.checks import quoted

Width = str | int
"""A size name (``"hidden_size"``), a number, or a product such as ``"2 * heads * key"``, in the form of `product`."""


class Widths(dict[str, int]):
    """Width in elements of every block of a cell, and of ``x``, for the numbers in `sizes` (size name -> number)."""

    def __init__(self, widths: Mapping[str, int], sizes: Mapping[str, int]):
        super().__init__(widths)
        self.sizes = dict(sizes)


def factors(width: Width) -> tuple[int, Counter[str]]:
    """The number and the names in a product.

    Raises
    ------
    ValueError
        Something else than a product of names and whole numbers of 1 or more.
    """
    number, names = 1, Counter[str]()
    for part in [width] if isinstance(width, int) else width.split("*"):
        text = str(part).strip()
        if text.isidentifier():
            names[text] += 1
        elif text.isdigit() and int(text) > 0:
            number *= int(text)
        else:
            raise ValueError(f"a width must be a product of size names and whole numbers, got {quoted(width)}")
    return number, names


def _joined(number: int, names: Counter[str]) -> Width:
    if not names:
        return number
    return " * ".join([*([str(number)] if number > 1 else []), *sorted(names.elements())])


def product(*widths: Width) -> Width:
    """The product of widths in one form: number first, names by the alphabet.

    Examples
    --------
    >>> product("key", 2, "heads * 3"), product(4, 2)
    ('6 * heads * key', 8)
    """
    parts = [factors(width) for width in widths]
    return _joined(math.prod(number for number, _ in parts), sum((names for _, names in parts), Counter()))


def quotient(width: Width, by: Width) -> Width | None:
    """`width` / `by`; None where that is a whole number for some sizes only.

    Examples
    --------
    >>> quotient("heads * key", "heads"), quotient("hidden_size", "heads")
    ('key', None)
    """
    (number, names), (divisor, others) = factors(width), factors(by)
    if number % divisor or others - names:
        return None
    return _joined(number // divisor, names - others)


def evaluated(width: Width, sizes: Mapping[str, int]) -> int:
    """The number that a width is for the given sizes."""
    number, names = factors(width)
    return number * math.prod(sizes[name] for name in names.elements())
