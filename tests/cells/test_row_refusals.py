"""Functions across the units of a row that cannot be: arrays, formulas, widths and sizes that are refused."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells import (
    Cell,
    FormulaError,
    contract,
    cumsum,
    derive,
    fold,
    outer,
    repeat,
    row_mean,
    row_sum,
    softmax,
    tanh,
)
from pylstm.cells.formula.emission import c, cython


class Named(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    sizes = {"heads": 2}

    def forward(z):
        return {"h": tanh(z.a) - repeat(row_mean(z.a, "heads"), "hidden_size")}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: row_sum(np.ones((2, 4)), "heads"),
            "groups of an array must be a whole number of 1 or more, got 'heads'",
        ),
        (lambda: fold(np.ones((2, 6)), 4), "a row of 6 units in 1 groups cannot be folded to 4"),
        (
            lambda: contract(np.ones((2, 6)), np.ones((2, 4))),
            "a matrix of 6 units cannot be contracted",
        ),
        (lambda: repeat(np.ones((2, 5)), 7), "5 units cannot be repeated up to 7"),
        (lambda: cumsum(np.ones((2, 4)), 1, "yes"), "reverse must be True or False, got 'yes'"),
        (
            lambda: contract(2.0, np.ones((2, 4)), 2),
            "a matrix of 4 units cannot be contracted with a vector of 1 in 2 groups",
        ),
        (lambda: outer(np.ones((2, 3)), np.ones((2, 3)), 2), "groups=2 does not divide a row of 3 units"),
    ],
)
def test_wrong_arrays(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()


def test_an_undeclared_size_is_named():
    with pytest.raises(FormulaError, match="unknown size 'heads': declare it in `sizes`; known are input_size"):
        derive(made(lambda z: {"h": softmax(z.a, "heads")}))


def test_sizes_that_do_not_divide():
    assert pylstm.Recurrent(Named, 3, 8, heads=4).widths["h"] == 8
    with pytest.raises(
        ValueError,
        match=r"'named': a row of hidden_size units does not fall into parts by heads \(hidden_size=7, heads=2\)",
    ):
        pylstm.Recurrent(Named, 3, 7)


def test_a_compiled_kernel_needs_a_block_of_every_size():
    for emitter in (c, cython):
        with pytest.raises(
            ValueError, match="no block has the width 'heads', so that a compiled kernel cannot know it"
        ):
            emitter.kernel_source(derive(Named))


def made(forward, **widths):
    return type("Wrong", (Cell,), {"states": ("h",), "gates": {"a": "x"}, "widths": widths, "forward": forward})


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda z: {"h": repeat(row_sum(z.a, 5), 8)}, "row_sum of a row of 8 units to 5: take a width that goes into"),
        (lambda z: {"h": repeat(z.a, 12)}, "repeat of a row of 8 units to 12: take a width"),
        (lambda z: {"h": row_sum(z.a, 0)}, "a width cannot be 0: write a whole number of 1 or more"),
        (lambda z: {"h": row_sum(z.a, z.a)}, "a width cannot be 'z.a': write"),
        (lambda z: {"h": z.a + row_sum(z.a, 2)}, "widths 8 and 2 meet in one operation: .* repeat the narrower one"),
        (lambda z: {"h": contract(z.a, row_sum(z.a, 3 - 1) * 0 + z.a, 3)}, "contract of widths 8 and 8 in 3 groups"),
        (lambda z: {"h": outer(z.a, z.a, 5)}, "outer of widths 8 and 8 in 5 groups: take groups that divide both"),
        (lambda z: {"h": contract(2.0, z.a)}, "contract of a value of the cell and 2.0: a number multiplies: 2 . z.a"),
        (lambda z: {"h": outer(z.a, 2.0)}, "outer of a value of the cell and 2.0: a number multiplies"),
        (lambda z, size: {"h": z.a * (size.hidden_size // 2)}, "a part of a size is a size of its own, sizes = "),
        (lambda z: {"h": z.a.mean()}, "a symbol is not an array and has no mean: write row_mean.z.a.,"),
        (lambda z: {"h": z.a.sum()}, "a symbol is not an array and has no sum: write row_sum.z.a.,"),
        (lambda z, size: {"h": z.a * size.heads}, "size.heads does not exist: size has input_size, hidden_size"),
    ],
)
def test_wrong_formulas(forward, says):
    with pytest.raises(FormulaError, match=says):
        derive(made(forward, h=8, a=8))


@pytest.mark.parametrize(
    ("width", "says"),
    [
        ("heads * key", "unknown size 'heads'; declare it in `sizes`"),
        ("hidden * 2", "unknown size 'hidden'; did you mean 'hidden_size'. Or declare it in `sizes`"),
        (True, "of 'h' must be a size, a whole number, or a product such as '2 . hidden_size', got True"),
        ("2 * 0", "of 'h' must be a size, a whole number, or a product"),
        ("a + b", "of 'h' must be a size, a whole number, or a product"),
        (1.5, "of 'h' must be a size, a whole number, or a product"),
    ],
)
def test_wrong_widths(width, says):
    with pytest.raises(TypeError, match=says):
        made(lambda z: {"h": z.a}, h=width)
