"""Structures that are refused, and masks: which functions and arrays are one."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
import structured_cells as sc
from pylstm import Recurrent
from pylstm.cells import LSTM

Staged, structured = sc.Staged, sc.structured


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        ({"y": "blocks(2)"}, "structure has 'y', which is not a source of this cell (x, h)"),
        ({"h": "block(2)"}, "'blocks(n)', 'diagonal'"),
        ({"h": "blocks"}, "got 'blocks'"),
        ({"h": "diagonal(2)"}, "got 'diagonal(2)'"),
        ({"h": "blocks(heads)"}, "unknown size 'heads'"),
        ({"h": "blocks(0)"}, "blocks(0)"),
        ({"h": "blocks(-1)"}, "-1"),
        ({"h": 3}, "got 3"),
        ({"h": ""}, "got ''"),
        ({"h": "dense"}, "got 'dense'"),
        ({"h": ("tied", np.eye(4))}, "or a mask"),
        ("blocks(2)", "structure must be a dict"),
    ],
)
def test_what_is_no_structure_is_refused_with_the_class(structure, reason):
    with pytest.raises(TypeError) as caught:
        type("Wrong", (LSTM,), {"structure": structure})
    assert reason in str(caught.value)


def test_sizes_that_do_not_fit_are_refused_with_the_layer():
    with pytest.raises(
        ValueError, match=r"weight_h cannot have the structure blocks\(2\): 2 blocks do not divide its shape \(5, 5\)"
    ):
        Recurrent(structured("blocks"), 3, 5)
    with pytest.raises(
        ValueError, match=r"weight_x cannot have the structure diagonal: its shape \(8, 3\) is not square"
    ):
        Recurrent(structured("diagonal", ("x",)), 3, 8)
    with pytest.raises(ValueError, match=r"the mask has the shape \(3, 3\), that of a gate must have \(8, 8\)"):
        Recurrent(type("M", (LSTM,), {"structure": {"h": np.eye(3)}}), 3, 8)


def test_an_array_is_a_mask_of_its_size_alone():
    cell = type("Fixed", (Staged,), {"structure": {"h": np.tri(6, dtype=bool)}})
    layer = Recurrent(cell, 3, 6, seed=0)
    assert not np.triu(layer.matrix("h")[:6], 1).any()
    assert pylstm.certify(cell).ok


def test_a_mask_that_is_drawn_is_one_mask():
    def drawn_once(size):
        return np.random.default_rng(0).random((size.hidden_size, size.hidden_size)) < 0.5

    calls = []

    def counted(size):
        calls.append(size)
        return drawn_once(size)

    layer = Recurrent(type("Sparse", (Staged,), {"structure": {"h": counted}}), 3, 6, seed=0)
    made = len(calls)
    assert (layer.matrix("h") == layer.matrix("h")).all()
    layer(np.ones((3, 2, 3), "float32"))
    assert len(calls) == made
    generator = np.random.default_rng(0)
    wrong = type("Drawn", (Staged,), {"structure": {"h": lambda size: generator.random((6, 6)) < 0.5}})
    with pytest.raises(ValueError, match=r"gives another one at every call: make its generator in the function"):
        Recurrent(wrong, 3, 6)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (lambda size: np.full((6, 6), 0.5), "must hold only 0 and 1"),
        (lambda size: np.full((6, 6), np.nan), "must hold only 0 and 1"),
        (lambda size: size.units, r"read as size.hidden_size, and failed \(AttributeError"),
        (lambda: np.eye(6), r"gets the sizes \(input_size, hidden_size\), .* failed \(TypeError"),
    ],
)
def test_wrong_masks_are_refused_with_the_layer(mask, reason):
    with pytest.raises(ValueError, match=rf"weight_h cannot have the structure mask: .*{reason}"):
        Recurrent(type("Wrong", (Staged,), {"structure": {"h": mask}}), 3, 6)
