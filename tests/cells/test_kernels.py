"""Every bundled kernel: equal to its NumPy twin at every level, rows apart, counts and ABI checked."""

import ctypes
import importlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
from pylstm_cifg import CIFG
from pylstm_gru import GRU, GRUResetBefore
from pylstm_lstm_linear_output import LSTMLinearOutput
from pylstm_peephole import Peephole
from pylstm_rnn import RNNLinear, RNNReLU, RNNTanh

from pylstm.cells import Cell
from pylstm.cells._hooks import describe, run_stage
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.kernels import load_kernel
from pylstm.cells.lstm import LSTM
from pylstm.engine import levels
from pylstm.layers.core import core_of

CELLS = [LSTM, RNNTanh, RNNReLU, RNNLinear, GRU, GRUResetBefore, Peephole, CIFG, LSTMLinearOutput]
TOLERANCE = {"float32": (2e-6, 1e-5), "float64": (1e-12, 1e-11)}
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)


def at_level(cell, level):
    """The kernel of `cell` compiled for one instruction-set level."""
    module, attribute = cell.kernel.split(":")
    return getattr(importlib.import_module(f"{module}_{level}"), attribute)


def call_twin(cell, direction, stage, **namespaces):
    """The twin of a stage with the arguments that it asks for, as float64 copies."""
    hook = getattr(cell, hook_name(direction, stage.name))
    wanted = hook.__code__.co_varnames[: hook.__code__.co_argcount]
    spaces = {key: SimpleNamespace(**{n: a.astype(float) for n, a in each.items()}) for key, each in namespaces.items()}
    return hook(**{name: spaces[name] for name in wanted})


@every_cell
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", levels.LEVELS[: levels.LEVELS.index(levels.level) + 1])
@pytest.mark.parametrize("width", [1, 16, 37])
def test_kernel_equals_twin(one_step, close, cell, dtype, level, width):
    forward, backward = TOLERANCE[dtype]
    step = one_step(cell, width=width, dtype=dtype, capsule=at_level(cell, level), seed=width)
    for k, stage in enumerate(cell.contract.stages):
        ready = dict(z=step.z, prev=step.prev, e=step.emissions, p=step.params, u=step.aux)
        expected = {name: step.z[name] for name in stage.gates} | call_twin(cell, "forward", stage, **ready)
        step.forward(k)
        blocks = step.gates | step.emissions | step.keep | step.states
        for name, block in expected.items():
            close(blocks[name], block, forward, name)

    for k, stage in reversed(list(enumerate(cell.contract.stages))):
        last = k == len(cell.contract.stages) - 1
        tape = step.gates | step.emissions | step.keep | (step.states if last else {})
        given = step.dstates if last else step.demissions
        ready = dict(d=given, y=tape, prev=step.prev, e=step.emissions, p=step.params, u=step.aux)
        expected = call_twin(cell, "backward", stage, **ready)
        results = step.dgates | step.dprev | step.dparams
        before = {name: block.copy() for name, block in results.items()}
        step.backward(k)
        assert set(stage.gates) <= set(expected)
        for name, block in expected.items():
            if name in cell.contract.params:
                block = block.sum(axis=0)
            close(results[name], block if name in stage.gates else before[name] + block, backward, "d" + name)


@every_cell
def test_a_row_does_not_see_its_neighbours(one_step, cell):
    """Three rows alone give the bits that they give among seven, one of which is NaN."""
    many, few = one_step(cell, rows=7), one_step(cell, rows=3, seed=1)
    for kind in ("gates", "prev", "emissions", "aux", "dstates", "demissions", "dprev"):
        for name, block in getattr(few, kind).items():
            block[:] = getattr(many, kind)[name][2:5]
            getattr(many, kind)[name][5] = np.nan
    few.params.update(many.params)
    stages = range(len(cell.contract.stages))
    for step in (many, few):
        for k in stages:
            step.forward(k)
        for k in reversed(stages):
            step.backward(k)
    for kind in ("gates", "keep", "emissions", "states", "dgates", "dprev"):
        for name, block in getattr(few, kind).items():
            np.testing.assert_array_equal(block, getattr(many, kind)[name][2:5], err_msg=f"{kind} {name}")
            assert np.isfinite(block).all(), name


@every_cell
def test_nothing_is_written_between_the_rows(one_step, cell):
    step = one_step(cell, dtype="float32")
    for k in range(len(cell.contract.stages)):
        step.forward(k)
        step.backward(k)
    for kind, blocks in step.blocks().items():
        for k, block in enumerate(blocks):
            if block.ndim == 2:
                whole = block.base
                assert np.isnan(whole[:, :2]).all() and np.isnan(whole[:, -1:]).all(), f"{kind}[{k}]"


@every_cell
def test_describe_agrees_with_the_declaration(cell):
    found = describe(load_kernel(cell))
    assert found["abi"] == 1
    assert found["name"] == cell.name
    assert found["dtypes"] == ("float32", "float64")
    assert {kind: found[kind] for kind in cell.contract.blocks} == {k: len(v) for k, v in cell.contract.blocks.items()}


class Header(ctypes.Structure):
    """`pylstm_cell` of pylstm/cell.h, written out once more."""

    _fields_ = [("abi", ctypes.c_size_t), ("size", ctypes.c_size_t), ("name", ctypes.c_char_p)]
    _fields_ += [(n, ctypes.c_ssize_t) for n in ("stages", "gates", "states", "emissions", "keep", "params", "aux")]
    _fields_ += [("float32", ctypes.c_void_p), ("float64", ctypes.c_void_p)]


def foreign_capsule(name=b"pylstm.cell.v1", **fields):
    """A capsule made without pylstm, and the memory that must outlive it."""
    header = Header(abi=1, size=ctypes.sizeof(Header), name=b"foreign", stages=1, gates=1, states=1)
    for field, value in fields.items():
        setattr(header, field, value)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(ctypes.addressof(header), name, None), (header, name)


def test_another_abi_is_refused_with_both_numbers():
    capsule, _alive = foreign_capsule(abi=2)
    with pytest.raises(ImportError, match=r"cell ABI 2 and .* this pylstm has ABI 1 .*: build the kernel"):
        describe(capsule)
    cell = type("Foreign", (Cell,), dict(states=("h",), gates={"a": "x+h"}, kernel=capsule))
    with pytest.raises(ImportError, match="cell 'foreign': kernel built for cell ABI 2"):
        load_kernel(cell)


def test_the_time_loop_takes_no_other_abi():
    """Whoever has made a capsule, and whoever has looked at it before."""
    cell = type("Foreign", (Cell,), dict(states=("h",), gates={"a": "x+h"}))
    widths = cell.contract.resolve(3, 5)
    shapes = cell.contract.parameter_shapes(widths, True)
    for field in ({"abi": 2}, {"size": 88}, {"name": b"another"}):
        capsule, _alive = foreign_capsule(**field)
        with pytest.raises((ImportError, TypeError)) as of_the_loop:
            core_of(capsule, cell.contract, widths, shapes, "float32")
        with pytest.raises(type(of_the_loop.value), match=re.escape(str(of_the_loop.value))):
            describe(capsule)  # one check, one sentence


def test_another_struct_size_is_refused():
    capsule, _alive = foreign_capsule(size=88)
    with pytest.raises(ImportError, match=r"88 bytes, this pylstm has .* 96"):
        run_stage(capsule, 0, False, {})


def test_a_missing_dtype_is_named(one_step):
    capsule, _alive = foreign_capsule()
    with pytest.raises(TypeError, match="'foreign' offers no float32"):
        one_step(RNNTanh, dtype="float32", capsule=capsule).forward()


ANOTHER = foreign_capsule(b"another.name")  # a capsule does not keep its name


@pytest.mark.parametrize("thing", [None, object(), "pylstm.cells._lstm:lstm", ANOTHER[0]])
def test_what_is_not_a_kernel_is_refused(thing):
    with pytest.raises(TypeError, match=r"must be a capsule named 'pylstm\.cell\.v1'"):
        describe(thing)


def test_a_kernel_with_other_counts_is_refused_naming_them():
    cell = type("Short", (Cell,), dict(states=("h", "c"), gates={"a": "x"}, kernel=LSTM.kernel))
    with pytest.raises(
        TypeError, match="'short' does not fit its kernel 'lstm': gates: 4 in the kernel, 1 declared; keep"
    ):
        load_kernel(cell)


@pytest.mark.parametrize(
    "kernel, error, message",
    [
        ("pylstm.cells._lstm:lstn", ImportError, "has no kernel 'lstn'"),
        ("pylstm.cells._nothing:lstm", ImportError, "no compiled module for 'pylstm.cells._nothing'"),
        ("pylstm.cells._lstm", TypeError, "not of the form 'package.module:attribute'"),
        (3, TypeError, "must be a capsule"),
    ],
)
def test_a_kernel_that_cannot_be_found(kernel, error, message):
    cell = type("Lost", (Cell,), dict(states=("h",), gates={"a": "x"}, kernel=kernel))
    with pytest.raises(error, match=f"cell 'lost'.*{message}"):
        load_kernel(cell)


def test_a_cell_without_kernel_has_none():
    assert load_kernel(type("Plain", (Cell,), dict(states=("h",), gates={"a": "x"}))) is None


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda b: b.update(gates=b["gates"][:3]), ValueError, "has 4 blocks of kind gates, got 3 arrays"),
        (lambda b: b.pop("states"), ValueError, "has 2 blocks of kind states, got 0 arrays"),
        (lambda b: b.update(gate=[]), ValueError, "unknown kinds of blocks: gate "),
        (lambda b: b["keep"].insert(0, b["keep"].pop().astype("float32")), TypeError, "keep.0. has format 'f' but"),
        (
            lambda b: b["keep"].insert(0, b["keep"].pop().astype("complex64")),
            TypeError,
            "keep.0. must be float32 or float64",
        ),
        (lambda b: b["keep"].insert(0, b["keep"].pop()[0]), ValueError, r"keep.0. must have shape \(rows, width\)"),
        (lambda b: b["keep"].insert(0, b["keep"].pop()[:2]), ValueError, "keep.0. has 2 rows but gates.0. 5"),
        (lambda b: b["keep"].insert(0, b["keep"].pop()[:, ::2]), ValueError, "contiguous rows"),
        (lambda b: b["states"].insert(1, b["states"].pop()[:, :9]), ValueError, r"states.1. has shape \(5, 9\) but"),
        (lambda b: b["dgates"].insert(3, b["dgates"].pop()[:, :9]), ValueError, r"dgates.3. has shape \(5, 9\) but"),
        (lambda b: b["keep"].insert(0, read_only(b["keep"].pop())), ValueError, "keep.0. is read-only"),
    ],
)
def test_bad_blocks_are_refused_before_the_call(one_step, change, error, message):
    step = one_step(LSTM)
    blocks = step.blocks()
    change(blocks)
    with pytest.raises(error, match=message):
        run_stage(step.capsule, 0, True, blocks)
    assert np.isnan(step.dgates["i"]).all()


def test_a_stage_that_does_not_exist(one_step):
    for stage in (-1, 1):
        with pytest.raises(ValueError, match=f"has 1 stages, stage {stage} does not exist"):
            one_step(LSTM).forward(stage)


def test_no_rows(one_step):
    step = one_step(Peephole, rows=0)
    before = step.dparams["p_o"].copy()
    step.forward()
    step.backward()
    np.testing.assert_array_equal(step.dparams["p_o"], before)
