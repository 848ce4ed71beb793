"""`Parameters`: one buffer, named views, checked assignment."""

import copy
import pickle

import numpy as np
import pytest

import pylstm
from pylstm.optim.clipping import as_list
from pylstm.parameters import Parameters

SHAPES = {"weight_x": (4, 3), "bias": (4,)}


def filled(dtype="float64"):
    params = Parameters(SHAPES, dtype)
    params.flat[...] = np.arange(1, 17)
    return params


def test_views_share_the_flat_buffer_in_order():
    params = filled()
    assert params.names == ("weight_x", "bias") and params.size == 16 and len(params) == 2
    np.testing.assert_array_equal(params["weight_x"], np.arange(1.0, 13).reshape(4, 3))
    params["bias"][0] = 99
    assert params.flat[12] == 99


def test_assignment_copies():
    params, value = filled(), np.full(4, 7.0)
    view = params["bias"]
    params["bias"] = value
    value[0] = 0
    assert params["bias"] is view and view[0] == 7


def test_assignment_accepts_any_layout_and_byte_order():
    params = filled()
    value = np.asfortranarray(np.arange(12.0).reshape(4, 3)).astype(">f8")
    params["weight_x"] = value
    np.testing.assert_array_equal(params["weight_x"], np.arange(12.0).reshape(4, 3))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("bias", np.zeros(3), ValueError, r"'bias' must have shape \(4,\), got \(3,\)"),
        ("bias", np.zeros((4, 1)), ValueError, r"'bias' must have shape \(4,\), got \(4, 1\)"),
        ("bias", 0.0, ValueError, r"'bias' must have shape \(4,\), got the number"),
        ("bias", np.zeros(4, "f4"), TypeError, r"must be float64, got float32: .*dtype='float64'.*dtype='float32'"),
        ("bias", np.zeros(4, int), TypeError, r"must be float64, got int64: convert"),
        ("bias", np.ma.zeros(4), TypeError, "masked"),
        ("bias", None, TypeError, "must be an array, got None"),
        ("bias", [[1.0], [1.0, 2.0]], ValueError, "do not form an array"),
        ("weight_h", np.zeros(4), KeyError, r"unknown parameter 'weight_h' \(known: weight_x, bias"),
    ],
)
def test_assignment_refuses(name, value, error, message):
    params = filled()
    before = params.flat.copy()
    with pytest.raises(error, match=message):
        params[name] = value
    with pytest.raises(error, match=message):
        params.update({"weight_x": np.zeros((4, 3)), name: value})
    np.testing.assert_array_equal(params.flat, before)


@pytest.mark.parametrize(
    "duplicate", [Parameters.copy, copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_copies_have_their_own_buffer(duplicate):
    params = filled()
    new = duplicate(params)
    new["bias"][...] = 0
    np.testing.assert_array_equal(new.flat[12:], 0)
    np.testing.assert_array_equal(new.flat[:12], params.flat[:12])
    assert params.flat[12] == 13 and new.same_layout(params)


def test_zeros_like_and_layout():
    zeros = filled("float32").zeros_like()
    assert zeros.dtype == np.float32 and not zeros.flat.any()
    assert not zeros.same_layout(filled())
    assert not filled().same_layout(Parameters(dict(reversed(SHAPES.items())), "float64"))


@pytest.mark.parametrize("dtype", ["float16", int, None, "complex128", "nonsense"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="'float32' or 'float64'"):
        Parameters(SHAPES, dtype)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="negative"):
        Parameters({"a": (-1,)})
    with pytest.raises(ValueError, match="do not fit"):
        Parameters({"a": (2**40, 2**40)})


@pytest.mark.parametrize("dtype", ["float32", np.float32, ">f4", np.dtype("float32").newbyteorder("<")])
def test_the_dtype_is_the_object_of_numpy(dtype):
    """Streams know arrays made with ``layer.dtype`` at once only if it is."""
    assert pylstm.LSTM(2, 3, 2, dtype=dtype).dtype is Parameters(SHAPES, dtype).dtype is np.dtype("float32")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
@pytest.mark.parametrize(
    "make",
    [
        lambda: pylstm.LSTM(2, 3, seed=0),
        lambda: pylstm.LSTM(2, 3, 2, bidirectional=True, seed=0),
        lambda: pylstm.Linear(2, 3, seed=0),
        lambda: pylstm.MLP(2, (4,), 3, seed=0),
        lambda: pylstm.Embedding(2, 3, seed=0),
        lambda: pylstm.SequenceModel("gru", 2, 3, 1, seed=0),
    ],
)
def test_a_copy_of_whatever_has_parameters_has_its_own(make, again):
    one = make()
    other, before = again(one), np.concatenate([each.flat for each in as_list(one.params)])
    for each in as_list(other.params):
        each.flat[:] = 7
    assert np.array_equal(np.concatenate([each.flat for each in as_list(one.params)]), before)
