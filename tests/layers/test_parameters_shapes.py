"""Shapes of `Parameters`: tuples of integers, and nothing that could be taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from pylstm import Parameters

WRONG = {
    "a fraction": ((2.5,), r"got \(2.5,\)$"),
    "a whole float": ((2.0, 3), r"got \(2.0, 3\)$"),
    "an array": (
        np.zeros(3),
        r"got an array of float64 of shape \(3,\): pass \(3,\), then params\['a'\] = array sets it",
    ),
    "an array of integers": (np.array([2, 3]), r"got an array of int64 of shape \(2,\): pass tuple\(shape\)$"),
    "a number": (2, r"got 2: pass \(2,\)$"),
    "a text": ("b", "got 'b'$"),
    "digits": ("23", "got '23'$"),
    "a bool": ((True, 2), r"got \(True, 2\)$"),
    "None": (None, "got None$"),
}


@pytest.mark.parametrize("shape, message", WRONG.values(), ids=WRONG)
def test_what_is_no_shape(shape, message):
    with pytest.raises(TypeError, match=r"parameter 'a': its shape must be a tuple of integers, .*" + message):
        Parameters({"b": (2,), "a": shape})


def test_lists_and_integers_of_numpy_are_shapes():
    params = Parameters({"a": [2, np.int64(3)], "b": ()})
    assert params.shapes == {"a": (2, 3), "b": ()} and params.size == 7
    assert all(type(n) is int for n in params.shapes["a"])
